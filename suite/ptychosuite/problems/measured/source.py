"""A file of data: HDF5, NPZ, NPY, MAT (all versions) or anything else, also packed with bzip2 or gzip."""

from __future__ import annotations

import bz2
import gzip
import io
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import h5py
import hdf5plugin  # noqa: F401  # registers the filters of detectors: bitshuffle, LZ4, Blosc, Zstandard
import numpy as np
import scipy.io
from numpy.lib import format as npy

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.finding import datasets

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
PACKED: Mapping[bytes, Any] = {b"BZh": bz2, b"\x1f\x8b": gzip}  # first bytes -> who unpacks it
# What h5py, zipfile, NumPy, SciPy and the decompressors raise at damaged files.
DAMAGED = (OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, NotImplementedError,
           SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error)  # fmt: skip


class NpzArray:
    """An array of an .npz file: its header at once, its numbers when they are asked for."""

    def __init__(self, archive: zipfile.ZipFile, member: str) -> None:
        self._archive, self._member = archive, member
        self._values: np.ndarray | None = None
        with archive.open(member) as stream:
            version = npy.read_magic(stream)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            self.shape, _, self.dtype = read(stream)

    def __getitem__(self, key: Any) -> np.ndarray:
        if self._values is None:
            with self._archive.open(self._member) as stream:
                self._values = npy.read_array(stream, allow_pickle=False)
        return np.asarray(self._values[key])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[...], dtype=dtype)


class MatlabArray:
    """An array of a MATLAB 7.3 file, which is HDF5 with the axes in reverse order."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.shape = tuple(reversed(dataset.shape))
        self.dtype = dataset.dtype
        self.attrs = dataset.attrs
        self.chunks = tuple(reversed(dataset.chunks)) if dataset.chunks else None

    def __getitem__(self, key: Any) -> np.ndarray:
        if not isinstance(key, tuple):
            key = (key,)
        if Ellipsis not in key:
            key = (*key, *(slice(None),) * (len(self.shape) - len(key)))
        return np.asarray(self._dataset[tuple(reversed(key))]).T

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[...], dtype=dtype)


class Source:
    """A file as the formats see it: its first bytes, its arrays, all its bytes, each when it is asked for.

    What a file is shows in its first bytes; its name does not matter. Used in a ``with`` block, which closes
    what was opened.

    Raises
    ------
    DataFileError
        There is no such file; what it offers raises it where the file is damaged.
    """

    def __init__(self, path: str) -> None:
        if not Path(path).is_file():
            raise DataFileError(f"no such file: {path}; check the path")
        self.path = path

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *error: object) -> None:
        if isinstance(self.__dict__.get("_container"), h5py.File):
            self._container.close()

    def open(self) -> IO[bytes]:
        """The file's bytes, without the packing by bzip2 or gzip."""
        stream: IO[bytes] = (self._unpacker or open)(self.path, "rb")
        return stream

    @cached_property
    def head(self) -> bytes:
        """The first bytes of what :meth:`open` gives, at most 4096."""
        with self._damage_told(), self.open() as stream:
            return stream.read(4096)

    @property
    def is_packed(self) -> bool:
        return self._unpacker is not None

    @property
    def is_hdf5(self) -> bool:
        return isinstance(self._container, h5py.File)

    @property
    def holds_arrays(self) -> bool:
        """Whether this is an HDF5, NPZ, NPY or MAT file."""
        return self._container is not None

    @property
    def hdf5(self) -> Any:
        """The open h5py.File; another kind of file is refused."""
        if not self.is_hdf5:
            raise DataFileError(
                f"{self.path} is not an HDF5 file, which this format asks for; say 'format: arrays'"
            )
        return self._container

    @cached_property
    def arrays(self) -> Mapping[str, Any]:
        """The arrays by name, with shape, dtype and slices, read when they are sliced."""
        if self._container is None:
            raise DataFileError(f"{self.path} is neither an HDF5, an NPZ nor a MAT file; give its 'format'")
        return named_arrays(self._container) if self.is_hdf5 else dict(self._container)

    @cached_property
    def _container(self) -> Any:
        """An open h5py.File, the named arrays of an .npz or .mat file, or None where it is none of these."""
        with self._damage_told():
            stream: IO[bytes] | str = io.BytesIO(self.open().read()) if self._unpacker else self.path
            if self.head.startswith(HDF5_MAGIC) or (stream == self.path and h5py.is_hdf5(stream)):
                return h5py.File(stream, "r")
            if self.head.startswith(b"PK"):
                return _npz_arrays(zipfile.ZipFile(io.BytesIO(self.open().read())))
            if self.head.startswith(npy.MAGIC_PREFIX):
                mapped = stream == self.path
                return {"data": np.load(stream, mmap_mode="r" if mapped else None, allow_pickle=False)}
            if self.path.lower().removesuffix(".gz").removesuffix(".bz2").endswith(".mat"):
                return {k: v for k, v in scipy.io.loadmat(stream).items() if isinstance(v, np.ndarray)}
        return None

    @cached_property
    def _unpacker(self) -> Any:
        """What opens a packed file; None for a plain one."""
        with open(self.path, "rb") as raw:
            magic = raw.read(3)
        return next((module.open for start, module in PACKED.items() if magic.startswith(start)), None)

    @contextmanager
    def _damage_told(self) -> Iterator[None]:
        try:
            yield
        except DAMAGED as error:
            raise DataFileError(
                f"{self.path} cannot be read ({error}); the file is damaged or was not copied whole"
            ) from error


def _npz_arrays(archive: zipfile.ZipFile) -> dict[str, NpzArray]:
    members = [name for name in archive.namelist() if name.endswith(".npy")]
    return {name.removesuffix(".npy"): NpzArray(archive, name) for name in members}


def named_arrays(file: h5py.File) -> dict[str, Any]:
    """The arrays of an HDF5 file by name, those behind links as well."""
    return {
        name: MatlabArray(item) if "MATLAB_class" in item.attrs else item
        for name, item in datasets(file)
        if not name.startswith("#")
    }
