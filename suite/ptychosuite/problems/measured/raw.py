"""What a format says about its file, before any setting of the user's is applied; arrays put in shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ptychosuite.core.patterns import allocate
from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.pattern_stack import PatternStack
from ptychosuite.problems.measured.whole import (
    check_memory,
    check_range,
    check_small,
    check_whole,
    type_in_words,
)

Pair = tuple[float, float]
MOST_MASKS = 10**7

SAMPLE = 8  # patterns, spread over the scan, that tell what they all are like
MASK_BLOCK = 2**24  # pixels of masks that are read at once


@dataclass
class Raw:
    """Patterns still in the file, everything else in memory, in the format's own orientation and units.

    What a file does not have is None; patterns and positions have to come from somewhere, though, which is
    seen to where files and settings have been put together. ``source`` says where inside the file each part
    came from ("data", "positions", "probe", "mask", "wavelength", ...), for messages; what is left out is
    called by its own name.

    The pixel of the object follows from ``wavelength_m``, ``distance_m`` and ``detector_pixel_m``, else from
    ``reciprocal_pixel_per_m``, else from ``angular_pixel_rad`` and the wavelength; else it is
    ``object_pixel_m``, for whole patterns.
    """

    stack: PatternStack | None
    positions: np.ndarray | None  # (N, 2) along the detector's rows and columns
    positions_unit: str  # "px", or a unit of length, or "" where the file does not say
    convention: str  # where the format puts zero frequency: "centre", "corner" or ""
    centre: Pair | None = None  # (row, column) of zero frequency, if the file says
    good: np.ndarray | None = None  # (rows, columns) or (N, rows, columns) bool
    probe: np.ndarray | None = None  # (rows, columns), or (modes, rows, columns)
    object_guess: np.ndarray | None = None
    wavelength_m: float | None = None
    distance_m: float | None = None
    detector_pixel_m: Pair | None = None  # height of a row, width of a column
    reciprocal_pixel_per_m: Pair | None = None  # the same as spatial frequencies
    angular_pixel_rad: Pair | None = None  # the same as scattering angles
    object_pixel_m: Pair | None = None  # where the file says that, and not of patterns of how many pixels
    radiation: str = ""  # "photons" or "electrons", where the file says or its kind does
    propagation: str = ""  # "far" or "near" field, where the file says
    dark: np.ndarray | None = None  # (rows, columns), to be taken off every pattern
    flat: np.ndarray | None = None  # (rows, columns), by which every pattern is to be divided
    intensities: np.ndarray | None = None  # (N,), of each pattern's light, in any unit
    saturation: float | None = None  # counts from which on a pixel is bad, where the file says
    pattern_numbers: np.ndarray | None = None  # (N,), which exposure each pattern is, where the file says
    position_numbers: np.ndarray | None = None  # likewise of the positions
    source: dict[str, str] = field(default_factory=dict)
    _sample: np.ndarray | None = field(default=None, init=False, repr=False)

    @property
    def frame(self) -> tuple[int, int] | None:
        """Rows and columns of a pattern, where the patterns are known."""
        return None if self.stack is None else self.stack.frame

    def take_object_pixel(self, pixel: Pair, shape: Sequence[int] | None, name: str) -> None:
        """The pixel of the object, which belongs to patterns of ``shape``, by default those of the file."""
        size = shape or self.frame
        if size is None:
            self.object_pixel_m = pixel
        else:
            self.reciprocal_pixel_per_m = (1 / (size[0] * pixel[0]), 1 / (size[1] * pixel[1]))
        self.source["detector pixel"] = name

    @property
    def ever_good(self) -> np.ndarray | None:
        """Pixels (rows, columns) that are good in any pattern."""
        if self.good is None or self.good.ndim == 2:
            return self.good
        return np.asarray(self.good.any(axis=0))

    @property
    def patterns(self) -> PatternStack:
        """The patterns, where it has been seen to that there are any."""
        assert self.stack is not None
        return self.stack

    def sample(self, path: str) -> np.ndarray:
        """Some whole patterns (n, rows, columns), read once for all who look at them."""
        if self._sample is None:
            self._sample = self.patterns.sample(SAMPLE, path)
        return self._sample


def as_positions(array: Any, name: str, path: str) -> np.ndarray:
    """Positions (N, 2) or (N, 3) in double precision; (2, N) and axes of length one are put right.

    Raises
    ------
    DataFileError
        Another shape, or not real numbers.
    """
    values = _values(array, name, path)
    if values.dtype.kind not in "uif":
        raise DataFileError(f"{path}: '{name}' holds {type_in_words(values.dtype)}, not positions")
    if values.size == 0:
        raise DataFileError(f"{path}: '{name}' holds no positions")
    check_range(values, name, path)
    while values.ndim > 2 and values.shape[0] == 1:
        values = values[0]
    if values.ndim == 3 and values.shape[2] in (2, 3):
        values = values.reshape(-1, values.shape[2])
    if values.ndim == 2 and values.shape[1] not in (2, 3) and values.shape[0] in (2, 3):
        values = values.T
    if values.ndim != 2 or values.shape[1] not in (2, 3):
        raise DataFileError(f"{path}: '{name}' has shape {np.shape(array)}; expected (positions, 2)")
    return values.astype(np.float64)


def as_wave(array: Any, name: str, path: str) -> np.ndarray:
    """A complex field (rows, columns); of several modes or layers the first.

    Raises
    ------
    DataFileError
        Fewer than two axes, or not numbers.
    """
    values = _complex(array, name, path)
    return np.asarray(values.reshape(-1, *values.shape[-2:])[0], dtype=np.complex128)


def as_modes(array: Any, name: str, path: str) -> np.ndarray:
    """Mutually incoherent modes (modes, rows, columns), or one field (rows, columns).

    Of axes before those of the modes, which are of slices, wavelengths, or variations between patterns, the
    first is taken.

    Raises
    ------
    DataFileError
        Fewer than two axes, or not numbers.
    """
    values = _complex(array, name, path)
    while values.ndim > 3 or (values.ndim == 3 and len(values) == 1):
        values = values[0]
    return np.asarray(values, dtype=np.complex128)


def _values(array: Any, name: str, path: str) -> np.ndarray:
    """All numbers of an array, where they are there and fit into the memory."""
    check_whole(array, name, path)
    if hasattr(array, "dtype"):
        check_small(array, name, path)
    return np.asarray(array)


def joined(array: np.ndarray) -> np.ndarray:
    """Complex numbers from those that MATLAB and others keep as pairs, in their shape; else as it is."""
    if array.dtype.names in (("real", "imag"), ("r", "i")):
        first, second = array.dtype.names
        return np.asarray(array[first] + 1j * array[second])
    return array


def _complex(array: Any, name: str, path: str) -> np.ndarray:
    values = joined(_values(array, name, path))
    if values.dtype.kind not in "uifc" or values.ndim < 2 or not values.size:
        raise DataFileError(
            f"{path}: '{name}' has shape {values.shape} of {type_in_words(values.dtype)}; expected complex "
            "numbers (rows, columns)"
        )
    if not np.isfinite(values).all():
        raise DataFileError(f"{path}: '{name}' holds NaN or infinite values")
    check_range(values, name, path)
    return values


def as_image(array: Any, name: str, path: str) -> np.ndarray:
    """An image of the detector (rows, columns) in double precision; of several their mean.

    Raises
    ------
    DataFileError
        Fewer than two axes, or not real numbers.
    """
    values = _values(array, name, path)
    if values.dtype.kind not in "uifb" or values.ndim < 2:
        raise DataFileError(
            f"{path}: '{name}' has shape {values.shape} of {values.dtype}; expected an image of the "
            "detector, (rows, columns)"
        )
    check_range(values, name, path)
    return np.asarray(values.reshape(-1, *values.shape[-2:]).mean(axis=0, dtype=np.float64))


def as_mask(
    array: Any,
    frame: tuple[int, int] | None,
    is_good: Callable[[np.ndarray], np.ndarray],
    name: str,
    path: str,
) -> np.ndarray:
    """Good pixels (rows, columns), or (patterns, rows, columns) of masks that differ from pattern to pattern.

    ``frame`` is None where the patterns are in another file.

    Raises
    ------
    DataFileError
        Its size is not that of the patterns, or it holds no numbers.
    """
    check_whole(array, name, path)
    if array.dtype.kind not in "uifb":
        raise DataFileError(f"{path}: '{name}' holds {type_in_words(array.dtype)}, not a mask")
    shape = tuple(array.shape)
    if math.prod(shape[:-2]) > MOST_MASKS:
        raise DataFileError(f"{path}: '{name}' has shape {shape}, more masks than any scan has patterns")
    if len(shape) < 2 or 0 in shape or shape[-2:] != (frame or shape[-2:]):
        raise DataFileError(f"{path}: '{name}' has shape {shape}; the patterns have {frame}")
    if len(shape) == 2:
        return np.asarray(is_good(np.asarray(array[()])))
    check_memory(shape, name, path)
    lines, together = shape[0], max(1, MASK_BLOCK // math.prod(shape[1:]))
    blocks = (
        is_good(np.asarray(array[first : first + together])).reshape(-1, *shape[-2:])
        for first in range(0, lines, together)
    )
    return joined_masks(blocks, math.prod(shape[:-2]))


def joined_masks(masks: Iterable[np.ndarray], n_patterns: int) -> np.ndarray:
    """Blocks (n, rows, columns) of masks: as one (rows, columns) for all patterns where they are equal.

    Else as one each, (n_patterns, rows, columns).
    """
    first: np.ndarray | None = None
    each: np.ndarray | None = None
    done = 0
    for block in masks:
        first = block[0] if first is None else first
        if each is None and not (block == first).all():
            each = allocate((n_patterns, *first.shape), np.dtype(bool))
            each[:done] = first
        if each is not None:
            each[done : done + len(block)] = block
        done += len(block)
    assert first is not None
    return first.copy() if each is None else each


def mask_rule(mask_good: str, own: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """What a good pixel's value is: the user's word, else the format's ``own`` rule.

    A rule makes of values of any shape a bool each, True where a pixel is good.
    """
    return {"zero": is_zero, "nonzero": is_positive}.get(mask_good, own)


def is_zero(values: np.ndarray) -> np.ndarray:
    """A :func:`mask_rule`, for values of any shape."""
    return np.asarray(values == 0)


def is_positive(values: np.ndarray) -> np.ndarray:
    """A :func:`mask_rule`, for values of any shape."""
    return np.asarray(values > 0)
