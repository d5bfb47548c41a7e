"""The square window of a detector frame that is kept, and how a probe follows it.

Zero frequency lies at the middle pixel [m // 2, m // 2] or at the corner [0, 0] of a frame. Binning sums
b x b pixels counted from the window's first corner, as cdtools and ptypy do; with an even b that leaves
zero frequency between pixels, which a blind reconstruction takes up as a phase ramp of its probe.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ptychosuite.errors import DataFileError


@dataclass(frozen=True)
class Window:
    """What to read of each frame, and how to bin it."""

    rows: tuple[slice, ...]  # pieces that, one after the other, make the window with its centre in the middle
    columns: tuple[slice, ...]
    size: int  # pixels on a side before binning
    bin: int

    def binned(self, patterns: np.ndarray) -> np.ndarray:
        """Sums of bin x bin pixels: (n, size, size) to (n, size / bin, size / bin)."""
        if self.bin == 1:
            return patterns
        n, m = len(patterns), self.size // self.bin
        total = np.float64 if patterns.dtype.kind == "f" else np.uint64
        return patterns.reshape(n, m, self.bin, m, self.bin).sum(axis=(2, 4), dtype=total)

    def all_of(self, good: np.ndarray) -> np.ndarray:
        """Whether all pixels of a bin are good: (n, size, size) bool to (n, size / bin, size / bin)."""
        n, m = len(good), self.size // self.bin
        return np.asarray(good.reshape(n, m, self.bin, m, self.bin).all(axis=(2, 4)))

    def cut(self, frame: np.ndarray) -> np.ndarray:
        """The window of one whole frame (rows, columns)."""
        rows = np.concatenate([frame[piece] for piece in self.rows])
        return np.concatenate([rows[:, piece] for piece in self.columns], axis=1)


def window(
    frame: tuple[int, int],
    crop: int | None,
    bin: int,
    corner: bool,
    centre: tuple[int, int] | None,
    name: str,
    path: str,
) -> Window:
    """Which pixels of a ``frame`` (rows, columns) to read.

    Parameters
    ----------
    crop
        Pixels on a side; all of them by default, or as many as lie around ``centre``.
    corner
        Zero frequency is at [0, 0].
    centre
        (row, column) of zero frequency; the frame's middle by default.

    Raises
    ------
    DataFileError
        Frames that are not square, a crop larger than they are, a size that the bins do not divide.
    """
    middle = (frame[0] // 2, frame[1] // 2)
    centre = middle if corner or centre is None else centre
    if crop is None and centre == middle and frame[0] != frame[1]:
        raise DataFileError(
            f"{path}: '{name}' holds patterns of {frame[0]} x {frame[1]} pixels; they must be square, "
            f"give 'crop: {min(frame)}'"
        )
    most = min(_most(size, c) for size, c in zip(frame, centre, strict=True))
    size = crop or most
    if size > most:
        raise DataFileError(
            f"{path}: '{name}' holds patterns of {frame[0]} x {frame[1]} pixels, so 'crop: {size}' around "
            f"{centre} does not fit; the most is {most}"
        )
    if size % bin:
        raise DataFileError(
            f"{path}: '{name}': a window of {size} pixels cannot be binned by {bin}; "
            f"give 'crop: {size // bin * bin}'"
        )
    rows, columns = (_pieces(n, c, size, corner) for n, c in zip(frame, centre, strict=True))
    return Window(rows, columns, size, bin)


def _most(size: int, centre: int) -> int:
    """Pixels of the largest window around ``centre``: all of them, or an even number."""
    return size if centre == size // 2 else 2 * min(centre, size - centre)


def _pieces(n: int, centre: int, size: int, corner: bool) -> tuple[slice, ...]:
    before = size // 2
    if not corner:
        return (slice(centre - before, centre - before + size),)
    return (slice(n - before, n), slice(0, size - before))


def is_corner(patterns: np.ndarray, good: np.ndarray | None) -> bool | None:
    """Whether zero frequency lies at [0, 0], from where a few patterns (n, r, c) have their power.

    None where neither the middle nor the corners are clearly brighter. Logarithms keep a few hot pixels
    from deciding it, and ``good`` (r, c) leaves out bad ones.
    """
    counts = np.nan_to_num(np.asarray(patterns, dtype=np.float64), posinf=0.0, neginf=0.0)
    # Relative to a usual count, so that fractions are told apart as well as thousands.
    level = np.median(counts[counts > 0]) if (counts > 0).any() else 1.0
    brightness = np.log1p(np.maximum(counts, 0) / level).mean(axis=0)
    weight = np.ones(brightness.shape) if good is None else good.astype(float)
    middle = _middle_mean(brightness, weight)
    corners = _middle_mean(np.fft.fftshift(brightness), np.fft.fftshift(weight))
    if max(middle, corners) < 1.15 * min(middle, corners):
        return None
    return bool(corners > middle)


def _middle_mean(image: np.ndarray, weight: np.ndarray) -> float:
    rows, columns = image.shape
    box = (slice(rows // 4, rows - rows // 4), slice(columns // 4, columns - columns // 4))
    total = weight[box].sum()
    return float((image[box] * weight[box]).sum() / total) if total else 0.0


def fit_probe(probe: np.ndarray, frame: int, window: Window) -> np.ndarray | None:
    """A probe (m, m) given for whole frames, on the grid (k, k) of the window; None where it fits neither.

    A smaller detector means larger pixels of the probe (its spectrum is cut), larger detector pixels a
    smaller field of view (the probe is cut, and grows by ``bin`` to keep the counts of the summed pixels).
    """
    final = window.size // window.bin
    if probe.shape == (final, final):
        return probe
    if probe.shape != (frame, frame):
        return None
    spectrum = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(probe)))
    cut = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(_middle(spectrum, window.size))))
    return np.asarray(_middle(cut, final) * window.bin)


def _middle(image: np.ndarray, size: int) -> np.ndarray:
    first = image.shape[0] // 2 - size // 2
    return image[first : first + size, first : first + size]
