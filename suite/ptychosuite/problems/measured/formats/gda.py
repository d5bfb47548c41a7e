"""NeXus files as Diamond's GDA writes them, and other files of a scan without an application definition.

An entry (entry, entry1, ...) with something measured in an NXdata group or with images of an NXdetector, and
with two motors across the beam: I08, J08, I13, I14. The axes' metadata are those of NXdata; ptypy's loaders
for these beamlines take the motors' values without a change of sign, as is done here. Older files give no
units, so a study has to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.formats.nexus import read_nexus
from ptychosuite.problems.measured.formats.nexus_groups import (
    entries_of_class,
    groups_of,
    has_images,
    signal_of,
)
from ptychosuite.problems.measured.formats.nexus_motors import find_motors
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.source import Source


@dataclass(frozen=True)
class GDA(DataFormat):
    """A NeXus entry of no definition with a scan of two motors, as Diamond Light Source writes it."""

    label: ClassVar[str] = "Diamond GDA"
    suffixes: ClassVar[tuple[str, ...]] = (".nxs",)
    has_entries: ClassVar[bool] = True

    def recognises(self, source: Source) -> bool:
        return source.is_hdf5 and bool(_scans(source.hdf5))

    def read(self, source: Source, places: Places) -> Raw:
        file = source.hdf5
        found = _scans(file) or entries_of_class(file)
        if not found:
            raise DataFileError(f"{places.path} has no group of the class NXentry; give another 'format'")
        return read_nexus(file, found, places)


def _scans(file: Any) -> list[str]:
    """The entries that hold a scan."""
    return [entry for entry in entries_of_class(file) if _has_scan(file, entry)]


def _has_scan(file: Any, entry: str) -> bool:
    plotted = (signal_of(plot) for plot in groups_of(file, entry, "NXdata"))
    detected = (group.get("data") for group in groups_of(file, entry, "NXdetector"))
    if not any(item is not None for item in plotted) and not any(has_images(item) for item in detected):
        return False
    try:
        return bool(find_motors(file, entry, ""))
    except DataFileError:  # there are motors, and the reader says what is wrong with them
        return True
