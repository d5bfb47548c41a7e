"""NeXus files of the application definition NXcxi_ptycho (nexusformat.org, contributed definitions).

The entry is found by its definition, its groups by their class, so that files whose groups are not called
entry_1, detector_1, ... are read as well. Positions are taken as ptypy does: y along the rows, x along the
columns, without a change of sign. The energy is the beam's; that of source_1 is the storage ring's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import h5py
import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.finding import pick, require
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.pattern_stack import PatternStack, single_stack
from ptychosuite.problems.measured.raw import Raw, as_mask, as_modes, as_positions, is_zero, mask_rule
from ptychosuite.problems.measured.source import Source
from ptychosuite.problems.measured.units import (
    is_pixels,
    length_factor,
    read_energy,
    read_length,
    unit_of,
    wavelength_of_energy,
)

DEFINITIONS = ("NXcxi_ptycho", "NXptycho")


def find_entry(file: Any) -> str:
    """Path of the entry or subentry that follows NXcxi_ptycho, or nothing."""
    for group in [file, *file.values()]:
        if not isinstance(group, h5py.Group):
            continue
        for item in [group, *group.values()]:
            if isinstance(item, h5py.Group) and (
                text(item.attrs.get("definition")) in DEFINITIONS
                or (
                    isinstance(item.get("definition"), h5py.Dataset)
                    and text(item["definition"][()]) in DEFINITIONS
                )
            ):
                return str(item.name)
    return ""


def text(value: Any) -> str:
    """A string from HDF5: bytes, text or an array of one of them."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


@dataclass(frozen=True)
class NeXus(DataFormat):
    """An entry that follows the definition NXcxi_ptycho; such a file may look like CXI as well."""

    label: ClassVar[str] = "NeXus"
    suffixes: ClassVar[tuple[str, ...]] = (".nxs",)
    priority: ClassVar[int] = 1

    def recognises(self, source: Source) -> bool:
        return source.is_hdf5 and find_entry(source.hdf5) != ""

    def read(self, source: Source, places: Places) -> Raw:
        file, path = source.hdf5, places.path
        entry = find_entry(file) or ("/entry_1" if "/entry_1" in file else "/entry")
        detector = _group(file, entry, "NXdetector", "instrument_1/detector_1")
        plots = [group.name for group in _groups(file, entry, "NXdata")]
        raw = Raw(None, None, "m", convention="centre")
        if places.wants("data"):
            usual = [f"{entry}/data_1/data", f"{detector}/data", *(f"{plot}/data" for plot in plots)]
            data = require(file, places.data, usual, "data", path)
            raw.stack, raw.source["data"] = single_stack(file[data], data, path), data
        if places.wants("positions"):
            raw.positions, raw.positions_unit, raw.source["positions"] = _positions(
                file, entry, detector, plots, raw.stack, places
            )
        _geometry(file, raw, entry, detector, path)
        _optional(file, raw, detector, places)
        return raw


def _groups(file: Any, entry: str, nx_class: str) -> Iterator[Any]:
    """Every group of a class below the entry, three levels deep at most."""
    found = [file[entry]] if entry in file else []
    for _ in range(3):
        found = [item for group in found for item in group.values() if isinstance(item, h5py.Group)]
        yield from (group for group in found if text(group.attrs.get("NX_class", "")) == nx_class)


def _group(file: Any, entry: str, nx_class: str, usual: str) -> str:
    if f"{entry}/{usual}" in file:
        return f"{entry}/{usual}"
    return next((str(group.name) for group in _groups(file, entry, nx_class)), f"{entry}/{usual}")


def _positions(
    file: Any, entry: str, detector: str, plots: list[str], stack: PatternStack | None, places: Places
) -> tuple[np.ndarray, str, str]:
    """Positions (N, 2) as y, x, their unit, and where they are."""
    path = places.path
    usual = [
        f"{entry}/sample_1/geometry_1/translation",
        f"{entry}/data_1/translation",
        f"{detector}/translation",
    ]
    name = pick(file, places.positions, usual, "positions", path)
    if name:
        return as_positions(file[name], name, path)[:, 1::-1], unit_of(file[name]) or "m", name
    for place in [f"{entry}/sample_1/transformations", *plots]:
        x, y = f"{place}/x", f"{place}/y"
        if x in file and y in file:
            return _motors(file[x], file[y], stack, path), unit_of(file[x]) or "m", f"{y}, {x}"
    raise DataFileError(f"{path} has no positions at '{usual[0]}'; name the array with 'positions'")


def _motors(x: Any, y: Any, stack: PatternStack | None, path: str) -> np.ndarray:
    """Positions from one array a motor: one value a pattern, or the axes of a raster."""
    factor = length_factor(unit_of(y), y.name, path) / length_factor(unit_of(x), x.name, path)
    rows, columns = np.squeeze(y[()]).astype(np.float64) * factor, np.squeeze(x[()]).astype(np.float64)
    slow = [part for part in stack.parts if part.outer is not None] if stack else []
    if slow and stack and rows.ndim == columns.ndim == 1 and rows.size * columns.size == stack.n_patterns:
        rows, columns = np.meshgrid(rows, columns, indexing="ij")
    if rows.size != columns.size:
        raise DataFileError(
            f"{path}: '{y.name}' holds {rows.size} values and '{x.name}' {columns.size}; "
            f"expected one of each for every pattern"
        )
    return np.stack([rows.ravel(), columns.ravel()], axis=1)


def _geometry(file: Any, raw: Raw, entry: str, detector: str, path: str) -> None:
    beam = _group(file, entry, "NXbeam", "instrument_1/beam_1")
    energies = [f"{beam}/{name}" for name in ("incident_beam_energy", "incident_energy", "energy")]
    wavelengths = [f"{beam}/{name}" for name in ("incident_wavelength", "wavelength")]
    wavelength = pick(file, "", wavelengths, "wavelength", path)
    energy = pick(file, "", energies, "energy", path)
    if energy:
        raw.wavelength_m = wavelength_of_energy(read_energy(file[energy], path))
    elif wavelength:
        raw.wavelength_m = read_length(file[wavelength], path)
    if energy or wavelength:
        raw.source["wavelength"] = energy or wavelength
    distance = pick(file, "", [f"{detector}/distance"], "distance", path)
    if distance:
        raw.distance_m = read_length(file[distance], path)
        raw.source["distance"] = distance
    sizes = [
        name for axis in "yx" if (name := pick(file, "", [f"{detector}/{axis}_pixel_size"], "pixel", path))
    ]
    if sizes:
        raw.detector_pixel_m = (read_length(file[sizes[0]], path), read_length(file[sizes[-1]], path))
        raw.source["detector pixel"] = sizes[0]
    _centre(file, raw, detector, path)


def _centre(file: Any, raw: Raw, detector: str, path: str) -> None:
    """The direct beam on the detector, where the file has it and it lies on the frame."""
    names = [f"{detector}/beam_center_{axis}" for axis in "yx"]
    if not all(pick(file, "", [name], "centre", path) for name in names):
        return
    centre = []
    for name, pixel in zip(names, raw.detector_pixel_m or (0.0, 0.0), strict=True):
        value, unit = float(np.ravel(file[name][()])[0]), unit_of(file[name])
        if unit and not is_pixels(unit):
            if not pixel:
                return
            value *= length_factor(unit, name, path) / pixel
        centre.append(value)
    if raw.stack and all(1 <= value <= size - 1 for value, size in zip(centre, raw.stack.frame, strict=True)):
        raw.centre = (centre[0], centre[1])
        raw.source["centre"] = ", ".join(names)


def _optional(file: Any, raw: Raw, detector: str, places: Places) -> None:
    path = places.path
    mask = places.find(file, "mask", [f"{detector}/pixel_mask", f"{detector}/mask"])
    if mask:
        rule = mask_rule(places.mask_good, is_zero)
        raw.good = as_mask(file[mask], raw.frame, rule, mask, path)
        raw.source["mask"] = mask
    probe = places.find(file, "probe", [])
    if probe:
        raw.probe = as_modes(file[probe], probe, path)
        raw.source["probe"] = probe
