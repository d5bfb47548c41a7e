"""Files of fold_slice, which is PtychoShelves at the APS, and of pty-chi (github.com/yijiang1/fold_slice,
github.com/AdvancedPhotonSource/pty-chi).

Prepared data are a pair: ``_dp.hdf5`` has the patterns in ``dp``, ``_para.hdf5`` the positions in metres in
``ppX`` along the columns and ``ppY`` along the rows, often with the wavelength ``lambda`` and the object's
pixel ``dx``. A reconstruction is a .mat file of fold_slice, with ``object``, ``probe`` (rows, columns, modes,
variations), ``outputs.probe_positions`` (N, 2) as x, y in pixels, and ``p``, or an .h5 file of pty-chi, with
``probe`` (variations, modes, rows, columns), ``positions_px`` (N, 2), rows first, and ``obj_pixel_size_m``.
All of them mean the beam on the object: PtychoShelves turns its sign twice. Files of its electron data have
angstrom where others have metres, without saying so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ptychosuite.problems.measured.array_names import from_matlab, named, number, rows_and_columns, values
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.pattern_stack import single_stack
from ptychosuite.problems.measured.raw import (
    Raw,
    as_mask,
    as_modes,
    as_positions,
    as_wave,
    is_positive,
    mask_rule,
)
from ptychosuite.problems.measured.source import Source
from ptychosuite.problems.measured.units import unit_of
from ptychosuite.problems.measured.waves import modes_first

X, Y = "ppX", "ppY"
OF_FOLD_SLICE, OF_PTYCHI = "outputs/probe_positions", "positions_px"
PIXEL_OF_PTYCHI = "obj_pixel_size_m"
WAVELENGTH = ("lambda", "p/lambda")
PIXEL = ("dx", "p/dx_spec", PIXEL_OF_PTYCHI)
OBJECT = ("object", "object_roi")


@dataclass(frozen=True)
class PtychoShelves(DataFormat):
    """Patterns ``dp``, positions ``ppX`` and ``ppY``, or a reconstruction by fold_slice or pty-chi."""

    label: ClassVar[str] = "PtychoShelves"
    suffixes: ClassVar[tuple[str, ...]] = (".hdf5", ".mat", ".h5")

    def recognises(self, source: Source) -> bool:
        held = set(source.arrays) if source.holds_arrays else set()
        sets = ({X, Y}, {OF_FOLD_SLICE, "probe"}, {OF_PTYCHI, PIXEL_OF_PTYCHI})
        return held == {"dp"} or any(each <= held for each in sets)

    def read(self, source: Source, places: Places) -> Raw:
        arrays, path = source.arrays, places.path
        matlab = from_matlab(source)
        raw = Raw(None, None, "m", convention="centre")
        if places.wants("positions"):
            _positions(arrays, raw, places)
        if data := named(arrays, places, "data", ("dp",)):
            raw.stack, raw.source["data"] = single_stack(arrays[data], data, path, matlab=matlab), data
        if mask := named(arrays, places, "mask", ()):
            raw.good = as_mask(arrays[mask], raw.frame, mask_rule(places.mask_good, is_positive), mask, path)
            raw.source["mask"] = mask
        if probe := named(arrays, places, "probe", ("probe",)):
            raw.probe = as_modes(modes_first(values(arrays, probe), matlab), probe, path)
            raw.source["probe"] = probe
        if guess := named(arrays, places, "object", OBJECT):
            raw.object_guess = as_wave(modes_first(values(arrays, guess), matlab), guess, path)
            raw.source["object"] = guess
        _geometry(arrays, raw, matlab, path)
        return raw


def _positions(arrays: Mapping[str, Any], raw: Raw, places: Places) -> None:
    """Positions (N, 2), rows first."""
    path = places.path
    name = named(arrays, places, "positions", (OF_FOLD_SLICE, OF_PTYCHI))
    if name and (places.positions or not {X, Y} <= set(arrays)):
        found = as_positions(values(arrays, name), name, path)
        raw.positions = found[:, ::-1] if name == OF_FOLD_SLICE else found[:, :2]
        raw.positions_unit = "px" if name in (OF_FOLD_SLICE, OF_PTYCHI) else unit_of(arrays[name])
    elif {X, Y} <= set(arrays):
        name, raw.positions = f"{Y}, {X}", rows_and_columns(arrays, Y, X, path)
        raw.positions_unit = unit_of(arrays[X]) or "m"
    if raw.positions is not None:
        raw.source["positions"] = name


def _geometry(arrays: Mapping[str, Any], raw: Raw, matlab: bool, path: str) -> None:
    if wavelength := number(arrays, WAVELENGTH, path):
        raw.wavelength_m = wavelength
        raw.source["wavelength"] = next(name for name in WAVELENGTH if name in arrays)
    if pixel := number(arrays, PIXEL, path):
        probe = arrays["probe"].shape if "probe" in arrays else ()
        shape = probe[:2] if matlab else probe[-2:]
        raw.take_object_pixel((pixel, pixel), shape, next(name for name in PIXEL if name in arrays))
