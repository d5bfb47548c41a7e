"""Diffraction patterns on the host: kept narrow, on the disk where they do not fit, handed out as amplitudes.

Counts of photons are whole numbers and need two bytes a pixel, sometimes one or four; their square roots in
the precision of the reconstruction would need four or eight.
"""

from __future__ import annotations

import math
import os
import tempfile
from typing import Any

import numpy as np
import psutil
from jaxtyping import Float, Int, Real, Shaped, UInt

from ptychosuite.backends.compiled import accelerated
from ptychosuite.errors import DataFileError

SHARE_OF_MEMORY = 0.5  # patterns that need more than this part of the free memory go to the disk


class Patterns:
    """sqrt(scale * values) of each pattern, computed where it is asked for.

    Indexing along the first axis, by number, slice or array of numbers, gives amplitudes as an array.
    """

    def __init__(self, values: np.ndarray, scale: float, dtype: str) -> None:
        self.values = values  # (N, m, m) real, counts or intensities
        self.scale = scale
        self.dtype = np.dtype(dtype)  # of the amplitudes
        self.shape = values.shape

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int | slice | np.ndarray) -> np.ndarray:
        return amplitudes(np.asarray(self.values[index]), self.scale, self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or self.dtype, copy=False)

    def part(self, which: slice | Int[np.ndarray, " n"]) -> Patterns:
        """Some of the patterns; a slice takes no copy."""
        return Patterns(self.values[which], self.scale, str(self.dtype))


@accelerated
def amplitudes(values: Real[np.ndarray, "*d"], scale: float, dtype: np.dtype[Any]) -> Float[np.ndarray, "*d"]:
    """sqrt(scale * values), in the precision of ``dtype``."""
    return np.sqrt(dtype.type(scale) * values.astype(dtype))


class Recorder:
    """Takes in patterns block by block, in as narrow a type as holds all that came so far."""

    def __init__(self, n_patterns: int) -> None:
        self.n_patterns, self.filled = n_patterns, 0
        self.values = np.empty((0, 0, 0), np.uint8)

    def append(self, block: Real[np.ndarray, "n m m"]) -> None:
        """Take in the next patterns.

        Raises
        ------
        DataFileError
            They fit neither into memory nor on the disk.
        """
        if self.filled == 0:
            self.values = allocate((self.n_patterns, *block.shape[1:]), block.dtype)
        elif not np.can_cast(block.dtype, self.values.dtype):
            wider = allocate(self.values.shape, np.result_type(block.dtype, self.values.dtype))
            wider[: self.filled] = self.values[: self.filled]
            self.values = wider
        self.values[self.filled : self.filled + len(block)] = block
        self.filled += len(block)


def narrowest(counts: Real[np.ndarray, "*d"]) -> UInt[np.ndarray, "*d"]:
    """Whole numbers, none negative, in the narrowest unsigned type that holds them exactly."""
    return counts.astype(np.min_scalar_type(int(counts.max(initial=0))), copy=False)


def allocate(shape: tuple[int, ...], dtype: Any) -> Shaped[np.ndarray, "*_"]:
    """An uninitialised array of ``shape``; backed by a file that vanishes with it where memory is short.

    The file is in the folder for temporary files; the environment variable TMPDIR names another.

    Raises
    ------
    DataFileError
        It fits neither into memory nor on the disk.
    """
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    if needed <= SHARE_OF_MEMORY * psutil.virtual_memory().available:
        return np.empty(shape, dtype)
    try:
        with tempfile.TemporaryFile(prefix="ptychosuite-") as file:
            os.posix_fallocate(file.fileno(), 0, needed)  # a full disk shows now, not at some later access
            return np.memmap(file, dtype, mode="r+", shape=shape)
    except OSError as error:
        raise DataFileError(
            f"the patterns need {needed / 2**30:.1f} GiB, which fit neither into memory nor into "
            f"{tempfile.gettempdir()} ({error.strerror}); set TMPDIR to a folder with more room"
        ) from error
