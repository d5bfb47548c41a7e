"""Whether all numbers of an array are there before it is read: HDF5 makes up zeros for those that are not."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  # registers the filters of detectors: bitshuffle, LZ4, Blosc, Zstandard
import numpy as np
import psutil

from ptychosuite.errors import DataFileError
from ptychosuite.problems.guard_child import found_at

LEVELS = 8  # of virtual datasets whose sources are virtual
READ_WHOLE = 0.25  # share of the memory that an array may take that is not read in pieces
LARGEST = 1e100  # number in any unit
UNLIMITED = h5py.h5s.UNLIMITED


def check_whole(array: Any, name: str, path: str) -> None:
    """Refuse an array of an HDF5 file whose numbers are not all there, or cannot be unpacked here.

    Arrays that are in memory, or come from files of other kinds, are left alone.

    Raises
    ------
    DataFileError
        A link leads nowhere, a source of a virtual dataset or the raw numbers are missing or too short, or a
        filter is not available. The message names the array.
    """
    dataset = getattr(array, "dataset", array)
    if hasattr(array, "check_whole"):
        array.check_whole()
    elif isinstance(dataset, h5py.Dataset) and (trouble := _trouble(dataset, LEVELS)):
        raise DataFileError(f"{path}: '{name}' {trouble}")


def check_small(array: Any, name: str, path: str) -> None:
    """Refuse an array that is to be read at once and would fill the memory.

    Raises
    ------
    DataFileError
        With its shape.
    """
    size = n_bytes(array)
    if size > READ_WHOLE * psutil.virtual_memory().total:
        raise DataFileError(
            f"{path}: '{name}' has shape {tuple(array.shape)}, {in_words(size)}, which is more than can be "
            "read at once; the file is damaged, or name another array"
        )


def check_memory(shape: tuple[int, ...], name: str, path: str, pixel_bytes: int = 1) -> None:
    """Refuse patterns of this ``shape`` that do not go into the memory.

    Raises
    ------
    DataFileError
        With what is there, and how to read less.
    """
    size, memory = math.prod(shape) * pixel_bytes, psutil.virtual_memory().total
    if size > memory:
        raise DataFileError(
            f"{path}: '{name}' has {shape[0]} patterns of {shape[1]} x {shape[2]} pixels, {in_words(size)} "
            f"at least, and this machine {in_words(memory)} of memory; give 'crop', 'bin' or 'every', "
            "or the file is damaged"
        )


def check_written(array: Any, name: str, path: str) -> None:
    """Refuse an array that was declared and never written, which reads as zeros.

    Raises
    ------
    DataFileError
        With its name.
    """
    dataset = getattr(array, "dataset", array)
    if (
        not isinstance(dataset, h5py.Dataset)
        or dataset.is_virtual
        or dataset.external
        or not n_bytes(dataset)
    ):
        return
    if dataset.id.get_storage_size() == 0:
        raise DataFileError(f"{path}: '{name}' was declared, and nothing was written into it")


def check_range(values: np.ndarray, name: str, path: str) -> None:
    """Refuse numbers whose squares are beyond double precision, which are bytes of something else.

    ``values`` may have any shape.

    Raises
    ------
    DataFileError
        With the largest.
    """
    most = max(float(np.nanmax(np.abs(part), initial=0)) for part in (values.real, values.imag))
    if LARGEST < most < np.inf:
        raise DataFileError(f"{path}: '{name}' holds numbers up to {most:.2g}; the file is damaged")


def n_bytes(array: Any) -> int:
    """How much memory an array takes by its shape and type; nothing, where it has no shape."""
    return math.prod(int(n) for n in ((0,) if array.shape is None else array.shape)) * int(
        array.dtype.itemsize
    )


def type_in_words(dtype: np.dtype[Any]) -> str:
    """What an array holds, for people."""
    return (
        "text"
        if dtype.kind in "US"
        else f"records of {', '.join(dtype.names)}"
        if dtype.names
        else str(dtype)
    )


def in_words(size: float) -> str:
    """A number of bytes for people."""
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, "PB"
    return f"{size:.3g} {unit}"


def _trouble(dataset: Any, levels: int) -> str:
    """What is wrong with a dataset, as the end of a sentence; "" where it is whole."""
    if dataset.shape is None:
        return "is an empty dataset, which has no shape"
    return (
        _filters(dataset)
        or (_sources(dataset, levels) if dataset.is_virtual else "")
        or (_raw_numbers(dataset) if dataset.external else "")
    )


def _filters(dataset: Any) -> str:
    properties = dataset.id.get_create_plist()
    for number in range(properties.get_nfilters()):
        code, _, _, label = properties.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            called = f" ({label.decode(errors='replace')})" if label else ""
            return (
                f"is packed with the HDF5 filter {code}{called}, which hdf5plugin does not have; "
                "unpack the file with h5repack where that filter is installed"
            )
    return ""


def _raw_numbers(dataset: Any) -> str:
    """Numbers outside of the file: HDF5 reads zeros behind the end of a file that is too short."""
    left = n_bytes(dataset)
    for name, offset, size in dataset.external:
        needed = min(size, left)
        place = found_at("raw", name, dataset.file.filename)
        if not place:
            return (
                f"keeps its numbers in '{name}', which is not there; HDF5 looks for it in the folder where "
                "ptychosuite is started"
            )
        if os.path.getsize(place) < offset + needed:
            return (
                f"keeps its numbers in '{name}', which has {os.path.getsize(place)} bytes and should have "
                f"{offset + needed}; it was not copied whole"
            )
        left -= needed
    return ""


def _sources(dataset: Any, levels: int) -> str:
    if not levels:
        return f"is put together from others over more than {LEVELS} levels"
    checked: set[tuple[str, str]] = set()
    for name, sources in groupby(dataset.virtual_sources(), key=lambda source: source.file_name):
        with _opened(name, dataset.file) as file:
            for source in sources:
                if "%b" in name + source.dset_name:  # ends before the first that is missing
                    continue
                if trouble := _source(dataset, source, file, checked, levels):
                    return trouble
    return ""


def _source(dataset: Any, source: Any, file: Any, checked: set[tuple[str, str]], levels: int) -> str:
    """What is wrong with one source of a virtual dataset, in a ``file`` that is None where it is missing."""
    name, inside = source.file_name.replace("%%", "%"), source.dset_name.replace("%%", "%")
    what = f"is put together from other arrays, and '{inside}'" + (f" of {name}" if name != "." else "")
    if file is None:
        return f"{what} is not there; put that file where it was written, or beside this one"
    found = file.get(inside)
    if not isinstance(found, h5py.Dataset):
        return f"{what} is not there; the file has no such array"
    if _too_small(source, found, dataset.shape):
        return f"{what} has shape {found.shape}, less than is taken of it; it was not written to its end"
    if (name, inside) not in checked:
        checked.add((name, inside))
        if trouble := _trouble(found, levels - 1):
            return f"{what} {trouble}"
    return ""


@contextmanager
def _opened(name: str, owner: Any) -> Iterator[Any]:
    """The file of a source, or None where it is missing."""
    place = found_at("virtual", name.replace("%%", "%"), owner.filename)
    with ExitStack() as stack:
        file = owner if name == "." else None
        if place and name != ".":
            with suppress(OSError):
                file = stack.enter_context(h5py.File(place, "r"))
        yield file


def _too_small(source: Any, found: Any, shape: tuple[int, ...]) -> bool:
    """Whether a virtual dataset of ``shape`` takes more of a source than there is."""
    taken, into = source.src_space, source.vspace
    if taken.get_select_type() == h5py.h5s.SEL_ALL:
        whole = math.prod(shape)
        needed = whole if into.get_select_type() == h5py.h5s.SEL_ALL else into.get_select_npoints()
        return bool(math.prod(found.shape) < needed)
    if not taken.is_regular_hyperslab():
        return any(last >= n for last, n in zip(taken.get_select_bounds()[1], found.shape, strict=True))
    start, stride, count, block = taken.get_regular_hyperslab()
    counts = [_blocks(into, shape) if n == UNLIMITED else n for n in count]
    ends = [s + (n - 1) * step + b for s, n, step, b in zip(start, counts, stride, block, strict=True) if n]
    return any(end > n for end, n in zip(ends, found.shape, strict=False))


def _blocks(into: Any, shape: tuple[int, ...]) -> int:
    """How many blocks a selection without end has in a dataset of ``shape``, along the axis without end."""
    for start, stride, count, block, n in zip(*into.get_regular_hyperslab(), shape, strict=True):
        if count == UNLIMITED:
            return int(max(0, (n - start - block) // stride + 1))
    return 0
