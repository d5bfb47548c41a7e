"""Objects, probes and scans from files: by the name of an array, or as the file's format has them.

Formats are those of measured data (``ptychosuite.formats``), so that what another program has reconstructed
is read like what was measured. The content of a file says what it is, not its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le
from jaxtyping import Complex, Complex128, Real, Shaped

from ptychosuite.errors import DataFileError, nearest
from ptychosuite.problems.files import check_unchanged, stamp
from ptychosuite.problems.measured.array_names import from_matlab
from ptychosuite.problems.measured.format import PARTS, Places, ReadSettings, format_of
from ptychosuite.problems.measured.geometry import object_pixels
from ptychosuite.problems.measured.raw import Raw, as_modes, joined
from ptychosuite.problems.measured.source import DAMAGED, NPY_MAGIC, Source, as_told
from ptychosuite.problems.measured.units import is_pixels, length_factor
from ptychosuite.problems.measured.waves import modes_first, power_of, strongest_and_all
from ptychosuite.problems.measured.window import Window
from ptychosuite.problems.problem_kind import MAX_SIZE, ObjectKind, ProbeKind, ScanKind

KINDS = ".npy, .npz, .mat, HDF5, or a format of measured data"


@dataclass(frozen=True)
class ObjectFile(ObjectKind):
    """A complex object from a file.

    Parameters
    ----------
    path, key
        File and the name of the array inside it, where it is not the only one, nor in the usual place of the
        file's format.
    stride
        Take every n-th pixel.
    size
        Pixels on a side: larger arrays are cut around their centre, smaller ones padded.
    pad
        What to pad with: the "edge" values, or "one" (empty space).
    """

    reads_formats: ClassVar[bool] = True

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

    def make(self) -> Complex[np.ndarray, "H W"]:
        array = np.squeeze(
            _checked(read_array(self.path, self.key, self.path_sha256, "object"), self.path, self.key)
        )
        if array.ndim != 2:
            raise DataFileError(
                f"{self.path}: array '{self.key}' has shape {array.shape}; expected two dimensions"
            )
        array = array[:: self.stride, :: self.stride]
        if self.size is None:
            return array
        options: dict[str, Any] = (
            {"mode": "edge"} if self.pad == "edge" else {"mode": "constant", "constant_values": 1}
        )
        return _fit(array, self.size, options)


@dataclass(frozen=True)
class ProbeFile(ProbeKind):
    """A complex probe from a file, or several modes of one: (modes, rows, columns).

    Parameters
    ----------
    path, key
        File and the name of the array inside it, where it is not the only one, nor in the usual place of the
        file's format.
    stride
        Take every n-th pixel.
    crop
        Pixels on a side after the stride: cut around the centre, or padded with zeros.
    power
        Total power sum |Q|^2 of all modes to scale to; left as it is by default.
    """

    reads_formats: ClassVar[bool] = True

    path: str
    key: str = ""
    stride: Annotated[int, Ge(1)] = 1
    crop: Annotated[int, Ge(8), Le(MAX_SIZE)] | None = None
    power: Annotated[float, Gt(0)] | None = None
    path_sha256: str = ""

    @property
    def size(self) -> int:  # type: ignore[override]  # found in the file, not set
        return int(self.make().shape[0])

    def make(self) -> Complex[np.ndarray, "m m"]:
        return strongest_and_all(self._all)[0]

    def modes(self) -> Complex[np.ndarray, "M m m"] | None:
        return strongest_and_all(self._all)[1]

    @property
    def _all(self) -> np.ndarray:
        """All modes (M, m, m), in the order of the file."""
        array = _checked(read_array(self.path, self.key, self.path_sha256, "probe"), self.path, self.key)
        modes = as_modes(array, self.key, self.path).reshape(-1, *array.shape[-2:])
        modes = modes[:, :: self.stride, :: self.stride]
        if self.crop:
            modes = np.stack([_fit(mode, self.crop, {"mode": "constant"}) for mode in modes])
        if modes.shape[1] != modes.shape[2]:
            raise DataFileError(
                f"{self.path}: the probe has shape {modes.shape[1:]}; it must be square, give 'crop'"
            )
        if not np.any(modes):
            raise DataFileError(f"{self.path}: the probe is zero everywhere")
        if self.power is not None:
            modes = modes * np.sqrt(self.power / np.sum(np.abs(modes) ** 2))
        return modes


@dataclass(frozen=True)
class ScanFile(ScanKind):
    """Scan positions from a file, in pixels, whole or fractional; the first corner becomes (0, 0).

    Parameters
    ----------
    path, key
        File and the name of the array (N, 2) inside it, where it is not the only one; without a name also
        positions in metres of a format that says the pixel of the object.
    columns
        Order of the two columns: "row-column" or "column-row".
    """

    reads_formats: ClassVar[bool] = True

    path: str
    key: str = ""
    columns: Literal["row-column", "column-row"] = "row-column"
    path_sha256: str = ""

    def given(
        self, object_shape: tuple[int, int], probe_size: int, rng: np.random.Generator
    ) -> Real[np.ndarray, "N 2"]:
        raw = _positions(self.path, self.key, self.path_sha256, probe_size)
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
    ) -> Real[np.ndarray, "N 2"]:
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


def holds_one_array(path: str) -> bool:
    """Whether a file has nothing but one array."""
    with _opened(path) as source:
        return source.holds_arrays and len(source.arrays) == 1


def read_wave(path: str, key: str, part: str) -> Complex128[np.ndarray, "*M r c"]:
    """The "object" or "probe" of a file: as :func:`read_array` finds it.

    Raises
    ------
    DataFileError
        Missing or unreadable file, unknown format or key; NaN or infinite values.
    """
    return _checked(read_array(path, key, part=part), path, key or part)


def object_pixel_m(path: str, key: str, part: str, probe_size: int) -> tuple[float, float] | None:
    """Height and width in metres of a pixel of the ``part`` that a file has; None where it does not say."""
    if holds_one_array(path):
        return None
    with _opened(path) as source:
        arrays: Mapping[str, Any] = source.arrays if source.holds_arrays else {}
        raw = _described(source, part, arrays, key.strip("/"))
    return raw.object_pixel_m or object_pixels(raw, Window((), (), probe_size, 1), ReadSettings(path))


def read_array(path: str, key: str, sha256: str = "", part: str = "") -> Shaped[np.ndarray, "*_"]:
    """One array from a file, read-only: the one called ``key``.

    Without a key it is the file's only one, or what the file's format has of a ``part`` ("probe", "object").

    Raises
    ------
    DataFileError
        Missing or unreadable file, unknown format or key, or content other than ``sha256`` says.
    """
    check_unchanged(path, sha256)
    return _read_array(path, key.strip("/"), part, stamp(path))


@lru_cache(maxsize=8)
def _read_array(path: str, key: str, part: str, stamp: tuple[int, int, int]) -> np.ndarray:
    with _opened(path) as source:
        found = joined(_found(source, key, part)).view()
    found.setflags(write=False)
    return found


@contextmanager
def _opened(path: str) -> Iterator[Source]:
    try:
        with Source(path) as source:
            yield source
    except DAMAGED as error:
        raise DataFileError(
            f"{path} cannot be read ({as_told(error)}); the file is damaged, or name an array with 'key'"
        ) from error


def _found(source: Source, key: str, part: str) -> np.ndarray:
    arrays: Mapping[str, Any] = source.arrays if source.holds_arrays else {}
    is_single = len(arrays) == 1 and (not key or source.head.startswith(NPY_MAGIC))
    if not key and not is_single:
        return _by_format(source, part, arrays)
    if not arrays:
        raise DataFileError(f"{source.path}: unknown kind of file; expected {KINDS}")
    name = next(iter(arrays)) if is_single else key
    if name not in arrays:
        raise DataFileError(f"{source.path} has no array '{key}'; {nearest(key, list(arrays))}")
    if part == "probe" and len(arrays[name].shape) > 3:  # which axis counts modes is the format's to say
        return _by_format(source, part, arrays, name)
    found = np.asarray(arrays[name][...])
    return modes_first(found, from_matlab(source)) if part in ("probe", "object") else found


def _by_format(source: Source, part: str, arrays: Mapping[str, Any], name: str = "") -> np.ndarray:
    """What the file's format has of a ``part``, or has under a ``name``."""
    found = None
    if part in PARTS or not arrays:
        raw = _described(source, part, arrays, name)
        found = raw.probe if part == "probe" else raw.object_guess
    if found is None:
        raise DataFileError(
            f"{source.path} holds several arrays, and no key is given; {nearest('', list(arrays))}"
        )
    return found


def _described(source: Source, part: str, arrays: Mapping[str, Any], name: str = "") -> Raw:
    """A file as its format reads it, of its arrays one ``part`` alone."""
    try:
        _, chosen = format_of(source, "auto")
    except DataFileError as error:
        if arrays:
            raise
        raise DataFileError(f"{source.path}: unknown kind of file; expected {KINDS}") from error
    named = {part: name} if name else {}
    return chosen.read(source, Places(source.path, **named, elsewhere=frozenset(PARTS) - {part}))


def _positions(path: str, key: str, sha256: str, probe_size: int) -> np.ndarray:
    """Positions in pixels, (row, column): an array, or what the file's format has."""
    check_unchanged(path, sha256)
    with _opened(path) as source:
        several = source.holds_arrays and len(source.arrays) > 1
        raw = _described(source, "positions", source.arrays) if several and not key else None
    if raw is None or raw.positions is None:
        return read_array(path, key, sha256)
    if is_pixels(raw.positions_unit or "px"):
        return raw.positions
    pixels = raw.object_pixel_m or object_pixels(raw, Window((), (), probe_size, 1), ReadSettings(path))
    if pixels is None:
        raise DataFileError(
            f"{path}: '{raw.source.get('positions', 'positions')}' is in {raw.positions_unit}, and the file "
            "does not say the pixel of the object; give positions in pixels"
        )
    return raw.positions * length_factor(raw.positions_unit, "positions", path) / np.array(pixels)


def _checked(array: np.ndarray, path: str, key: str) -> np.ndarray:
    """An array as a wave in double precision: numbers, none of them NaN or infinite."""
    while array.ndim > 2 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim < 2 or not array.size or not np.issubdtype(array.dtype, np.number):
        raise DataFileError(f"{path}: array '{key}' has shape {array.shape}; expected two dimensions")
    wave = array.astype(np.complex128)
    if not np.isfinite(power_of(wave)):
        raise DataFileError(f"{path}: array '{key}' holds NaN or infinite values, or such as large as these")
    return wave


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
