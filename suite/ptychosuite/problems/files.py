"""Objects, probes and scans from files: .npy, .npz, .mat (all versions), .h5 / .hdf5.

A path is absolute by the time it gets here, and its SHA-256 stands beside it: what a study measured is
identified by what the file held, not by where it lay.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from ptychosuite.errors import DataFileError, nearest
from ptychosuite.problems.guard import check_harmless
from ptychosuite.problems.linked_files import linked_files
from ptychosuite.problems.problem_kind import MAX_SIZE, ObjectKind, ProbeKind, ScanKind


@dataclass(frozen=True)
class ObjectFile(ObjectKind):
    """A complex object from a file.

    Parameters
    ----------
    path, key
        File and the name of the array inside it (not needed for .npy).
    stride
        Take every n-th pixel.
    size
        Pixels on a side: larger arrays are cut around their centre, smaller ones padded.
    pad
        What to pad with: the "edge" values, or "one" (empty space).
    """

    path: str
    key: str = ""
    stride: Annotated[int, Ge(1)] = 1
    size: Annotated[int, Ge(8), Le(MAX_SIZE)] | None = None
    pad: Literal["edge", "one"] = "edge"
    path_sha256: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        if self.size:
            return self.size, self.size
        rows, columns = self.make().shape
        return rows, columns

    def make(self) -> np.ndarray:
        array = _complex_image(self.path, self.key, self.path_sha256)[:: self.stride, :: self.stride]
        if self.size is None:
            return array
        options: dict[str, Any] = (
            {"mode": "edge"} if self.pad == "edge" else {"mode": "constant", "constant_values": 1}
        )
        return _fit(array, self.size, options)


@dataclass(frozen=True)
class ProbeFile(ProbeKind):
    """A complex probe from a file.

    Parameters
    ----------
    path, key
        File and the name of the array inside it (not needed for .npy).
    stride
        Take every n-th pixel.
    crop
        Pixels on a side after the stride: cut around the centre, or padded with zeros.
    power
        Total power sum |Q|^2 to scale to; left as it is by default.
    """

    path: str
    key: str = ""
    stride: Annotated[int, Ge(1)] = 1
    crop: Annotated[int, Ge(8), Le(MAX_SIZE)] | None = None
    power: Annotated[float, Gt(0)] | None = None
    path_sha256: str = ""

    @property
    def size(self) -> int:  # type: ignore[override]  # found in the file, not set
        return int(self.make().shape[0])

    def make(self) -> np.ndarray:
        array = _complex_image(self.path, self.key, self.path_sha256)[:: self.stride, :: self.stride]
        if self.crop:
            array = _fit(array, self.crop, {"mode": "constant"})
        if array.shape[0] != array.shape[1]:
            raise DataFileError(
                f"{self.path}: the probe has shape {array.shape}; it must be square, give 'crop'"
            )
        if not np.any(array):
            raise DataFileError(f"{self.path}: the probe is zero everywhere")
        if self.power is not None:
            array = array * np.sqrt(self.power / np.sum(np.abs(array) ** 2))
        return array


@dataclass(frozen=True)
class ScanFile(ScanKind):
    """Scan positions from a file, in pixels, whole or fractional; the first corner becomes (0, 0).

    Parameters
    ----------
    path, key
        File and the name of the array (N, 2) inside it (not needed for .npy).
    columns
        Order of the two columns: "row-column" or "column-row".
    """

    path: str
    key: str = ""
    columns: Literal["row-column", "column-row"] = "row-column"
    path_sha256: str = ""

    def given(self, object_shape: tuple[int, int], probe_size: int, rng: np.random.Generator) -> np.ndarray:
        raw = read_array(self.path, self.key, self.path_sha256)
        while raw.ndim > 2 and raw.shape[0] == 1:
            raw = raw[0]
        if raw.ndim != 2 or raw.shape[1] != 2 or not len(raw) or raw.dtype.kind not in "iuf":
            raise DataFileError(
                f"{self.path}: found scan positions of shape {raw.shape} and type {raw.dtype}; "
                "expected (N, 2), real numbers"
            )
        if not np.isfinite(raw).all():
            raise DataFileError(f"{self.path}: scan positions hold NaN or infinite values")
        return raw[:, ::-1] if self.columns == "column-row" else raw

    def positions(
        self, object_shape: tuple[int, int], probe_size: int, rng: np.random.Generator
    ) -> np.ndarray:
        positions = self.given(object_shape, probe_size, rng)
        positions = positions - positions.min(axis=0)
        room = np.asarray(object_shape) - probe_size
        if (positions > room).any():
            needed = tuple((positions.max(axis=0) + probe_size).tolist())
            raise DataFileError(
                f"{self.path}: positions with a probe of {probe_size} pixels span {needed} pixels, "
                f"the object has {object_shape}; make the object at least {max(needed)} pixels wide"
            )
        return positions


def files_of(path: str) -> tuple[str, ...]:
    """The files that a path with wildcards stands for, scan_2 before scan_10; of one without, itself."""
    if os.path.exists(path) or not any(sign in path for sign in "*?["):
        return (path,)
    return tuple(sorted(glob.glob(path), key=_in_order))


def _in_order(path: str) -> list[tuple[int, str]]:
    """Numbers in a name by their value, whatever is between them by its letters."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path)]


def exists(path: str) -> bool:
    """Whether there is such a file, or any for its wildcards."""
    return any(os.path.exists(file) for file in files_of(path))


def file_sha256(path: str) -> str:
    """SHA-256 of a file; of several, which wildcards stand for, that of their hashes.

    An HDF5 file that refers to others (links, virtual datasets, raw numbers beside it) has the hash of its
    own and theirs, for what is read from it lies in them.

    Raises
    ------
    DataFileError
        A file is missing or unreadable, or there is none for the wildcards.
    """
    files = files_of(path)
    if not files:
        raise DataFileError(f"no file is called like {path}; check the path")
    found = [_with_linked(file, _sha256(file, stamp(file))) for file in files]
    return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()


def stamp(path: str) -> tuple[int, int, int]:
    """What changes when a file is written again: the key under which its content may be remembered."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise DataFileError(f"cannot read {path}: {error.strerror}; check the path") from error
    if stat.S_ISDIR(status.st_mode):
        raise DataFileError(f"cannot read {path}: it is a folder (directory); name a file")
    if not stat.S_ISREG(status.st_mode):
        raise DataFileError(f"cannot read {path}: it is a pipe or a device; name a file")
    return status.st_ino, status.st_mtime_ns, status.st_size


def check_unchanged(path: str, sha256: str) -> None:
    """Refuse a file that is no longer what was planned; an empty hash asks for nothing."""
    if sha256 and file_sha256(path) != sha256:
        raise DataFileError(f"{path} has changed since the study was planned; plan and run it again")


def _with_linked(path: str, own: str) -> str:
    """The hash of a file, ``own`` where it refers to no others; one that is not there counts as missing."""
    linked = linked_files(path)
    if not linked:
        return own
    theirs = [
        (each.name, _sha256(each.path, stamp(each.path)) if each.path else "missing") for each in linked
    ]
    return hashlib.sha256(json.dumps([own, theirs]).encode()).hexdigest()


@lru_cache(maxsize=1024)
def _sha256(path: str, stamp: tuple[int, int, int]) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataFileError(f"cannot read {path}: {error.strerror}; check the path") from error


def read_array(path: str, key: str, sha256: str = "") -> np.ndarray:
    """One array from a file, read-only.

    Raises
    ------
    DataFileError
        Missing or unreadable file, unknown format or key, or content other than ``sha256`` says.
    """
    check_unchanged(path, sha256)
    return _read_array(path, key, stamp(path))


@lru_cache(maxsize=8)
def _read_array(path: str, key: str, stamp: tuple[int, int, int]) -> np.ndarray:
    suffix = Path(path).suffix.lower()
    readers = {
        ".npy": _read_npy,
        ".npz": _read_npz,
        ".mat": _read_mat,
        ".h5": _read_hdf5,
        ".hdf5": _read_hdf5,
    }
    if suffix not in readers:
        raise DataFileError(f"{path}: unknown kind of file '{suffix}'; expected one of {', '.join(readers)}")
    if suffix in (".mat", ".h5", ".hdf5"):
        check_harmless(path)
    try:
        array = readers[suffix](path, key)
    except DataFileError:
        raise
    except Exception as error:  # four formats, each with errors of its own
        raise DataFileError(f"{path} cannot be read as {suffix}: {error}") from error
    array.setflags(write=False)
    return array


def _read_npy(path: str, key: str) -> np.ndarray:
    return np.asarray(np.load(path, allow_pickle=False))


def _read_npz(path: str, key: str) -> np.ndarray:
    with np.load(path, allow_pickle=False) as file:
        return np.asarray(file[_existing_key(path, key, file.files)])


def _read_mat(path: str, key: str) -> np.ndarray:
    import scipy.io

    try:
        names = [name for name, _, _ in scipy.io.whosmat(path)]
    except NotImplementedError:  # version 7.3 is HDF5, with the axes the other way round
        return _read_hdf5(path, key).T
    name = _existing_key(path, key, names)
    return np.asarray(scipy.io.loadmat(path, variable_names=[name])[name])


def _read_hdf5(path: str, key: str) -> np.ndarray:
    import h5py

    with h5py.File(path, "r") as file:
        datasets: list[str] = []
        file.visititems(lambda name, item: datasets.append(name) if isinstance(item, h5py.Dataset) else None)
        array = np.asarray(file[_existing_key(path, key.strip("/"), datasets)])
    if array.dtype.names == ("real", "imag"):  # how MATLAB and others keep complex numbers
        return np.asarray(array["real"] + 1j * array["imag"])
    return array


def _existing_key(path: str, key: str, names: list[str]) -> str:
    if key in names:
        return key
    if not key and len(names) == 1:
        return names[0]
    found = f"has no array '{key}'" if key else "holds several arrays, and no key is given"
    raise DataFileError(f"{path} {found}; {nearest(key, names)}")


def _complex_image(path: str, key: str, sha256: str) -> np.ndarray:
    array = np.squeeze(read_array(path, key, sha256))
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.number):
        raise DataFileError(f"{path}: array '{key}' has shape {array.shape}; expected two dimensions")
    if not np.isfinite(array).all():
        raise DataFileError(f"{path}: array '{key}' holds NaN or infinite values")
    return array.astype(np.complex128)


def _fit(array: np.ndarray, size: int, pad_options: dict[str, Any]) -> np.ndarray:
    """Cut or pad both axes to ``size``; the pixel in the middle, n // 2, stays there."""
    for axis, n in enumerate(array.shape):
        before = size // 2 - n // 2
        if n >= size:
            array = np.take(array, np.arange(-before, size - before), axis=axis)
        else:
            widths = [(0, 0), (0, 0)]
            widths[axis] = (before, size - n - before)
            array = np.pad(array, widths, **pad_options)
    return array
