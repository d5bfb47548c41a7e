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
class OnePattern:
    """An array of two axes as a stack of one pattern: (1, rows, columns)."""

    array: Any

    @property
    def shape(self) -> tuple[int, int, int]:
        rows, columns = self.array.shape
        return 1, int(rows), int(columns)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.array.dtype)

    def __getitem__(self, key: tuple[Any, ...]) -> np.ndarray:
        return np.asarray(self.array[key[1:]])[np.newaxis][key[0]]


@dataclass(frozen=True)
class Block:
    """Patterns that are read at once."""

    part: Part
    numbers: range  # of the patterns in the part that are read
    wanted: np.ndarray  # which of these are kept, bool
    of_stack: np.ndarray  # and their numbers in the stack


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
        return np.result_type(*{part.array.dtype for part in self.parts})

    def blocks(self, chosen: np.ndarray, pixels: int) -> Iterator[Block]:
        """The patterns that are ``chosen`` (N,) bool, in blocks of about 64 MB of ``pixels`` pixels each."""
        before = 0
        fitting = max(1, BLOCK_BYTES // (pixels * self.dtype.itemsize))
        for part in self.parts:
            wanted = np.flatnonzero(chosen[before : before + part.n_patterns])
            step = int(np.gcd.reduce(np.diff(wanted))) if len(wanted) > 1 else 1
            chunks = getattr(part.array, "chunks", None)
            together = chunks[part.axes[0]] if chunks else 1
            # Whole chunks of the file, so that none is decompressed twice.
            length = math.ceil(fitting * step / together) * together
            for start in range(0, part.n_patterns, length):
                of_block = wanted[(wanted >= start) & (wanted < start + length)]
                if len(of_block):
                    numbers = range(int(of_block[0]), int(of_block[-1]) + 1, step)
                    yield Block(part, numbers, np.isin(numbers, of_block), before + of_block)
            before += part.n_patterns

    def totals(self, chosen: np.ndarray, good: np.ndarray | None, path: str) -> np.ndarray:
        """Counts (N,) in the ``good`` pixels (rows, columns) of the patterns that are ``chosen`` (N,) bool.

        They are 0 of the others.

        Raises
        ------
        DataFileError
            The file is damaged there.
        """
        found, whole = np.zeros(len(chosen)), [slice(None)]
        for block in self.blocks(chosen, math.prod(self.frame)):
            values = self.read(block, whole, whole, path).astype(np.float64)
            found[block.of_stack] = values.sum(axis=(1, 2), where=True if good is None else good)
        return found

    def read(self, block: Block, rows: Sequence[slice], columns: Sequence[slice], path: str) -> np.ndarray:
        """Patterns (n, rows, columns) of one block, put together from pieces of rows and columns.

        Raises
        ------
        DataFileError
            The file is damaged there.
        """
        try:
            pieces = [[block.part.read(block.numbers, r, c) for c in columns] for r in rows]
        except DAMAGED as error:
            raise DataFileError(
                f"{path}: '{self.name}' cannot be read at pattern {block.of_stack[0]} ({as_told(error)}); "
                "the file is damaged or was not copied whole"
            ) from error
        whole = np.concatenate([np.concatenate(line, axis=2) for line in pieces], axis=1)
        return whole if block.wanted.all() else whole[block.wanted]

    def check_ends(self, rows: Sequence[slice], columns: Sequence[slice], path: str) -> None:
        """Read the first and the last pattern of each array, as a file that was cut short cannot.

        Raises
        ------
        DataFileError
            The file is damaged there.
        """
        before = 0
        for part in self.parts:
            for number in sorted({0, part.n_patterns - 1}):
                one = Block(part, range(number, number + 1), np.ones(1, bool), np.array([before + number]))
                self.read(one, rows, columns, path)
            before += part.n_patterns

    def sample(self, n: int, path: str) -> np.ndarray:
        """At most ``n`` whole patterns spread over the stack: (n, rows, columns).

        Raises
        ------
        DataFileError
            The file is damaged there, or so many do not go into the memory.
        """
        check_memory((min(n, self.n_patterns), *self.frame), self.name, path, pixel_bytes=8)
        chosen = np.zeros(self.n_patterns, dtype=bool)
        chosen[:: max(1, math.ceil(self.n_patterns / n))] = True
        whole, found = [slice(None)], []
        for number in np.flatnonzero(chosen):  # one by one: what lies between is not read
            only = np.zeros_like(chosen)
            only[number] = True
            found += [self.read(block, whole, whole, path) for block in self.blocks(only, 1)]
        return np.concatenate(found)


def single_stack(
    array: Any, name: str, path: str, n_positions: int | None = None, matlab: bool = False
) -> PatternStack:
    """The stack that one array holds: (N, r, c), a raster (A, B, r, c), MATLAB's (r, c, N), or one pattern.

    Axes of length one in front are passed over. One pattern (r, c) serves where there are several files. Of
    three axes the one that has ``n_positions`` is that of the patterns; where that does not tell, it is the
    last one of an array from MATLAB, else the first.

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
        last = _patterns_last((shape[axes[0]], shape[axes[1]], shape[axes[2]]), n_positions, matlab)
        order = (axes[2], axes[0], axes[1]) if last else (axes[0], axes[1], axes[2])
        return PatternStack((Part(array, order),), name)
    if len(axes) == 4:
        return PatternStack((Part(array, (axes[1], axes[2], axes[3]), outer=axes[0]),), name)
    if len(axes) == 2:
        return PatternStack((Part(OnePattern(array), (0, 1, 2)),), name)
    raise DataFileError(unexpected_shape(shape, name, path))


def refuse_one_pattern(stack: PatternStack, path: str) -> None:
    """Refuse an array (rows, columns) that has come alone.

    Raises
    ------
    DataFileError
        It has.
    """
    array = stack.parts[0].array
    if isinstance(array, OnePattern):
        raise DataFileError(
            unexpected_shape(array.shape[1:], stack.name, path)
            + "; where each file holds one pattern, give the path of all with '*'"
        )


def unexpected_shape(shape: tuple[int, ...], name: str, path: str) -> str:
    """What to say of an array that can be no patterns."""
    return (
        f"{path}: '{name}' has shape {shape}; expected patterns (number, rows, columns) or, for a raster "
        "scan, (slow, fast, rows, columns)"
    )


def _patterns_last(shape: tuple[int, int, int], n_positions: int | None, matlab: bool) -> bool:
    """Whether the last of three axes counts the patterns, and not the first."""
    if n_positions is not None and (shape[0] == n_positions) != (shape[2] == n_positions):
        return shape[2] == n_positions
    return matlab and not shape[0] != shape[1] == shape[2]
