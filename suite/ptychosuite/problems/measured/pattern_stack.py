"""A stack of patterns inside a file, read a block at a time and only where it is needed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.source import DAMAGED, as_told
from ptychosuite.problems.measured.whole import check_memory, check_whole, check_written, type_in_words

BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Part:
    """Patterns in one array: an h5py dataset or anything else with a shape, a dtype and slices.

    Other axes than those named here have length one.
    """

    array: Any
    axes: tuple[int, int, int]  # axes of the array that hold pattern, row and column
    outer: int | None = None  # slow scan axis, where a raster scan keeps four axes

    @property
    def inner(self) -> int:
        return int(self.array.shape[self.axes[0]])

    @property
    def n_patterns(self) -> int:
        return self.inner * (int(self.array.shape[self.outer]) if self.outer is not None else 1)

    def read(self, numbers: range, rows: slice, columns: slice) -> np.ndarray:
        """Patterns ``numbers`` of this part: (n, rows, columns)."""
        if self.outer is None:
            return self._read_line(numbers, rows, columns, 0)
        lines = []
        for line in range(numbers[0] // self.inner, numbers[-1] // self.inner + 1):
            wanted = [i - line * self.inner for i in numbers if i // self.inner == line]
            if wanted:
                block = range(wanted[0], wanted[-1] + 1, numbers.step)
                lines.append(self._read_line(block, rows, columns, line))
        return np.concatenate(lines)

    def _read_line(self, numbers: range, rows: slice, columns: slice, line: int) -> np.ndarray:
        selection: list[Any] = [0] * len(self.array.shape)
        if self.outer is not None:
            selection[self.outer] = line
        for axis, part in zip(
            self.axes, (slice(numbers.start, numbers[-1] + 1, numbers.step), rows, columns), strict=True
        ):
            selection[axis] = part
        kept = sorted(self.axes)
        return np.transpose(self.array[tuple(selection)], [kept.index(axis) for axis in self.axes])


@dataclass(frozen=True)
class PatternStack:
    """Patterns (N, rows, columns) spread over one or more arrays of a file."""

    parts: tuple[Part, ...]
    name: str  # path of the array inside the file, for messages

    @property
    def n_patterns(self) -> int:
        return sum(part.n_patterns for part in self.parts)

    @property
    def frame(self) -> tuple[int, int]:
        """Rows and columns of a pattern."""
        part = self.parts[0]
        return int(part.array.shape[part.axes[1]]), int(part.array.shape[part.axes[2]])

    @property
    def scan_shape(self) -> tuple[int, int] | None:
        """Slow and fast axis of a raster, where one array has both."""
        part = self.parts[0]
        if len(self.parts) > 1 or part.outer is None:
            return None
        return int(part.array.shape[part.outer]), part.inner

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.result_type(*(part.array.dtype for part in self.parts))

    def blocks(self, every: int, pixels: int) -> Iterator[tuple[int, Part, range]]:
        """Each n-th pattern in blocks of about 64 MB of ``pixels`` pixels a pattern.

        Yields the number of the first pattern, the part it lies in, and the patterns in the part.
        """
        before = 0
        for part in self.parts:
            chunks = getattr(part.array, "chunks", None)
            together = chunks[part.axes[0]] if chunks else 1
            fitting = max(1, BLOCK_BYTES // (pixels * self.dtype.itemsize))
            # Whole chunks of the file, so that none is decompressed twice.
            length = math.ceil(fitting / together) * together * every
            for start in range(-before % every, part.n_patterns, length):
                numbers = range(start, min(start + length, part.n_patterns), every)
                yield before + start, part, numbers
            before += part.n_patterns

    def read(
        self, part: Part, numbers: range, rows: Sequence[slice], columns: Sequence[slice], path: str
    ) -> np.ndarray:
        """Patterns of one block, put together from pieces of rows and columns.

        Raises
        ------
        DataFileError
            The file is damaged there.
        """
        try:
            pieces = [[part.read(numbers, r, c) for c in columns] for r in rows]
        except DAMAGED as error:
            raise DataFileError(
                f"{path}: '{self.name}' cannot be read at pattern {numbers.start} ({as_told(error)}); "
                "the file is damaged or was not copied whole"
            ) from error
        return np.concatenate([np.concatenate(line, axis=2) for line in pieces], axis=1)

    def check_ends(self, rows: Sequence[slice], columns: Sequence[slice], path: str) -> None:
        """Read the first and the last pattern of each array, as a file that was cut short cannot.

        Raises
        ------
        DataFileError
            The file is damaged there.
        """
        for part in self.parts:
            for number in sorted({0, part.n_patterns - 1}):
                self.read(part, range(number, number + 1), rows, columns, path)

    def sample(self, n: int, path: str) -> np.ndarray:
        """At most ``n`` whole patterns spread over the stack."""
        check_memory((min(n, self.n_patterns), *self.frame), self.name, path, pixel_bytes=8)
        every = max(1, math.ceil(self.n_patterns / n))
        whole = (slice(None),)
        found = [
            self.read(part, range(i, i + 1), whole, whole, path)
            for _, part, numbers in self.blocks(every, math.prod(self.frame))
            for i in numbers
        ]
        return np.concatenate(found)


def single_stack(array: Any, name: str, path: str, n_positions: int | None = None) -> PatternStack:
    """The stack that one array holds: (N, r, c), a raster (A, B, r, c), or MATLAB's (r, c, N).

    Axes of length one in front are passed over.

    Raises
    ------
    DataFileError
        Another number of axes, or contents that are not real numbers.
    """
    check_whole(array, name, path)
    if array.dtype.kind not in "uifb":
        raise DataFileError(
            f"{path}: '{name}' holds {type_in_words(array.dtype)}, not real numbers; name another with 'data'"
        )
    shape = tuple(array.shape)
    if 0 in shape:
        raise DataFileError(f"{path}: '{name}' has shape {shape} and holds no patterns")
    check_written(array, name, path)
    lead = 0
    while len(shape) - lead > 3 and shape[lead] == 1:
        lead += 1
    axes = tuple(range(lead, len(shape)))
    if len(axes) == 3:
        last = n_positions is not None and shape[axes[0]] != n_positions == shape[axes[2]]
        order = (axes[2], axes[0], axes[1]) if last else (axes[0], axes[1], axes[2])
        return PatternStack((Part(array, order),), name)
    if len(axes) == 4:
        return PatternStack((Part(array, (axes[1], axes[2], axes[3]), outer=axes[0]),), name)
    raise DataFileError(
        f"{path}: '{name}' has shape {shape}; expected patterns (number, rows, columns) or, for a raster "
        "scan, (slow, fast, rows, columns)"
    )
