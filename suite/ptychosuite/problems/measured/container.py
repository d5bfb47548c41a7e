"""Opening files: HDF5, NPZ and MAT (all versions), also packed with bzip2 or gzip."""

from __future__ import annotations

import bz2
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
import scipy.io
from numpy.lib import format as npy

from ptychosuite.errors import DataFileError

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
# What h5py, zipfile, NumPy, SciPy and the decompressors raise at damaged files.
DAMAGED = (OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, NotImplementedError,
           zipfile.BadZipFile, zlib.error)  # fmt: skip


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


@contextmanager
def open_file(path: str) -> Iterator[Any]:
    """An open h5py.File, or the named arrays of an .npz or .mat file as a mapping.

    What a file is shows in its first bytes; its name does not matter.

    Raises
    ------
    DataFileError
        Missing, unreadable, damaged, or none of these kinds.
    """
    if not Path(path).is_file():
        raise DataFileError(f"no such file: {path}; check the path")
    try:
        file, kind = _opened(path)
    except DataFileError:
        raise
    except DAMAGED as error:
        raise DataFileError(
            f"{path} cannot be read ({error}); the file is damaged or was not copied whole"
        ) from error
    if kind != "hdf5":
        yield file
        return
    with file:
        yield file


def _opened(path: str) -> tuple[Any, str]:
    with open(path, "rb") as raw:
        magic = raw.read(8)
    stream: IO[bytes] | str = path
    for packed, module in ((b"BZh", bz2), (b"\x1f\x8b", gzip)):
        if magic.startswith(packed):
            with module.open(path, "rb") as packed_file:
                stream = io.BytesIO(packed_file.read())
            magic = stream.getvalue()[:8]
    if magic == HDF5_MAGIC or (isinstance(stream, str) and h5py.is_hdf5(stream)):
        return h5py.File(stream, "r"), "hdf5"
    if magic.startswith(b"PK"):
        archive = zipfile.ZipFile(io.BytesIO(Path(path).read_bytes()) if stream == path else stream)
        return _npz_arrays(archive), "npz"
    name = path.lower().removesuffix(".gz").removesuffix(".bz2")
    if name.endswith(".mat"):
        return {k: v for k, v in scipy.io.loadmat(stream).items() if isinstance(v, np.ndarray)}, "mat"
    raise DataFileError(
        f"{path} is not a file of measured data; expected HDF5 (.cxi, .nxs, .ptyd, .h5), .npz or .mat, "
        "plain or packed with bzip2 or gzip"
    )


def _npz_arrays(archive: zipfile.ZipFile) -> dict[str, NpzArray]:
    members = [name for name in archive.namelist() if name.endswith(".npy")]
    return {name.removesuffix(".npy"): NpzArray(archive, name) for name in members}


def named_arrays(file: Any) -> Mapping[str, Any]:
    """The arrays of an open file by name."""
    if not isinstance(file, h5py.File):
        return dict(file)
    found: dict[str, Any] = {}

    def keep(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("#"):
            found[name] = MatlabArray(item) if "MATLAB_class" in item.attrs else item

    file.visititems(keep)
    return found
