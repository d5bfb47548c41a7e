"""Simulated objects. Each class makes a complex transmission function of shape (size, size).

Images come from the packages that bring them, or from files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le
from jaxtyping import Complex, Float

from ptychosuite.errors import DataFileError, nearest
from ptychosuite.problems.files import check_unchanged, stamp
from ptychosuite.problems.problem_kind import MAX_SIZE, ObjectKind, Square
from ptychosuite.registry.validation import SettingError

BUNDLED = (
    "astronaut", "brick", "camera", "cat", "cell", "clock", "coffee", "coins", "grass", "gravel", "horse",
    "hubble_deep_field", "immunohistochemistry", "logo", "microaneurysms", "moon", "page", "retina",
    "rocket", "text",
)  # fmt: skip
"""Images that ship inside scikit-image, so that no download is ever needed."""


def load_image(source: str, size: int, sha256: str = "") -> Float[np.ndarray, "{size} {size}"]:
    """A grey image of ``size`` x ``size`` pixels scaled to [0, 1], read-only.

    A picture that is not square is cut to its central square; another size is resampled.

    Raises
    ------
    DataFileError
        Neither a bundled name nor a readable image, not a two-dimensional (grey or RGB) one, or content
        other than ``sha256`` says.
    """
    if source in BUNDLED:
        return _load_image(source, size, (0, 0, 0))
    if not Path(source).is_file():
        raise DataFileError(
            f"image '{source}' is neither a file nor a bundled image; {nearest(source, BUNDLED)}"
        )
    check_unchanged(source, sha256)
    return _load_image(source, size, stamp(source))


@lru_cache(maxsize=8)
def _load_image(source: str, size: int, stamp: tuple[int, int, int]) -> np.ndarray:
    import skimage.transform

    grey = _as_grey(_read(source), source)
    if not np.isfinite(grey).all():
        raise DataFileError(f"image {source} holds NaN or infinite values")
    side = min(grey.shape)
    top, left = (grey.shape[0] - side) // 2, (grey.shape[1] - side) // 2
    square = grey[top : top + side, left : left + side]
    if side != size:
        square = skimage.transform.resize(square, (size, size), anti_aliasing=size < side)
    low, high = float(square.min()), float(square.max())
    if high == low:
        raise DataFileError(
            f"image {source}: every pixel has the value {low:g}; an image with contrast is needed"
        )
    scaled: np.ndarray = (square - low) / (high - low)
    scaled.setflags(write=False)
    return scaled


def _read(source: str) -> np.ndarray:
    import skimage.data
    from skimage.io import imread

    if source in BUNDLED:
        return np.asarray(getattr(skimage.data, source)())
    try:
        return np.asarray(imread(source))
    except Exception as error:  # imageio's plug-ins raise whatever their format raises
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataFileError(f"image {source} cannot be read: {reason}") from error


def _as_grey(image: np.ndarray, source: str) -> np.ndarray:
    import skimage.color

    if image.ndim == 3 and image.shape[-1] == 4:
        image = image[..., :3]
    if image.ndim == 3 and image.shape[-1] == 3:
        grey: np.ndarray = skimage.color.rgb2gray(image)
        return grey
    if image.ndim == 2:
        return image.astype(np.float64)
    raise DataFileError(
        f"image {source} has shape {image.shape}; expected (rows, columns) or (rows, columns, 3)"
    )


HALF_PI = float(np.pi / 2)


@dataclass(frozen=True)
class Images(Square):
    """Two test images: one scaled to (0, 1] as magnitude, one to [0, phase_range] as phase.

    Parameters
    ----------
    magnitude, phase
        Name of an image bundled with scikit-image, or the path of an image file.
    size
        Pixels on a side.
    phase_range
        Largest phase in radians.
    """

    bundled_images: ClassVar[Sequence[str]] = BUNDLED

    magnitude: str = "astronaut"
    phase: str = "camera"
    size: Annotated[int, Ge(8), Le(MAX_SIZE)] = 512
    phase_range: Annotated[float, Gt(0), Le(2 * np.pi)] = HALF_PI
    magnitude_sha256: str = ""
    phase_sha256: str = ""

    def make(self) -> Complex[np.ndarray, "H W"]:
        darkest = 1 / 256  # "(0, 1]": one grey level above nothing
        magnitude = darkest + (1 - darkest) * load_image(self.magnitude, self.size, self.magnitude_sha256)
        phase = self.phase_range * load_image(self.phase, self.size, self.phase_sha256)
        return magnitude * np.exp(1j * phase)


@dataclass(frozen=True)
class Circuit(Square):
    """A procedural integrated circuit: three wiring layers and vias, with an empty border.

    Parameters
    ----------
    size
        Pixels on a side.
    border
        Share of the side left empty (transmission 1) on each edge.
    absorption
        -log magnitude where all layers overlap.
    phase_range
        Largest phase in radians, where all layers overlap.
    pattern
        Number of the random layout.
    """

    size: Annotated[int, Ge(32), Le(MAX_SIZE)] = 512
    border: Annotated[float, Ge(0), Le(0.4)] = 0.15
    absorption: Annotated[float, Ge(0)] = 0.7
    phase_range: Annotated[float, Gt(0)] = HALF_PI
    pattern: Annotated[int, Ge(0)] = 0

    def make(self) -> Complex[np.ndarray, "H W"]:
        rng = np.random.default_rng(self.pattern)
        margin = round(self.border * self.size)
        side = self.size - 2 * margin
        pitch = max(4, side // 28)
        thickness = (
            0.3 * _wires(side, pitch, rng)
            + 0.3 * _wires(side, pitch, rng).T
            + 0.25 * _wires(side, 3 * pitch, rng)
            + 0.15 * _vias(side, pitch, rng)
        )
        full = np.zeros(self.shape)
        full[margin : margin + side, margin : margin + side] = thickness
        return np.exp((-self.absorption + 1j * self.phase_range) * full)


def _wires(side: int, pitch: int, rng: np.random.Generator) -> np.ndarray:
    """Horizontal wires half a pitch wide, cut into random lengths: (side, side) of 0 and 1."""
    layer = np.zeros((side, side))
    width = max(2, pitch // 2)
    for top in range(pitch // 2, side - width, pitch):
        left = int(rng.integers(0, 2 * pitch))
        while left < side:
            length = int(rng.integers(2 * pitch, max(4 * pitch, side // 2)))
            layer[top : top + width, left : left + length] = 1
            left += length + int(rng.integers(pitch, 4 * pitch))
    return layer


def _vias(side: int, pitch: int, rng: np.random.Generator) -> np.ndarray:
    """Square contacts at random places of the wiring grid: (side, side) of 0 and 1."""
    layer = np.zeros((side, side))
    width = max(2, pitch // 2)
    corners = np.arange(pitch // 2, side - width, pitch)
    for top in corners:
        for left in corners[rng.random(len(corners)) < 0.25]:
            layer[top : top + width, left : left + width] = 1
    return layer


@dataclass(frozen=True)
class SiemensStar(Square):
    """A Siemens star: opaque spokes that grow ever finer towards the centre.

    Parameters
    ----------
    size
        Pixels on a side.
    spokes
        Number of opaque spokes.
    radius
        Outer radius as a share of half the side.
    magnitude, phase
        Transmission of a spoke; phase in radians. Between the spokes it is 1.
    """

    size: Annotated[int, Ge(32), Le(MAX_SIZE)] = 512
    spokes: Annotated[int, Ge(2)] = 36
    radius: Annotated[float, Gt(0), Le(1)] = 0.8
    magnitude: Annotated[float, Gt(0), Le(1)] = 0.7
    phase: float = 0.8

    def make(self) -> Complex[np.ndarray, "H W"]:
        fine = 4  # supersampling, for edges without stairs
        n = fine * self.size
        axis = (np.arange(n) + 0.5) / n * 2 - 1
        y, x = np.meshgrid(axis, axis, indexing="ij")
        inside = np.hypot(y, x) < self.radius
        spokes = (np.sin(self.spokes * np.arctan2(y, x)) > 0) & inside
        share = spokes.reshape(self.size, fine, self.size, fine).mean(axis=(1, 3))
        return (self.magnitude**share) * np.exp(1j * self.phase * share)


@dataclass(frozen=True)
class Texture(Square):
    """A random texture with structure on all scales: Gaussian fields of power-law spectrum.

    Parameters
    ----------
    size
        Pixels on a side.
    exponent
        Spectral density falls as frequency to the minus ``exponent``; 2 to 4 look natural.
    magnitude_min
        Smallest magnitude; the largest is 1.
    phase_range
        Largest phase in radians; the smallest is 0.
    pattern
        Number of the random field.
    """

    size: Annotated[int, Ge(8), Le(MAX_SIZE)] = 512
    exponent: Annotated[float, Ge(0)] = 3.0
    magnitude_min: Annotated[float, Gt(0), Le(1)] = 0.3
    phase_range: Annotated[float, Gt(0)] = HALF_PI
    pattern: Annotated[int, Ge(0)] = 0

    def make(self) -> Complex[np.ndarray, "H W"]:
        rng = np.random.default_rng(self.pattern)
        magnitude, phase = (_power_law_field(self.size, self.exponent, rng) for _ in range(2))
        return (self.magnitude_min + (1 - self.magnitude_min) * magnitude) * np.exp(
            1j * self.phase_range * phase
        )


@dataclass(frozen=True)
class DeadLeaves(Square):
    """Opaque polygons of all sizes that cover one another: the edges and occlusions of natural images.

    A. Lee, D. Mumford, J. Huang, "Occlusion models for natural images", Int. J. Comput. Vis. 41, 35 (2001):
    radii are distributed as r^-3, which makes the image look alike at every scale.

    Parameters
    ----------
    size
        Pixels on a side.
    leaves
        Number of polygons.
    radius_px_min
        Smallest radius in pixels, less than half the side, which is the largest.
    magnitude_min
        Smallest magnitude; the largest is 1.
    phase_range
        Largest phase in radians; the smallest is 0.
    pattern
        Number of the random arrangement.
    """

    size: Annotated[int, Ge(8), Le(MAX_SIZE)] = 512
    leaves: Annotated[int, Ge(1)] = 2000
    radius_px_min: Annotated[float, Ge(1)] = 3.0
    magnitude_min: Annotated[float, Gt(0), Le(1)] = 0.3
    phase_range: Annotated[float, Gt(0)] = HALF_PI
    pattern: Annotated[int, Ge(0)] = 0

    @property
    def shape(self) -> tuple[int, int]:
        if self.radius_px_min >= self.size / 2:
            message = f"found {self.radius_px_min:g}; expected less than {self.size / 2:g}, half the side"
            raise SettingError(("radius_px_min",), message, partner=("size",))
        return self.size, self.size

    def make(self) -> Complex[np.ndarray, "H W"]:
        from skimage.draw import polygon

        rng = np.random.default_rng(self.pattern)
        obj = np.ones(self.shape, dtype=np.complex128)
        for _ in range(self.leaves):
            inverse_square = rng.uniform((2 / self.size) ** 2, self.radius_px_min**-2)
            angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 12)))
            corners = rng.uniform(0, self.size, 2)[:, None] + inverse_square**-0.5 * np.stack(
                [np.sin(angles), np.cos(angles)]
            )
            magnitude = rng.uniform(self.magnitude_min, 1)
            phase = rng.uniform(0, self.phase_range)
            obj[polygon(*corners, shape=self.shape)] = magnitude * np.exp(1j * phase)
        return obj


@dataclass(frozen=True)
class OwnGuess(ObjectKind):
    """The object that a file of measured patterns holds itself, to start from: for ``start_object`` alone."""

    is_own_guess: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int, int]:
        raise DataFileError(
            "'guess' is what a measured file holds: it may stand as problem.start_object only"
        )

    def make(self) -> Complex[np.ndarray, "H W"]:
        raise DataFileError(
            "'guess' is what a measured file holds: it may stand as problem.start_object only"
        )


def _power_law_field(size: int, exponent: float, rng: np.random.Generator) -> np.ndarray:
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = np.inf  # no mean
    spectrum = np.fft.rfft2(rng.standard_normal((size, size))) * frequency ** (-exponent / 2)
    field = np.fft.irfft2(spectrum, s=(size, size))
    return (field - field.min()) / (field.max() - field.min())
