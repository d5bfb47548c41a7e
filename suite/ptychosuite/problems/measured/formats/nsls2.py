"""Prepared scans of NSLS-II (HXN, CSX), as the beamlines' ptycho_gui saves them for its reconstruction.

``diffamp`` holds the square roots of the counts, with zero frequency in the corner, and turned so that its
first axis is the scan's x: ``points``, (2, N) in micrometres, are positions along the first and along the
second axis, without a change of sign (save_data of NSLS-II/ptycho_gui, nsls2ptycho/core/HXN_databroker.py).
Geometry is in ``lambda_nm``, ``z_m`` and ``ccd_pixel_um``; ``ic``, the light of each pattern, has been taken
out of the counts before they are saved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.finding import require
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.formats.corrections import take_named
from ptychosuite.problems.measured.formats.nexus_groups import exists, pick_given
from ptychosuite.problems.measured.pattern_stack import single_stack
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.source import Source
from ptychosuite.problems.measured.units import read_number, read_numbers


class SquaredArray:
    """Amplitudes of a file as the intensities that they are roots of, squared as they are read."""

    dtype = np.dtype(np.float32)

    def __init__(self, amplitudes: Any) -> None:
        self.dataset = amplitudes
        self.shape, self.chunks = amplitudes.shape, amplitudes.chunks

    def __getitem__(self, key: Any) -> np.ndarray:
        return np.square(np.asarray(self.dataset[key], dtype=np.float64)).astype(self.dtype)


@dataclass(frozen=True)
class NSLS2(DataFormat):
    """Amplitudes and points of a scan at NSLS-II; they are squared here, so 'counts' is not to be given."""

    label: ClassVar[str] = "NSLS-II"
    suffixes: ClassVar[tuple[str, ...]] = (".h5",)

    def recognises(self, source: Source) -> bool:
        return source.is_hdf5 and exists(source.hdf5, "diffamp") and exists(source.hdf5, "points")

    def read(self, source: Source, places: Places) -> Raw:
        file, path = source.hdf5, places.path
        raw = Raw(None, None, "um", convention="corner", radiation="photons")
        if places.wants("data"):
            data = require(file, places.data, ["diffamp"], "data", path)
            single_stack(file[data], data, path)  # its kind of numbers
            squared = SquaredArray(file[data]) if data.strip("/") == "diffamp" else file[data]
            raw.stack, raw.source["data"] = single_stack(squared, data, path), data
        if places.wants("positions"):
            _take_points(file, raw, places)
        _take_geometry(file, raw, path)
        take_named(file, raw, places)
        return raw


def _take_points(file: Any, raw: Raw, places: Places) -> None:
    """Positions along the first and along the second axis of the patterns."""
    name = require(file, places.positions, ["points"], "positions", places.path)
    points = file[name]
    if points.ndim != 2 or points.shape[0] != 2 or points.dtype.kind not in "uif":
        raise DataFileError(
            f"{places.path}: '{name}' holds {points.dtype} of shape {points.shape}; expected (2, positions)"
        )
    raw.positions, raw.source["positions"] = read_numbers(points, places.path).T, name


def _take_geometry(file: Any, raw: Raw, path: str) -> None:
    def number(name: str) -> float | None:
        return read_number(file[name], path) if pick_given(file, [name], name, path) else None

    if wavelength := number("lambda_nm"):
        raw.wavelength_m, raw.source["wavelength"] = wavelength * 1e-9, "lambda_nm"
    if distance := number("z_m"):
        raw.distance_m, raw.source["distance"] = distance, "z_m"
    if pixel := number("ccd_pixel_um"):
        raw.detector_pixel_m, raw.source["detector pixel"] = (pixel * 1e-6, pixel * 1e-6), "ccd_pixel_um"
