"""NeXus files of the definitions NXcxi_ptycho (nexusformat.org) and NXptycho (lightsources/NX-cxi-ptycho).

The entry is found by its definition, its groups by their class, so that files whose groups are not called
entry_1, detector_1, ... are read as well. Positions are taken as ptypy does: y along the rows, x along the
columns, without a change of sign but that of a motor's ``vector``. The energy is the beam's; that of source_1
is the storage ring's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.finding import is_dataset, pick, require
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.formats.beam_group import radiation, take_wavelength
from ptychosuite.problems.measured.formats.corrections import take_intensities, take_named
from ptychosuite.problems.measured.formats.detector_group import take_detector
from ptychosuite.problems.measured.formats.nexus_axes import positions_of, scan_shapes
from ptychosuite.problems.measured.formats.nexus_groups import (
    choose_entry,
    detector_of,
    entries_of_class,
    entries_that_follow,
    exists,
    group_of,
    groups_of,
    has_images,
    signal_of,
)
from ptychosuite.problems.measured.formats.nexus_motors import Motor, find_motors, named_motors
from ptychosuite.problems.measured.pattern_stack import single_stack
from ptychosuite.problems.measured.raw import Raw, as_positions
from ptychosuite.problems.measured.source import Source
from ptychosuite.problems.measured.units import unit_of

DEFINITIONS = ("NXcxi_ptycho", "NXptycho")
ENERGIES = ("incident_beam_energy", "incident_energy", "energy")


@dataclass(frozen=True)
class NeXus(DataFormat):
    """An entry that follows NXcxi_ptycho or NXptycho; such a file may look like CXI as well."""

    label: ClassVar[str] = "NeXus"
    suffixes: ClassVar[tuple[str, ...]] = (".nxs",)
    has_entries: ClassVar[bool] = True
    priority: ClassVar[int] = 1

    def recognises(self, source: Source) -> bool:
        return source.is_hdf5 and bool(entries_that_follow(source.hdf5, DEFINITIONS))

    def read(self, source: Source, places: Places) -> Raw:
        file = source.hdf5
        found = entries_that_follow(file, DEFINITIONS) or entries_of_class(file)
        return read_nexus(file, found or ["/entry_1" if exists(file, "/entry_1") else "/entry"], places)


def read_nexus(file: Any, entries: list[str], places: Places) -> Raw:
    """What an entry of a NeXus file holds; the user may choose which, and name the place of everything.

    Raises
    ------
    DataFileError
        There is no such entry, or something that was asked for is missing or does not fit.
    """
    raw = Raw(None, None, "m", convention="centre")
    entry = choose_entry(entries, raw, places)
    detector = detector_of(file, entry, raw)
    if places.wants("data"):
        data = require(file, places.data, _data_names(file, entry, detector), "data", places.path)
        raw.stack, raw.source["data"] = single_stack(file[data], data, places.path), data
    if places.wants("positions"):
        _take_positions(file, raw, entry, detector, places)
    _take_beam(file, raw, entry, places.path)
    take_detector(file, raw, detector, places)
    monitors = [f"{group.name}/data" for group in groups_of(file, entry, "NXmonitor")]
    times = [name for name in [f"{detector}/count_time"] if is_dataset(file, name) and file[name].size > 1]
    take_intensities(file, raw, places, [*monitors, f"{entry}/control/data", *times])
    take_named(file, raw, places, "probe", "object")  # the probe of NXsource is a word
    return raw


def _data_names(file: Any, entry: str, detector: str) -> list[str]:
    signals = (signal_of(plot) for plot in groups_of(file, entry, "NXdata"))
    plotted = [str(signal.name) for signal in signals if has_images(signal)]
    return [f"{entry}/data_1/data", f"{detector}/data", *plotted]


def _take_positions(file: Any, raw: Raw, entry: str, detector: str, places: Places) -> None:
    """Positions along rows and columns: one array of x, y, z, or one a motor."""
    path = places.path
    usual = [
        f"{entry}/sample_1/geometry_1/translation",
        f"{entry}/data_1/translation",
        f"{detector}/translation",
    ]
    if "," in places.positions:
        motors = _named(file, entry, places)
    elif name := pick(file, places.positions, usual, "positions", path):
        raw.positions = as_positions(file[name], name, path)[:, 1::-1]
        raw.positions_unit, raw.source["positions"] = unit_of(file[name]) or "m", name
        return
    else:
        motors = find_motors(file, entry, path)
    if not motors:
        raise DataFileError(f"{path} has no positions at '{usual[0]}'; name the array with 'positions'")
    raw.positions, raw.positions_unit = positions_of(motors, scan_shapes(raw.stack, file, entry), path)
    raw.source["positions"] = ", ".join(motor.name for motor in motors)


def _named(file: Any, entry: str, places: Places) -> list[Motor]:
    """The two arrays that the user names, rows first."""
    given = [part.strip() for part in places.positions.split(",")]
    if len(given) != 2:
        raise DataFileError(
            f"{places.path}: '{places.positions}' names {len(given)} arrays; expected two, rows first"
        )
    names = [pick(file, name, (), "positions", places.path) for name in given]
    return named_motors(file, entry, names)


def _take_beam(file: Any, raw: Raw, entry: str, path: str) -> None:
    """What the beam consists of, and its wavelength, which a monochromator may have instead."""
    sources = [f"{entry}/instrument_1/source_1", *(str(g.name) for g in groups_of(file, entry, "NXsource"))]
    raw.radiation = radiation(file, [f"{source}/probe" for source in sources])
    places = [group_of(file, entry, "NXbeam", "instrument_1/beam_1")]
    places += [str(group.name) for group in groups_of(file, entry, "NXmonochromator")]
    wavelengths = [f"{place}/{name}" for place in places for name in ("incident_wavelength", "wavelength")]
    energies = [f"{place}/{name}" for place in places for name in ENERGIES]
    take_wavelength(file, raw, wavelengths, energies, path)
