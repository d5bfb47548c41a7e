"""Scans of the Hard X-ray Nanoprobe of NSLS-II as its export scripts write them, and as ptychodus reads them.

/diff_data/DETECTOR holds the images, (N, rows, columns) or a raster of them, in ``raw_data``, or
``det_images`` in older files, and the light of each pattern in ``Io``; /scan/scan_positions the positions,
(2, N) as x, y in micrometres. The script turns the images upside down, so that rows are +y and columns +x
(ptychodus, nsls2_position_file.py). There is no geometry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import h5py

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.finding import require
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.formats.corrections import take_intensities, take_named
from ptychosuite.problems.measured.formats.nexus_groups import exists, has_images
from ptychosuite.problems.measured.pattern_stack import single_stack
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.source import Source
from ptychosuite.problems.measured.units import read_numbers

IMAGES = ("raw_data", "det_images")
POSITIONS = ("scan/scan_positions", "diff_data/scan/scan_positions")


@dataclass(frozen=True)
class HXN(DataFormat):
    """Images of a detector and scan positions, as HXN exports them for other programs."""

    label: ClassVar[str] = "NSLS-II HXN"
    suffixes: ClassVar[tuple[str, ...]] = (".h5",)

    def recognises(self, source: Source) -> bool:
        if not source.is_hdf5:
            return False
        return bool(_images(source.hdf5)) and any(exists(source.hdf5, name) for name in POSITIONS)

    def read(self, source: Source, places: Places) -> Raw:
        file, path = source.hdf5, places.path
        raw = Raw(None, None, "um", convention="centre", radiation="photons")
        found = _images(file) or [f"diff_data/merlin1/{IMAGES[0]}"]
        if places.wants("data"):
            data = require(file, places.data, found, "data", path)
            raw.stack, raw.source["data"] = single_stack(file[data], data, path), data
            if others := [name for name in found if name != data]:
                raw.source["other detectors"] = ", ".join(others)
        if places.wants("positions"):
            _take_positions(file, raw, places)
        take_intensities(file, raw, places, [f"{found[0].rsplit('/', 1)[0]}/Io"])
        take_named(file, raw, places, "mask", "dark", "flat", "probe", "object")
        return raw


def _images(file: Any) -> list[str]:
    group = file.get("diff_data")
    names = list(group) if isinstance(group, h5py.Group) else []
    places = [f"diff_data/{detector}/{name}" for detector in names for name in IMAGES]
    return [place for place in places if has_images(file.get(place))]


def _take_positions(file: Any, raw: Raw, places: Places) -> None:
    """Positions as y, x."""
    name = require(file, places.positions, POSITIONS, "positions", places.path)
    points = file[name]
    if points.ndim < 2 or points.shape[0] != 2 or points.dtype.kind not in "uif":
        raise DataFileError(
            f"{places.path}: '{name}' holds {points.dtype} of shape {points.shape}; expected (2, positions)"
        )
    raw.positions = read_numbers(points, places.path).reshape(2, -1)[::-1].T
    raw.source["positions"] = name
