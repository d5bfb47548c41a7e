"""A file of data: HDF5, NPZ, NPY, MAT (all versions) or anything else, also packed with bzip2 or gzip."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import h5py
import hdf5plugin  # noqa: F401  # registers the filters of detectors: bitshuffle, LZ4, Blosc, Zstandard
import numpy as np
import psutil
import scipy.io
from scipy.io.matlab import MatReadError

from ptychosuite.errors import DataFileError
from ptychosuite.problems.guard import check_harmless, place_of_damage
from ptychosuite.problems.guard_child import HDF5_MAGIC, is_hdf5
from ptychosuite.problems.measured.file_arrays import NpyArray, hdf5_arrays, matlab_arrays, npz_arrays
from ptychosuite.problems.measured.whole import in_words

NPY_MAGIC = b"\x93NUMPY"
PACKED: Mapping[bytes, Any] = {b"BZh": bz2, b"\x1f\x8b": gzip}  # first bytes -> who unpacks it
UNPACKED = 0.5  # share of the memory that a packed file may take when it is unpacked
BLOCK_BYTES = 64 * 2**20
# What h5py, zipfile, NumPy, SciPy and the decompressors raise at damaged files, and who believes these.
DAMAGED = (OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError, NameError,
           AssertionError, ArithmeticError, MemoryError, SystemError, SyntaxError, zipfile.BadZipFile,
           zipfile.LargeZipFile, zlib.error, lzma.LZMAError, struct.error, TokenError,
           MatReadError)  # fmt: skip


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
        self._opened = ExitStack()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.close()

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
    def is_hdf5(self) -> bool:
        return isinstance(self._container, h5py.File)

    @property
    def holds_arrays(self) -> bool:
        """Whether this is an HDF5, NPZ, NPY or MAT file."""
        return self._container is not None

    @property
    def hdf5(self) -> Any:
        """The open h5py.File.

        Raises
        ------
        DataFileError
            The file is of another kind.
        """
        if not self.is_hdf5:
            raise DataFileError(
                f"{self.path} is not an HDF5 file, which this format asks for; say 'format: arrays'"
            )
        return self._container

    @cached_property
    def arrays(self) -> Mapping[str, Any]:
        """The arrays by name, with shape, dtype and slices, read when they are sliced.

        The one array of an .npy file is called "data".

        Raises
        ------
        DataFileError
            The file is of a kind that has no named arrays, or is damaged.
        """
        if self._container is None:
            raise DataFileError(
                f"{self.path} is neither an HDF5, an NPZ, an NPY nor a MAT file; give its 'format'"
            )
        with self._damage_told():
            return hdf5_arrays(self._container, self.path) if self.is_hdf5 else dict(self._container)

    @cached_property
    def _container(self) -> Any:
        """An open h5py.File, the named arrays of another file, or None where it holds no arrays."""
        with self._damage_told():
            if self.head.startswith(HDF5_MAGIC) or (not self._unpacker and is_hdf5(self.path)):
                check_harmless(self.path)
                return self._opened.enter_context(h5py.File(self.whole(), "r"))
            if self.head.startswith(b"PK"):
                archive = self._opened.enter_context(zipfile.ZipFile(self.whole()))
                return npz_arrays(archive, self.path)
            if self.head.startswith(NPY_MAGIC):
                return {"data": self._npy()}
            if self.path.lower().removesuffix(".gz").removesuffix(".bz2").endswith(".mat"):
                check_harmless(self.path)
                with warnings.catch_warnings(action="ignore"):
                    return matlab_arrays(scipy.io.loadmat(self.whole()))
        return None

    def _npy(self) -> Any:
        """The array of an .npy file; of one that is not packed, it stays on the disk."""
        whole = self.whole()
        if isinstance(whole, str):
            array = NpyArray(self.open, os.path.getsize(whole), "data", self.path)
            return array if array.dtype.hasobject or 0 in array.shape else np.load(whole, mmap_mode="r")
        return NpyArray(lambda: io.BytesIO(whole.getvalue()), len(whole.getvalue()), "data", self.path)

    def whole(self) -> str | io.BytesIO:
        """The file's name, or what is in it where it is packed, for libraries that read files.

        Raises
        ------
        DataFileError
            It unpacks to more than goes into the memory.
        """
        if not self._unpacker:
            return self.path
        content, most = io.BytesIO(), UNPACKED * psutil.virtual_memory().total
        with self.open() as stream:
            while block := stream.read(BLOCK_BYTES):
                content.write(block)
                if content.tell() > most:
                    raise DataFileError(
                        f"{self.path} unpacks to more than {in_words(most)}, half of this machine's memory; "
                        "unpack it beforehand"
                    )
        content.seek(0)
        return content

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
                f"{self.path} cannot be read ({as_told(error)}{place_of_damage(self.path)}); the file is "
                "damaged or was not copied whole"
            ) from error


def as_told(error: BaseException) -> str:
    """What an error of a library says, in one line; its name, where it says nothing."""
    words = error.args[0] if isinstance(error, KeyError) and error.args else error
    return " ".join(str(words).split()) or type(error).__name__
