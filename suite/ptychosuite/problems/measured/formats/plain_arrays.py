"""Plain arrays in HDF5, NPZ or MAT files, found by the names that the user gives or by usual ones.

A name with a fixed meaning is obeyed ("bad_pixels", "probe_real", "distance_mm"); what has a usual name and
does not fit the patterns is passed over, as long as the user has not named it. Of three columns of positions,
which are x, y, z everywhere, rows are y and columns x; two are row and column. A .mat file has patterns and
modes on its last axis, unless its shape says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from ptychosuite.errors import DataFileError, nearest
from ptychosuite.problems.measured.array_names import from_matlab, rows_and_columns, values
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.pattern_stack import single_stack
from ptychosuite.problems.measured.raw import (
    Raw,
    as_image,
    as_mask,
    as_modes,
    as_positions,
    as_wave,
    is_positive,
    mask_rule,
)
from ptychosuite.problems.measured.source import Source
from ptychosuite.problems.measured.units import factor, length_factor, read_number, wavelength_of_energy
from ptychosuite.problems.measured.units import wavelength_of_electrons as wavelength_of_voltage
from ptychosuite.problems.measured.usual_names import (
    MASKS,
    USUAL,
    axes_of,
    last,
    pairs_of,
    unit_in,
    usual,
)
from ptychosuite.problems.measured.waves import modes_first

Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class PlainArrays(DataFormat):
    """Arrays by the names that the user gives, or by usual ones; any file that holds arrays."""

    label: ClassVar[str] = "plain arrays"
    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".npz", ".mat")
    priority: ClassVar[int] = -1  # whatever the others leave

    def recognises(self, source: Source) -> bool:
        return source.holds_arrays and bool(source.arrays)

    def read(self, source: Source, places: Places) -> Raw:
        arrays, path, matlab = source.arrays, places.path, from_matlab(source)
        raw = Raw(None, None, "", convention="")
        data = _data(arrays, places)
        if places.wants("positions"):
            _positions(arrays, raw, data, places, matlab)
        if data:
            n = None if raw.positions is None else len(raw.positions)
            raw.stack = single_stack(arrays[data], data, path, n_positions=n, matlab=matlab)
            raw.source["data"] = data
        _mask(arrays, raw, places)
        _calibration(arrays, raw, places)
        for part in ("probe", "object"):
            _wave(arrays, raw, part, places, matlab)
        _geometry(_with_attributes(source), raw, path)
        return raw


def _data(arrays: Arrays, places: Places) -> str:
    """Name of the patterns; numbers of each pattern's light may have one of their usual names."""
    if not places.wants("data"):
        return ""
    name = _given(arrays, places, "data")
    name = name or usual(arrays, "data", places.path, lambda array: not _is_one_each(array, None))
    return name or _refuse_without(arrays, "data", places.path)


def _given(arrays: Arrays, places: Places, part: str) -> str:
    """The user's name for a ``part``, which the file has to have; "" where there is none."""
    given = getattr(places, part).strip("/")
    if given and given not in arrays:
        raise DataFileError(f"{places.path} has no array '{given}' for '{part}'; {nearest(given, arrays)}")
    return str(given)


def _refuse_without(arrays: Arrays, part: str, path: str) -> str:
    raise DataFileError(
        f"{path} has no array of a usual name for {part} ({', '.join(USUAL[part])}); name it with '{part}', "
        f"the file holds: {', '.join(sorted(arrays)[:20]) or 'no arrays'}"
    )


def _positions(arrays: Arrays, raw: Raw, data: str, places: Places, matlab: bool) -> None:
    """Positions (N, 2) as row and column, their unit, and where they are."""
    path = places.path
    shape = tuple(arrays[data].shape) if data else ()
    if pair := _pair(arrays, shape, places, matlab):
        raw.positions, raw.positions_unit = _two_axes(arrays, *pair, shape, path)
        raw.source["positions"] = ", ".join(pair)
        return
    name = _given(arrays, places, "positions") or usual(arrays, "positions", path)
    name = name or _refuse_without(arrays, "positions", path)
    found = as_positions(values(arrays, name), name, path)
    raw.positions = found[:, 1::-1] if found.shape[1] == 3 else found
    raw.positions_unit, raw.source["positions"] = unit_in(arrays, name), name


def _pair(arrays: Arrays, shape: tuple[int, ...], places: Places, matlab: bool) -> tuple[str, str] | None:
    """Names of two arrays of positions, rows and columns: the user's "y, x", else some called so.

    Those of usual names have to be as long as the stack of patterns, whose ``shape`` may not be known.
    """
    path = places.path
    if "," in places.positions:
        found = [_given(arrays, Places(path, positions=name.strip()), "positions")
                 for name in places.positions.split(",")]  # fmt: skip
        if len(found) != 2:
            raise DataFileError(f"{path}: '{places.positions}': expected two names, that of rows first")
        return found[0], found[1]
    if places.positions or usual(arrays, "positions", path):
        return None
    pairs = [pair for pair in axes_of(arrays) if not shape or _are_of(arrays, pair, shape, matlab)]
    if len(pairs) > 1:
        words = " or ".join(f"'{y}, {x}'" for y, x in pairs)
        raise DataFileError(f"{path} has several arrays for positions: {words}; name them with 'positions'")
    return pairs[0] if pairs else None


def _are_of(arrays: Arrays, pair: tuple[str, str], shape: tuple[int, ...], matlab: bool) -> bool:
    """Whether two arrays are as long as a stack of that shape, or as the sides of a raster."""
    y, x = (prod(arrays[name].shape) for name in pair)
    counts = {prod(shape[:-2])} | ({shape[-1]} if matlab else set())
    return (y == x and y in counts) or (y, x) == shape[-4:-2]


def _two_axes(arrays: Arrays, y: str, x: str, shape: tuple[int, ...], path: str) -> tuple[np.ndarray, str]:
    """Positions from an array of rows and one of columns, or from the sides of a raster, and their unit."""
    unit_y, unit_x = unit_in(arrays, y), unit_in(arrays, x)
    sides = {name: np.ravel(values(arrays, name)) for name in (y, x)}
    if len(shape) >= 4 and (len(sides[y]), len(sides[x])) == shape[-4:-2]:
        sides = dict(zip((y, x), np.meshgrid(sides[y], sides[x], indexing="ij"), strict=True))
    found = rows_and_columns(sides, y, x, path)
    if unit_y != unit_x:
        found[:, 0] *= length_factor(unit_y, y, path) / length_factor(unit_x, x, path)
    return found, unit_x


def _mask(arrays: Arrays, raw: Raw, places: Places) -> None:
    """Pixels that are good in every mask of a fixed meaning, else in the one called a mask."""
    if not places.wants("mask"):
        return
    if given := _given(arrays, places, "mask"):
        names = [given]
    else:
        names = [name for name in arrays if last(name) in MASKS and _is_frame(arrays[name], raw)]
        names = names or list(filter(None, [usual(arrays, "mask", places.path)]))
    for name in names:
        rule = mask_rule(places.mask_good, MASKS.get(last(name), is_positive))
        good = as_mask(arrays[name], raw.frame, rule, name, places.path)
        raw.good = good if raw.good is None else raw.good & good
    if names:
        raw.source["mask"] = ", ".join(names)


def _is_frame(array: Any, raw: Raw) -> bool:
    """Whether an array has a number for each of the detector's pixels."""
    shape = tuple(array.shape)
    return array.dtype.kind in "buif" and len(shape) > 1 and shape[-2:] == (raw.frame or shape[-2:])


def _calibration(arrays: Arrays, raw: Raw, places: Places) -> None:
    """Dark and flat frames (means of several), and the light of each pattern."""
    n = raw.stack.n_patterns if raw.stack else None
    if name := _fitting(arrays, places, "dark", lambda array: _is_frame(array, raw), raw.frame):
        raw.dark, raw.source["dark"] = as_image(arrays[name], name, places.path), name
    if name := _fitting(arrays, places, "flat", lambda array: _is_frame(array, raw), raw.frame):
        raw.flat, raw.source["flat"] = as_image(arrays[name], name, places.path), name
    if name := _fitting(arrays, places, "intensities", lambda array: _is_one_each(array, n), (n,)):
        raw.intensities, raw.source["intensities"] = np.ravel(values(arrays, name)).astype(np.float64), name


def _fitting(
    arrays: Arrays, places: Places, part: str, fits: Callable[[Any], bool], expected: tuple[Any, ...] | None
) -> str:
    """The user's name for a ``part``, which has to fit, else a usual name of an array that does, else ""."""
    if not places.wants(part):
        return ""
    name = _given(arrays, places, part) or usual(arrays, part, places.path, fits)
    if name and not fits(arrays[name]):
        shape = tuple(arrays[name].shape)
        raise DataFileError(f"{places.path}: '{name}' has shape {shape}; expected {expected} for '{part}'")
    return name


def _is_one_each(array: Any, n: int | None) -> bool:
    size = prod(array.shape)
    return array.dtype.kind in "uif" and size > 1 and max(array.shape) == size == (n or size)


def _wave(arrays: Arrays, raw: Raw, part: str, places: Places, matlab: bool) -> None:
    """The probe or the object: a complex array, or two real ones."""
    if not places.wants(part):
        return
    path, given = places.path, _given(arrays, places, part)
    name = given or usual(arrays, part, path, lambda array: part == "probe" or _is_complex(array))
    pair = next(pairs_of(arrays, part), None)
    if pair and not given and not (name and _is_complex(arrays[name])):
        name, wave = ", ".join(pair), _joined(arrays, *pair, path)
    elif name:
        wave = values(arrays, name)
    else:
        return
    wave = modes_first(wave, matlab)
    if part == "probe":
        raw.probe = as_modes(wave, name, path)
    elif given or wave.ndim >= 2:
        raw.object_guess = as_wave(wave, name, path)
    raw.source[part] = name


def _is_complex(array: Any) -> bool:
    return array.dtype.kind == "c" or array.dtype.names in (("real", "imag"), ("r", "i"))


def _joined(arrays: Arrays, one: str, two: str, path: str) -> np.ndarray:
    """A complex array from its real and imaginary part, or from its magnitude and phase in radians."""
    first, second = values(arrays, one), values(arrays, two)
    if first.shape != second.shape:
        raise DataFileError(f"{path}: '{one}' has shape {first.shape}, '{two}' {second.shape}")
    if last(two).endswith("phase"):
        return np.asarray(first * np.exp(1j * second))
    return np.asarray(first + 1j * second)


def _with_attributes(source: Source) -> Arrays:
    """The arrays, and the attributes of an HDF5 file itself."""
    attributes = source.hdf5.attrs if source.is_hdf5 else {}
    return {name: np.asarray(value) for name, value in attributes.items()} | dict(source.arrays)


def _geometry(arrays: Arrays, raw: Raw, path: str) -> None:
    """What the file says with a unit of wavelength, distance and pixels."""
    wavelength, energy, voltage = (
        _scalar(arrays, part, to, path)
        for part, to in (("wavelength", "m"), ("energy", "J"), ("voltage", "V"))
    )
    for found, as_wavelength, radiation in (
        (wavelength, float, ""),
        (energy, wavelength_of_energy, "photons"),
        (voltage, wavelength_of_voltage, "electrons"),
    ):
        if found and raw.wavelength_m is None:
            raw.wavelength_m, raw.source["wavelength"] = as_wavelength(found[0]), found[1]
            raw.radiation = radiation
    if distance := _scalar(arrays, "distance", "m", path):
        raw.distance_m, raw.source["distance"] = distance
    pixel, object_pixel = (_scalar(arrays, f"{of} pixel", "m", path) for of in ("detector", "object"))
    if pixel:
        raw.detector_pixel_m, raw.source["detector pixel"] = (pixel[0], pixel[0]), pixel[1]
    elif object_pixel:
        shape = None if raw.probe is None else raw.probe.shape[-2:]
        raw.take_object_pixel((object_pixel[0], object_pixel[0]), shape, object_pixel[1])


def _scalar(arrays: Arrays, part: str, to: str, path: str) -> tuple[float, str] | None:
    """A number in the unit ``to``, and its name; None where there is none with a unit of its kind."""
    try:
        name = usual(arrays, part, path, lambda array: array.dtype.kind in "uif" and prod(array.shape) == 1)
        unit = unit_in(arrays, name) if name else ""
        return (read_number(arrays[name], path) * factor(unit, to, name, path), name) if unit else None
    except DataFileError:  # not to be had from these names; who needs it says so
        return None
