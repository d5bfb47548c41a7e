"""What a detector has done to the counts, undone: gaps, saturated pixels, dark and flat images, the beam."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.format import ReadSettings
from ptychosuite.problems.measured.measurement import check_counts
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.window import Window

MARKS = (-1, -2)  # of gaps and of bad pixels, in signed integers (DECTRIS)
# What 32-bit detectors write into gaps, once it has been through single precision
GAP_IN_FLOATS = float(np.float32(2**32 - 1))


@dataclass(frozen=True)
class Correction:
    """Turns what the file holds of a block of patterns into intensities.

    Intensity = (counts - dark) / flat / beam; what would be below zero is zero. Counts that the saturation
    limit or ``negative: mask`` rules out are zero, and told.
    """

    limit: float | None  # counts from which on a pixel is bad
    dark: np.ndarray | None  # (size, size), cut like the patterns
    flat: np.ndarray | None  # (size, size), mean 1
    beam: np.ndarray | None  # (N,) light of every pattern of the file, mean 1
    good: np.ndarray | None  # (size, size) bool, in any pattern
    each: Callable[[np.ndarray], np.ndarray] | None  # (n, size, size) of patterns (n,), where they differ
    settings: ReadSettings
    name: str

    @classmethod
    def of(cls, raw: Raw, kept: Window, chosen: np.ndarray, settings: ReadSettings) -> Correction:
        """The correction that a file asks for, of those of its patterns that are ``chosen`` (N,) bool.

        Raises
        ------
        DataFileError
            The dark or flat image or the intensities are of another shape, or hold what none can.
        """
        ever, each = raw.ever_good, raw.good if raw.good is not None and raw.good.ndim == 3 else None
        good = None if ever is None else kept.cut(ever)
        if settings.negative == "zero" and (gaps := _gaps(raw, kept, settings.path)) is not None:
            good = ~gaps if good is None else good & ~gaps
        dark = _image(raw, "dark", kept, settings.path)
        flat = _image(raw, "flat", kept, settings.path)
        if dark is not None and settings.counts == "amplitude":
            raise DataFileError(
                f"{settings.path}: '{raw.source['dark']}' cannot be taken off amplitudes; say 'dark: none'"
            )
        if flat is not None:
            dead = flat <= 0
            good = ~dead if good is None else good & ~dead
            flat = np.where(dead, 1.0, flat / flat[good].mean()) if good.any() else None
        return cls(
            limit=_limit(raw, settings),
            dark=dark,
            flat=flat,
            beam=_beam(raw, chosen, settings.path),
            good=good,
            each=None if each is None else lambda numbers: np.stack([kept.cut(each[k]) for k in numbers]),
            settings=settings,
            name=raw.source["data"],
        )

    def applied(self, block: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Intensities (n, size, size) of patterns ``numbers`` (n,), and which pixels are bad (bool or None).

        Raises
        ------
        DataFileError
            Counts that are negative or not finite, where the settings do not say what to do with them.
        """
        if self.good is not None:
            block = np.where(self.good, block, block.dtype.type(0))
        bad = self._bad(block, numbers)
        if bad is not None:
            block = np.where(bad, block.dtype.type(0), block)
        if self.settings.negative == "zero":
            block = np.where(block < 0, block.dtype.type(0), block)
        check_counts(block, self.name, self.settings.path, numbers)
        if self.settings.counts == "amplitude":
            block = np.square(block, dtype=np.float64)
        if self.dark is not None:
            block = np.maximum(block - self.dark, 0.0)
            if self.good is not None:
                block = np.where(self.good, block, 0.0)
        if self.flat is not None:
            block = block / self.flat
        if self.beam is not None:
            block = block / self.beam[numbers, None, None]
        return block if bad is None else np.where(bad, block.dtype.type(0), block), bad

    def _bad(self, block: np.ndarray, numbers: np.ndarray) -> np.ndarray | None:
        bad = np.zeros(block.shape, dtype=bool) if self.each is None else ~self.each(numbers)
        if self.limit is not None:
            bad |= block >= self.limit
        if self.settings.negative == "mask" and block.dtype.kind in "if":
            bad |= ~(block >= 0)  # NaN as well
            if block.dtype.kind == "f":
                bad |= np.isinf(block)
        return bad if bad.any() else None


def _limit(raw: Raw, settings: ReadSettings) -> float | None:
    """Counts from which on a pixel is bad.

    Where neither the settings nor the file say it, the largest number of an integer type marks what is no
    count, and so does that of 32 bits in floats. Not that of 8 bits: so narrow a type is chosen for the
    counts that there are.
    """
    if settings.saturation == "none":
        return None
    if settings.saturation != "auto":
        return float(settings.saturation)
    if raw.saturation is not None:
        return raw.saturation
    dtype = raw.patterns.dtype
    if dtype.itemsize == 1:
        return None
    return float(np.iinfo(dtype).max) if dtype.kind in "ui" else GAP_IN_FLOATS


def _gaps(raw: Raw, kept: Window, path: str) -> np.ndarray | None:
    """Pixels (size, size) that hold the mark of a gap, or of a bad pixel, in every pattern.

    None where other numbers are below zero as well: a dark image has been taken off, and -1 is a count.
    """
    if raw.patterns.dtype.kind != "i":
        return None
    sample = raw.sample(path)
    marked = np.asarray(np.isin(sample, MARKS).all(axis=0))
    if not marked.any() or (sample[:, ~marked] < 0).any():
        return None
    gaps = kept.cut(marked)
    raw.source["gaps"] = f"{int(gaps.sum())} pixels that are {' or '.join(map(str, MARKS))} in every pattern"
    return gaps


def _image(raw: Raw, part: str, kept: Window, path: str) -> np.ndarray | None:
    """A dark or flat image, cut like the patterns."""
    image = getattr(raw, part)
    if image is None:
        return None
    name, frame = raw.source[part], raw.patterns.frame
    values = np.asarray(image, dtype=np.float64)
    if values.shape != frame:
        raise DataFileError(
            f"{path}: '{name}' has shape {values.shape}; the patterns have {frame}. Give another one, or say "
            f"'{part}: none'"
        )
    cut = kept.cut(values)
    if not np.isfinite(cut).all():
        raise DataFileError(f"{path}: '{name}' holds NaN or infinite values; say '{part}: none'")
    return cut


def _beam(raw: Raw, chosen: np.ndarray, path: str) -> np.ndarray | None:
    """The light of every pattern, of mean 1 over those that are ``chosen``."""
    if raw.intensities is None:
        return None
    values, name = np.ravel(np.asarray(raw.intensities, dtype=np.float64)), raw.source["intensities"]
    if len(values) != len(chosen):
        raise DataFileError(
            f"{path}: '{name}' holds {len(values)} intensities for {len(chosen)} patterns; say "
            "'intensities: none'"
        )
    wrong = np.flatnonzero(chosen & ~(np.isfinite(values) & (values > 0)))
    if len(wrong):
        raise DataFileError(
            f"{path}: '{name}' is {values[wrong[0]]:g} at pattern {wrong[0]}; expected a number above zero. "
            f"Leave such patterns out with 'drop', or say 'intensities: none'"
        )
    return values / values[chosen].mean()
