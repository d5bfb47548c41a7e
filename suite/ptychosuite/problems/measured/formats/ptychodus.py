"""Products and pattern files of ptychodus 1.7 (github.com/AdvancedPhotonSource/ptychodus).

A product holds positions, probe and object of a reconstruction, never its patterns: these are in a file of
their own. Both number the exposures, so that a product may lack some, or have them in another order.
Positions are those of the beam on the object in metres, x along the columns and y along the rows; the probe
is (variations, modes, rows, columns), the object (layers, rows, columns). In an .h5 file the numbers are
attributes, in a .cxi file they are in ``/entry_1/ptychodus``. Pairs of files for other programs
(``_dp.hdf5`` and ``_para.hdf5``) have the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.constants import e

from ptychosuite.problems.measured.array_names import named, number, rows_and_columns, values
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.formats.ptychodus_writer import write_ptychodus
from ptychosuite.problems.measured.measurement import Measurement
from ptychosuite.problems.measured.pattern_stack import single_stack
from ptychosuite.problems.measured.raw import (
    Raw,
    as_mask,
    as_modes,
    as_positions,
    as_wave,
    is_zero,
    mask_rule,
)
from ptychosuite.problems.measured.source import Source
from ptychosuite.problems.measured.units import wavelength_of_energy

CXI_GROUP = "entry_1/ptychodus"
X, Y = "probe_position_x_m", "probe_position_y_m"
TRANSLATION = "entry_1/sample_1/geometry_1/translation"
CXI_ENERGY = "entry_1/instrument_1/source_1/energy"
DATA = ("patterns", "dp", "data")
PROBE = ("probe", "entry_1/image_1/data")
OBJECT = ("object", "entry_1/image_2/data")
NUMBERS = ("probe_position_indexes", f"{CXI_GROUP}/probe_position_indexes")
DISTANCE = ("detector_object_distance_m", "entry_1/instrument_1/detector_1/distance")


@dataclass(frozen=True)
class Ptychodus(DataFormat):
    """Patterns, or positions, probe and object, as ptychodus exports them to .npz, .h5 and .cxi files."""

    label: ClassVar[str] = "ptychodus"
    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".npz", ".cxi")
    writes: ClassVar[tuple[str, ...]] = ("data", "positions", "probe", "object", "mask")
    priority: ClassVar[int] = 1  # its .cxi files look like CXI, which moves the sample and not the beam

    def recognises(self, source: Source) -> bool:
        if source.is_hdf5 and CXI_GROUP in source.hdf5:
            return True
        held = set(source.arrays) if source.holds_arrays else set()
        is_product = {X, Y} <= held and bool({"probe", NUMBERS[0]} & held)
        return is_product or {"patterns", "indexes"} <= held

    def read(self, source: Source, places: Places) -> Raw:
        arrays, path = _with_attributes(source), places.path
        raw = Raw(None, None, "m", convention="centre", radiation="photons")
        if data := named(arrays, places, "data", DATA):
            raw.stack, raw.source["data"] = single_stack(arrays[data], data, path), data
            if "indexes" in arrays:
                raw.pattern_numbers = values(arrays, "indexes")
                raw.source["pattern numbers"] = "indexes"
        if places.wants("positions"):
            _positions(arrays, raw, places)
        if mask := named(arrays, places, "mask", ("bad_pixels",)):
            raw.good = as_mask(arrays[mask], raw.frame, mask_rule(places.mask_good, is_zero), mask, path)
            raw.source["mask"] = mask
        if probe := named(arrays, places, "probe", PROBE):
            raw.probe, raw.source["probe"] = as_modes(values(arrays, probe), probe, path), probe
        if guess := named(arrays, places, "object", OBJECT):
            raw.object_guess, raw.source["object"] = as_wave(values(arrays, guess), guess, path), guess
        _geometry(arrays, raw, path)
        return raw

    def write(self, path: str, measurement: Measurement) -> None:
        write_ptychodus(path, measurement)


def _with_attributes(source: Source) -> Mapping[str, Any]:
    """The arrays of a file, and the attributes of an .h5 product by the names that they have in an .npz."""
    if not source.is_hdf5:
        return source.arrays
    found: dict[str, Any] = {key: np.asarray(value) for key, value in source.hdf5.attrs.items()}
    for name in ("object", "probe"):
        attributes = getattr(source.arrays.get(name), "attrs", {})
        found |= {f"{name}_{key}": np.asarray(value) for key, value in attributes.items()}
    inside = {name.removeprefix(f"{CXI_GROUP}/"): array for name, array in source.arrays.items()}
    return found | inside | dict(source.arrays)


def _positions(arrays: Mapping[str, Any], raw: Raw, places: Places) -> None:
    """Positions (N, 2) as y, x, with their numbers."""
    path = places.path
    name = named(arrays, places, "positions", (TRANSLATION,))
    if name and (places.positions or X not in arrays):
        found = as_positions(values(arrays, name), name, path)
        raw.positions = found[:, 1::-1] if found.shape[1] == 3 else found
    elif X in arrays and Y in arrays:
        name, raw.positions = f"{Y}, {X}", rows_and_columns(arrays, Y, X, path)
    if raw.positions is not None:
        raw.source["positions"] = name
        if numbers := next((key for key in NUMBERS if key in arrays), ""):
            raw.position_numbers, raw.source["position numbers"] = values(arrays, numbers), numbers


def _geometry(arrays: Mapping[str, Any], raw: Raw, path: str) -> None:
    """Energy, distance and pixel of the object, as far as they are there."""
    if energy_ev := number(arrays, ("photon_energy_eV", "probe_energy_eV"), path):
        raw.wavelength_m, raw.source["wavelength"] = wavelength_of_energy(energy_ev * e), "photon_energy_eV"
    elif energy_j := number(arrays, (CXI_ENERGY,), path):
        raw.wavelength_m, raw.source["wavelength"] = wavelength_of_energy(energy_j), CXI_ENERGY
    raw.distance_m = number(arrays, DISTANCE, path)
    raw.source["distance"] = next((name for name in DISTANCE if name in arrays), "distance")
    pixels = [
        number(arrays, (f"object_pixel_{side}_m", f"probe_pixel_{side}_m"), path)
        for side in ("height", "width")
    ]
    probe = next((name for name in PROBE if name in arrays), "")
    shape = arrays[probe].shape[-2:] if probe else None
    if pixels[0] and pixels[1]:
        name = "object_pixel_height_m, object_pixel_width_m"
        raw.take_object_pixel((pixels[0], pixels[1]), shape, name)
    if "far_field" in arrays:
        raw.propagation = "far" if np.all(values(arrays, "far_field")) else "near"
