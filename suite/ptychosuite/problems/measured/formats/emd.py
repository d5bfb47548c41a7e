"""EMD, the HDF5 files of electron microscopy: as py4DSTEM keeps 4D-STEM, and as Berkeley Lab defined it.

A group that has the attribute ``emd_group_type`` holds ``data`` (slow, fast, rows, columns), and a vector
``dimN`` with its unit for each axis, counted from 0 or from 1 (emdatasets.com). What py4DSTEM knows better
stands in its calibration (B. Savitzky et al., *Microscopy and Microanalysis* 27, 712 (2021)):
``R_pixel_size`` of the scan and ``Q_pixel_size`` of the detector with their units, the centre ``qx0_mean``,
``qy0_mean``, and the way from the detector's axes q to the scan's axes r: r = R(``QR_rotation``) q, in
radians, after a swap of both axes of q where ``QR_flip`` says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import h5py
import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.finding import datasets, pick
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.four_axes import UNKNOWN, Axis, stack_of, take_pixel, take_scan
from ptychosuite.problems.measured.named import take_named
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.source import Source
from ptychosuite.problems.measured.units import unit_of


@dataclass(frozen=True)
class EMD(DataFormat):
    """4D-STEM with its calibration, as py4DSTEM and the programs of Berkeley Lab write it."""

    label: ClassVar[str] = "EMD"
    suffixes: ClassVar[tuple[str, ...]] = (".emd", ".h5")
    has_entries: ClassVar[bool] = True

    def recognises(self, source: Source) -> bool:
        return source.is_hdf5 and next(_scans(source.hdf5), "") != ""

    def read(self, source: Source, places: Places) -> Raw:
        file = source.hdf5
        name = _data(file, places)
        calibration = _calibration(file, name)
        axes = _axes(file[name], calibration)
        stack = stack_of(file[name], axes, name, places.path)
        raw = Raw(None, None, "", convention="centre", radiation="electrons")
        if places.wants("data"):
            raw.stack, raw.source["data"] = stack, name
            raw.centre = _centre(calibration)
        if places.wants("positions"):
            take_scan(raw, stack, axes, name, places.path)
            _turn(raw, calibration)
        elif turn := [key for key in ("QR_rotation", "QR_flip") if _number(calibration, key)]:
            raw.source["turn of the scan"] = f"{' and '.join(turn)}, not used: positions are from elsewhere"
        take_pixel(raw, stack, axes, name)
        take_named(raw, file, places)
        return raw


def _scans(file: Any) -> Iterator[str]:
    """The arrays of four axes in the groups that EMD marks."""
    for name, array in datasets(file):
        marked = "emd_group_type" in file[name].parent.attrs
        if marked and len(array.shape) == 4 and name.endswith("/data"):
            yield name


def _data(file: Any, places: Places) -> str:
    """The one scan of the file, or of its ``entry``, or the array that the user names."""
    if places.data and places.wants("data"):
        return pick(file, places.data, (), "data", places.path)
    found = [name for name in _scans(file) if places.entry in ("", *name.split("/"))]
    if len(found) == 1:
        return found[0]
    if found:
        raise DataFileError(f"{places.path} has several scans: {', '.join(found)}; name one with 'data'")
    raise DataFileError(
        f"{places.path} has no scan of four axes in a group with 'emd_group_type'"
        + (f" below '{places.entry}'" if places.entry else "")
        + "; name the array with 'data'"
    )


def _calibration(file: Any, name: str) -> dict[str, Any]:
    """What py4DSTEM's calibration says, the one that lies below the same root as the array."""
    root = file[name.strip("/").split("/")[0]]

    def values(_: str, item: Any) -> dict[str, Any] | None:
        if not isinstance(item, h5py.Group) or not ("R_pixel_size" in item or "R_pixel_size" in item.attrs):
            return None
        arrays = {key: value for key in item if isinstance(value := item.get(key), h5py.Dataset)}
        return {**item.attrs, **{key: value[()] for key, value in arrays.items() if value.size == 1}}

    return (root.visititems(values) or {}) if isinstance(root, h5py.Group) else {}


def _axes(array: Any, calibration: dict[str, Any]) -> list[Axis]:
    """Step and unit of each axis: py4DSTEM's calibration where it has a unit, else the vectors beside."""
    group, n = array.parent, len(array.shape)
    first = 0 if "dim0" in group else 1
    axes = [_axis(group.get(f"dim{first + i}")) for i in range(n)]
    if n == 4:
        for at, space in ((0, "R"), (2, "Q")):
            size = _number(calibration, f"{space}_pixel_size")
            unit = _word(calibration, f"{space}_pixel_units")
            if size is not None and unit and unit != "pixels":
                axes[at : at + 2] = [Axis(size, unit)] * 2
    return axes


def _axis(vector: Any) -> Axis:
    """The step of a vector, which may be its first two values alone."""
    if not isinstance(vector, h5py.Dataset) or vector.dtype.kind not in "uif" or vector.size < 2:
        return UNKNOWN
    start, after = np.ravel(vector[:2]).astype(np.float64)
    return Axis(float(after - start), unit_of(vector))


def _number(calibration: dict[str, Any], key: str) -> float | None:
    value = np.ravel(np.asarray(calibration.get(key)))
    if value.size != 1 or value.dtype.kind not in "uifb" or not np.isfinite(value[0]):
        return None
    return float(value[0])


def _word(calibration: dict[str, Any], key: str) -> str:
    value = calibration.get(key, "")
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _centre(calibration: dict[str, Any]) -> tuple[float, float] | None:
    row, column = _number(calibration, "qx0_mean"), _number(calibration, "qy0_mean")
    return None if row is None or column is None else (row, column)


def _turn(raw: Raw, calibration: dict[str, Any]) -> None:
    """Positions along the scan's axes, carried to those of the detector."""
    if raw.positions is None:
        return
    if angle := _number(calibration, "QR_rotation"):
        back = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        raw.positions = raw.positions @ back.T
        raw.source["positions"] += f", turned by {-math.degrees(angle):.4g} degrees (QR_rotation)"
    if _number(calibration, "QR_flip"):
        raw.positions = raw.positions[:, ::-1]
        raw.source["positions"] += ", axes swapped (QR_flip)"
