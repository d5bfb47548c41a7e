"""Master files of DECTRIS detectors (EIGER, PILATUS 4; dectris.com, "NeXus header documentation").

The images lie in files beside the master, which links to them as /entry/data/data_000001, ...; newer ones
may hold all images in /entry/data/data. There are no positions: they come from another file, or are a raster.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import h5py
import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.finding import broken_link, pick, require
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.formats.beam_group import take_wavelength
from ptychosuite.problems.measured.formats.corrections import take_named
from ptychosuite.problems.measured.formats.detector_group import flat_is_applied, take_detector
from ptychosuite.problems.measured.formats.nexus_groups import exists, pick_given
from ptychosuite.problems.measured.pattern_stack import Part, PatternStack, single_stack
from ptychosuite.problems.measured.raw import Raw, as_positions
from ptychosuite.problems.measured.source import Source
from ptychosuite.problems.measured.units import read_number, read_numbers, unit_of

DATA = "/entry/data"
DETECTOR = "/entry/instrument/detector"
SPECIFIC = f"{DETECTOR}/detectorSpecific"
NUMBERED = re.compile(r"data_(\d+)")
SATURATION = (
    f"{DETECTOR}/saturation_value",
    f"{SPECIFIC}/saturation_value",
    f"{SPECIFIC}/countrate_correction_count_cutoff",
)


@dataclass(frozen=True)
class Dectris(DataFormat):
    """Images in numbered files beside a master file, which has the geometry."""

    label: ClassVar[str] = "DECTRIS master"
    suffixes: ClassVar[tuple[str, ...]] = ("_master.h5",)

    def recognises(self, source: Source) -> bool:
        if not source.is_hdf5:
            return False
        file = source.hdf5
        return bool(_numbers(file)) or (exists(file, f"{DATA}/data") and exists(file, SPECIFIC))

    def read(self, source: Source, places: Places) -> Raw:
        file, path = source.hdf5, places.path
        raw = Raw(None, None, "m", convention="centre", radiation="photons")
        if places.wants("data"):
            raw.stack = _stack(file, places)
            raw.source["data"] = raw.stack.name
        if name := places.find(file, "positions", ()):
            raw.positions = as_positions(file[name], name, path)[:, 1::-1]
            raw.positions_unit, raw.source["positions"] = unit_of(file[name]), name
        take_wavelength(
            file,
            raw,
            ["/entry/instrument/beam/incident_wavelength", "/entry/sample/beam/incident_wavelength"],
            [f"{SPECIFIC}/photon_energy"],
            path,
            unit="eV",
        )
        take_detector(file, raw, DETECTOR, places)
        _take_factors(file, raw, places)
        _take_saturation(file, raw, path)
        take_named(file, raw, places, "intensities", "probe", "object")
        return raw


def _numbers(file: Any) -> dict[int, str]:
    """The numbered links, in the order of their numbers."""
    group = file.get(DATA)
    names = list(group) if isinstance(group, h5py.Group) else []
    found = {int(match[1]): f"{DATA}/{name}" for name in names if (match := NUMBERED.fullmatch(name))}
    return dict(sorted(found.items()))


def _stack(file: Any, places: Places) -> PatternStack:
    """All images, one file after the other.

    Raises
    ------
    DataFileError
        A file is missing, a number is left out, or the images are of several sizes.
    """
    path, numbers = places.path, _numbers(file)
    if places.data or not numbers:
        name = require(file, places.data, [f"{DATA}/data"], "data", path)
        return single_stack(file[name], name, path)
    absent = sorted(set(range(1, max(numbers) + 1)) - set(numbers))
    if absent:
        raise DataFileError(
            f"{path}: '{DATA}/data_{absent[0]:06d}' is missing among {len(numbers)} links to images; name "
            "those that count with 'data'"
        )
    parts: list[Part] = []
    for name in numbers.values():
        if target := broken_link(file, name):
            raise DataFileError(
                f"{path}: '{name}' is a link to {target}, which is not there; put all data files beside the "
                "master file"
            )
        parts += single_stack(file[name], name, path).parts
    frames = {part.array.shape[-2:] for part in parts}
    if len(frames) > 1:
        raise DataFileError(f"{path}: '{DATA}' links to images of several sizes: {sorted(frames)}")
    return PatternStack(tuple(parts), parts[0].array.name if len(parts) == 1 else f"{DATA}/data_*")


def _take_factors(file: Any, raw: Raw, places: Places) -> None:
    """The flat field of a detector that has not applied it: factors, where others have the response."""
    name = pick(file, "", [f"{SPECIFIC}/flatfield"], "flat", places.path)
    if not name or places.flat or not places.wants("flat") or raw.flat is not None:
        return
    if flat_is_applied(file, DETECTOR, places.path):
        raw.source["flat"] = f"{name}, left out: applied already"
    elif raw.frame in (None, file[name].shape):
        factors = read_numbers(file[name], places.path)
        raw.flat, raw.source["flat"] = 1 / np.where(factors > 0, factors, 1.0), f"1 / {name}"


def _take_saturation(file: Any, raw: Raw, path: str) -> None:
    """Counts from which on the detector is no longer right."""
    if (name := pick_given(file, SATURATION, "saturation", path)) and file[name].dtype.kind in "uif":
        raw.saturation, raw.source["saturation"] = read_number(file[name], path), name
