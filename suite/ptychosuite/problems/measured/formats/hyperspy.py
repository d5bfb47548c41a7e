"""The .hspy files of HyperSpy, LiberTEM and pyxem: HDF5 with ``Experiments/<name>/data`` and its axes.

A group ``axis-N`` of attributes stands beside the data for each axis: scale, unit, and whether it is one of
the scan (``navigate``); HyperSpy keeps those first (hyperspy.org, "HSpy - HyperSpy's HDF5 Specification").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import h5py
import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.finding import pick
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.four_axes import UNKNOWN, Axis, stack_of, take_pixel, take_scan
from ptychosuite.problems.measured.named import take_named
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.source import Source
from ptychosuite.problems.measured.units import unit_of, wavelength_of_electrons

TEM = "metadata/Acquisition_instrument/TEM"


@dataclass(frozen=True)
class HyperSpy(DataFormat):
    """4D-STEM as HyperSpy, pyxem and LiberTEM save it."""

    label: ClassVar[str] = "HyperSpy"
    suffixes: ClassVar[tuple[str, ...]] = (".hspy",)
    has_entries: ClassVar[bool] = True

    def recognises(self, source: Source) -> bool:
        return source.is_hdf5 and bool(_signals(source.hdf5))

    def read(self, source: Source, places: Places) -> Raw:
        file = source.hdf5
        name = _data(file, places)
        group = file[name].parent
        axes = _axes(group, len(file[name].shape))
        stack = stack_of(file[name], axes, name, places.path)
        raw = Raw(None, None, "", convention="centre", radiation="electrons")
        if places.wants("data"):
            raw.stack, raw.source["data"] = stack, name
        if places.wants("positions"):
            take_scan(raw, stack, axes, name, places.path)
        take_pixel(raw, stack, axes, name)
        take_named(raw, file, places)
        _take_energy(raw, group)
        return raw


def _signals(file: Any) -> list[str]:
    """The experiments whose data have three or four axes."""
    experiments = file.get("Experiments")
    if not isinstance(experiments, h5py.Group):
        return []
    arrays = {name: experiments.get(f"{name}/data") for name in experiments}
    return [
        f"Experiments/{name}/data"
        for name, array in arrays.items()
        if isinstance(array, h5py.Dataset) and len(array.shape) in (3, 4)
    ]


def _data(file: Any, places: Places) -> str:
    if places.data and places.wants("data"):
        return pick(file, places.data, (), "data", places.path)
    found = _signals(file)
    if places.entry:
        found = [name for name in found if name.split("/")[1] == places.entry]
    if len(found) == 1:
        return found[0]
    have = f"several signals, {', '.join(found)}" if found else "no signal of three or four axes"
    raise DataFileError(f"{places.path} has {have}; name the array with 'data'")


def _axes(group: Any, n: int) -> list[Axis]:
    """Step and unit of each axis of the array, in its order."""
    axes = [UNKNOWN] * n
    for i in range(n):
        described = group.get(f"axis-{i}")
        if described is not None and "scale" in described.attrs:
            at = int(described.attrs.get("index_in_array", i))
            axes[at if 0 <= at < n else i] = Axis(float(described.attrs["scale"]), unit_of(described))
    return axes


def _take_energy(raw: Raw, group: Any) -> None:
    """Beam energy and camera length of the microscope, where the metadata have them."""
    microscope = group.get(TEM)
    attributes = {} if microscope is None else microscope.attrs
    take_beam(raw, attributes, f"{group.name}/{TEM}")


def take_beam(raw: Raw, microscope: Any, name: str) -> None:
    """The wavelength from a beam energy in keV, the distance from a camera length in mm."""
    energy, length = (_positive(microscope.get(key)) for key in ("beam_energy", "camera_length"))
    if energy:
        raw.wavelength_m = wavelength_of_electrons(energy * 1e3)
        raw.source["wavelength"] = f"{name}/beam_energy"
    if length:
        raw.distance_m = length * 1e-3
        raw.source["distance"] = f"{name}/camera_length"


def _positive(value: Any) -> float | None:
    number = np.ravel(np.asarray(value))
    if number.size != 1 or number.dtype.kind not in "uif" or not np.isfinite(number[0]) or number[0] <= 0:
        return None
    return float(number[0])
