"""The arrays of a file: shape and type at once, numbers when they are sliced, whatever the file is."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from typing import IO, Any

import h5py
import numpy as np
from numpy.lib import format as npy

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.finding import members, trouble_at
from ptychosuite.problems.measured.whole import check_small, check_whole, in_words, n_bytes

CLASS, EMPTY = "MATLAB_class", "MATLAB_empty"  # attributes of the datasets that MATLAB writes


class NpyArray:
    """An array as NumPy saves it: its header at once, its numbers when they are asked for.

    Parameters
    ----------
    opened
        Opens the stream of its bytes.
    size
        How many bytes there are; a header that claims more, or other numbers, is refused.
    """

    attrs: dict[str, Any]

    def __init__(self, opened: Callable[[], IO[bytes]], size: int, name: str, path: str) -> None:
        self._opened, self.name, self.path, self.attrs = opened, name, path, {}
        self._values: np.ndarray | None = None
        with opened() as stream:
            version = npy.read_magic(stream)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            self.shape, _, self.dtype = read(stream)
            held = size - stream.tell()
        if not self.dtype.hasobject and n_bytes(self) != held:
            raise DataFileError(
                f"{path}: '{name}' claims {in_words(n_bytes(self))} by its shape {self.shape}, and has "
                f"{in_words(held)}; the file is damaged or was not copied whole"
            )

    def __getitem__(self, key: Any) -> np.ndarray:
        if self._values is None:
            check_small(self, self.name, self.path)
            with self._opened() as stream:
                self._values = npy.read_array(stream, allow_pickle=False)
        return np.asarray(self._values[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[...], dtype=dtype)


class HDF5Array:
    """A dataset that is checked to be whole before it is first read."""

    def __init__(self, dataset: Any, name: str, path: str) -> None:
        self.dataset, self.name, self.path = dataset, name, path
        self.shape, self.dtype, self.chunks = dataset.shape or (), dataset.dtype, dataset.chunks
        self.attrs = dataset.attrs
        self._checked = False

    def check_whole(self) -> None:
        if not self._checked:
            check_whole(self.dataset, self.name, self.path)
        self._checked = True

    def __getitem__(self, key: Any) -> np.ndarray:
        self.check_whole()
        if key is Ellipsis or key == ():
            check_small(self, self.name, self.path)
        return np.asarray(self._read(key))

    def _read(self, key: Any) -> Any:
        return self.dataset[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[...], dtype=dtype)


class MatlabArray(HDF5Array):
    """An array of a MATLAB 7.3 file, which is HDF5 with the axes in reverse order.

    Text has the type of text, though it is stored as numbers. Of an empty array the dataset holds the shape.
    """

    def __init__(self, dataset: Any, name: str, path: str) -> None:
        super().__init__(dataset, name, path)
        self.shape = tuple(reversed(self.shape))
        self.chunks = tuple(reversed(self.chunks)) if self.chunks else None
        if dataset.attrs.get(CLASS) == b"char":
            self.dtype = np.dtype("U1")
        if dataset.attrs.get(EMPTY):
            self.shape = tuple(int(n) for n in np.ravel(dataset[()]))
            self.chunks = None

    def _read(self, key: Any) -> Any:
        if self.dataset.attrs.get(EMPTY):
            return np.zeros(self.shape, self.dtype)[key]
        if not isinstance(key, tuple):
            key = (key,)
        if Ellipsis not in key:
            key = (*key, *(slice(None),) * (len(self.shape) - len(key)))
        values = np.asarray(self.dataset[tuple(reversed(key))]).T
        return values if self.dtype.kind != "U" else np.vectorize(chr, otypes=["U1"])(values)


class LostArray:
    """A name in a file behind which there is no array, a link that leads nowhere: who uses it is told."""

    shape: tuple[int, ...] = ()
    dtype = np.dtype(object)
    chunks = None

    def __init__(self, trouble: str, name: str, path: str) -> None:
        self.trouble, self.name, self.path = trouble, name, path
        self.attrs: dict[str, Any] = {}

    def check_whole(self) -> None:
        """Say what is wrong with it.

        Raises
        ------
        DataFileError
            Always.
        """
        raise DataFileError(f"{self.path}: '{self.name}' {self.trouble}, or name another array")

    def __getitem__(self, key: Any) -> np.ndarray:
        self.check_whole()
        raise AssertionError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[...]


def hdf5_arrays(file: h5py.File, path: str) -> dict[str, Any]:
    """The arrays of an HDF5 file by name, those behind links as well; MATLAB's own tables are left out."""
    found: dict[str, Any] = {}
    for name, item in members(file):
        if name.startswith("#"):
            continue
        if isinstance(item, h5py.Dataset):
            found[name] = _hdf5_array(item, name, path)
        elif item is None and (trouble := trouble_at(file, name)):
            found[name] = LostArray(trouble, name, path)
    return found


def _hdf5_array(dataset: Any, name: str, path: str) -> Any:
    try:
        return (MatlabArray if CLASS in dataset.attrs else HDF5Array)(dataset, name, path)
    except TypeError:  # h5py's, of types that NumPy does not have
        return LostArray("holds values of a type that cannot be read here", name, path)


def npz_arrays(archive: zipfile.ZipFile, path: str) -> dict[str, NpyArray]:
    """The arrays of an .npz file by name."""
    found = {}
    for member in archive.infolist():
        if member.filename.endswith(".npy"):
            name = member.filename.removesuffix(".npy")
            found[name] = NpyArray(_opener(archive, member), member.file_size, name, path)
    return found


def _opener(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(member)


def matlab_arrays(variables: dict[str, Any]) -> dict[str, np.ndarray]:
    """Arrays of any shapes of a MATLAB 5 file, by name; a field ``f`` of a struct ``s`` is called ``s/f``."""
    return {
        name: array
        for variable, value in variables.items()
        if not variable.startswith("__")
        for name, array in _fields(variable, value)
    }


def _fields(name: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    """An array, or those in the fields of a struct; of an array of structs each by its number from 0."""
    if not isinstance(value, np.ndarray):
        return
    if value.dtype.names is None or not value.dtype.hasobject:
        yield name, value
        return
    for number, each in enumerate(value.ravel()):
        place = name if value.size == 1 else f"{name}/{number}"
        for field in value.dtype.names:
            yield from _fields(f"{place}/{field}", each[field])
