"""Scans of MAX IV (NanoMAX, SoftiMAX) as the control system Contrast records them.

/entry/measurement holds a group for each detector, with its images in ``frames``, often behind a link to a
file beside it, and the positions in micrometres in ``pseudo/x`` and ``pseudo/y``; /entry/snapshots, or
/entry/snapshot, the energy in eV. Distance and detector pixel are not recorded.

A row is +y and a column +x. Which way the stage moves to the detector's rows and columns depends on the
experiment: ptypy's loader turns both axes by default, which is 'flip_rows' and 'flip_columns' here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import h5py
import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.finding import broken_link, pick
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.formats.beam_group import take_wavelength
from ptychosuite.problems.measured.formats.corrections import take_named
from ptychosuite.problems.measured.formats.nexus_groups import exists, has_images
from ptychosuite.problems.measured.pattern_stack import single_stack
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.source import Source
from ptychosuite.problems.measured.units import unit_of
from ptychosuite.problems.measured.whole import check_small, check_whole

MEASUREMENT = "/entry/measurement"
MOTORS = ("pseudo", "npoint_buff")
ENERGIES = ("/entry/snapshots/pre_scan/energy", "/entry/snapshots/post_scan/energy", "/entry/snapshot/energy")


@dataclass(frozen=True)
class NanoMAX(DataFormat):
    """Images of one detector and the positions of a scan, in the places of MAX IV's Contrast."""

    label: ClassVar[str] = "MAX IV"
    suffixes: ClassVar[tuple[str, ...]] = (".h5",)

    def recognises(self, source: Source) -> bool:
        if not source.is_hdf5:
            return False
        file = source.hdf5
        return bool(_detectors(file)) and any(exists(file, f"{MEASUREMENT}/{motor}/x") for motor in MOTORS)

    def read(self, source: Source, places: Places) -> Raw:
        file, path = source.hdf5, places.path
        raw = Raw(None, None, "um", convention="centre", radiation="photons")
        if places.wants("data"):
            data = _images(file, raw, places)
            raw.stack, raw.source["data"] = single_stack(file[data], data, path), data
        if places.wants("positions"):
            _take_positions(file, raw, places)
        take_wavelength(file, raw, (), ENERGIES, path, unit="eV")
        take_named(file, raw, places)
        return raw


def _detectors(file: Any) -> list[str]:
    """Places of the images of each detector, those behind a link that leads nowhere as well."""
    group = file.get(MEASUREMENT)
    if not isinstance(group, h5py.Group):
        return []
    names = [f"{MEASUREMENT}/{name}/frames" for name in group]
    return [name for name in names if has_images(file.get(name)) or broken_link(file, name)]


def _images(file: Any, raw: Raw, places: Places) -> str:
    found = _detectors(file)
    if not places.data and not found:
        raise DataFileError(f"{places.path} has no images at '{MEASUREMENT}/*/frames'; name them with 'data'")
    if found[1:]:
        raw.source["other detectors"] = ", ".join(found[1:])
    return pick(file, places.data, found, "data", places.path)


def _take_positions(file: Any, raw: Raw, places: Places) -> None:
    """Positions as y, x, one of each for every pattern."""
    path = places.path
    if places.positions:
        names = [pick(file, name.strip(), (), "positions", path) for name in places.positions.split(",")]
    else:
        group = next((f"{MEASUREMENT}/{m}" for m in MOTORS if exists(file, f"{MEASUREMENT}/{m}/x")), "")
        names = [pick(file, "", [f"{group}/{axis}"], "positions", path) for axis in "yx"]
    if len(names) != 2 or not all(names):
        raise DataFileError(
            f"{path} has no positions at '{MEASUREMENT}/pseudo/x' and '/y'; name both with 'positions', rows "
            'first: "y, x"'
        )
    for name in names:
        check_whole(file[name], name, path)
        check_small(file[name], name, path)
    y, x = (np.ravel(file[name][()]) for name in names)
    if y.size != x.size or {y.dtype.kind, x.dtype.kind} - set("uif"):
        raise DataFileError(
            f"{path}: '{names[0]}' holds {y.size} values and '{names[1]}' {x.size}; expected numbers, one of "
            "each for every pattern"
        )
    raw.positions = np.stack([y, x], axis=1).astype(np.float64)
    raw.positions_unit = unit_of(file[names[0]]) or "um"
    raw.source["positions"] = ", ".join(names)
