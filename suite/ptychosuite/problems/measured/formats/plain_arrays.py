"""Plain arrays in HDF5, NPZ or MAT files, found by the names that the user gives or by usual ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ptychosuite.errors import DataFileError, nearest
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

# The last part of a name, lower case; the first that is there is taken.
USUAL: Mapping[str, Sequence[str]] = {
    "data": ("data", "diffraction", "diffraction_intensity", "diffraction_patterns", "patterns", "dp",
             "intensity", "intensities", "i"),
    "positions": ("scan", "positions", "scan_positions", "scan_positions_px", "positions_px",
                  "probe_positions", "translation", "translations", "coords", "pos"),
    "probe": ("probe", "illumination", "initial_probe", "probe_guess"),
    "mask": ("mask", "detector_mask", "good_pixels"),
    "object": ("object_guess", "initial_object", "object", "obj"),
}  # fmt: skip


@dataclass(frozen=True)
class PlainArrays(DataFormat):
    """Arrays by the names that the user gives, or by usual ones; any file that holds arrays."""

    label: ClassVar[str] = "plain arrays"
    suffixes: ClassVar[tuple[str, ...]] = (".h5", ".npz", ".mat")
    priority: ClassVar[int] = -1  # whatever the others leave

    def recognises(self, source: Source) -> bool:
        return source.holds_arrays and bool(source.arrays)

    def read(self, source: Source, places: Places) -> Raw:
        arrays, path = source.arrays, places.path
        raw = Raw(None, None, "", convention="")
        if places.wants("positions"):
            _take_positions(arrays, raw, places)
        if places.wants("data"):
            data = _required(arrays, places.data, "data", path)
            n = None if raw.positions is None else len(raw.positions)
            raw.stack = single_stack(arrays[data], data, path, n_positions=n)
            raw.source["data"] = data
        if found := self._found(arrays, places, "mask"):
            rule = mask_rule(places.mask_good, is_positive)
            raw.good = as_mask(_values(arrays, found), raw.frame, rule, found, path)
            raw.source["mask"] = found
        if found := self._found(arrays, places, "probe"):
            raw.probe = as_modes(_values(arrays, found), found, path)
            raw.source["probe"] = found
        guess = self._found(arrays, places, "object")
        if guess and (places.object or arrays[guess].dtype.kind == "c") and len(arrays[guess].shape) >= 2:
            raw.object_guess = as_wave(_values(arrays, guess), guess, path)
            raw.source["object"] = guess
        return raw

    @staticmethod
    def _found(arrays: Mapping[str, Any], places: Places, what: str) -> str:
        return _find(arrays, getattr(places, what), what, places.path) if places.wants(what) else ""


def _take_positions(arrays: Mapping[str, Any], raw: Raw, places: Places) -> None:
    """Positions (N, 2) as row, column; of three columns, which are x, y, z everywhere, as y, x."""
    positions, raw.positions_unit, raw.source["positions"] = _positions(arrays, places)
    raw.positions = positions[:, 1::-1] if positions.shape[1] == 3 else positions


def _positions(arrays: Mapping[str, Any], places: Places) -> tuple[np.ndarray, str, str]:
    """Positions (N, 2 or 3), their unit, and where they are; "rows, columns" names two arrays."""
    path = places.path
    if "," not in places.positions:
        name = _required(arrays, places.positions, "positions", path)
        return as_positions(_values(arrays, name), name, path), _unit(arrays, name), name
    names = [_required(arrays, part.strip(), "positions", path) for part in places.positions.split(",")]
    columns = [np.ravel(_values(arrays, name)) for name in names]
    if len(columns) != 2 or len(columns[0]) != len(columns[1]):
        raise DataFileError(
            f"{path}: '{places.positions}' holds {', '.join(str(len(c)) for c in columns)} values; "
            "expected two arrays of one length, rows first"
        )
    pairs = as_positions(np.stack(columns, axis=1), places.positions, path)
    return pairs, _unit(arrays, names[0]), ", ".join(names)


def _unit(arrays: Mapping[str, Any], name: str) -> str:
    """The unit that an array says, or the end of its name: positions_px, probe_position_x_m."""
    end = name.rsplit("_", 1)[-1].lower()
    return unit_of(arrays[name]) or (end if end in ("px", "m", "mm", "um", "nm") else "")


def _required(arrays: Mapping[str, Any], given: str, what: str, path: str) -> str:
    if name := _find(arrays, given, what, path):
        return name
    raise DataFileError(
        f"{path} has no array of a usual name for {what} ({', '.join(USUAL[what])}); name it with '{what}', "
        f"the file holds: {', '.join(sorted(arrays)[:20]) or 'no arrays'}"
    )


def _find(arrays: Mapping[str, Any], given: str, what: str, path: str) -> str:
    if given:
        if given.strip("/") in arrays:
            return given.strip("/")
        raise DataFileError(f"{path} has no array '{given}' for '{what}'; {nearest(given, arrays)}")
    for usual in USUAL[what]:
        found = [name for name in arrays if name.rsplit("/", 1)[-1].lower() == usual]
        if len(found) > 1:
            raise DataFileError(
                f"{path} has several arrays for {what}: {', '.join(found)}; name one with '{what}'"
            )
        if found:
            return found[0]
    return ""


def _values(arrays: Mapping[str, Any], name: str) -> np.ndarray:
    return np.asarray(arrays[name][...])
