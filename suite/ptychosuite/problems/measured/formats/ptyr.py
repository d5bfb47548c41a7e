"""The .ptyr files in which ptypy saves a reconstruction (github.com/ptycho/ptypy).

``/content/probe/<storage>/data`` is (modes, rows, columns), ``/content/obj/<storage>/data`` likewise, with
the pixel ``_psize`` in metres and the ``_energy`` in keV beside them. A storage is called after its scan.
There are no patterns, and no positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import h5py
import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.raw import Raw, as_modes, as_wave
from ptychosuite.problems.measured.source import Source
from ptychosuite.problems.measured.units import read_energy, wavelength_of_energy

PROBE, OBJECT = "content/probe", "content/obj"


@dataclass(frozen=True)
class Ptyr(DataFormat):
    """Probe and object of a reconstruction by ptypy."""

    label: ClassVar[str] = "ptypy's reconstruction"
    suffixes: ClassVar[tuple[str, ...]] = (".ptyr",)

    def recognises(self, source: Source) -> bool:
        return source.is_hdf5 and all(
            isinstance(source.hdf5.get(group), h5py.Group) for group in (PROBE, OBJECT)
        )

    def read(self, source: Source, places: Places) -> Raw:
        file, path = source.hdf5, places.path
        raw = Raw(None, None, "m", convention="centre")
        if probe := _storage(file, "probe", PROBE, places):
            raw.probe, raw.source["probe"] = as_modes(file[probe], probe, path), probe
            _geometry(file, raw, probe, path)
        if guess := _storage(file, "object", OBJECT, places):
            raw.object_guess, raw.source["object"] = as_wave(file[guess], guess, path), guess
        return raw


def _storage(file: Any, part: str, group: str, places: Places) -> str:
    """The array of a ``part``: the user's, else that of the only storage in the ``group``."""
    usual = [f"{group}/{name}/data" for name in file.get(group, ())]
    held = [name for name in usual if isinstance(file.get(name), h5py.Dataset)]
    if places.wants(part) and not getattr(places, part) and len(held) > 1:
        raise DataFileError(
            f"{places.path} has several arrays for {part}, of several scans: {', '.join(held)}; name one"
        )
    return places.find(file, part, held)


def _geometry(file: Any, raw: Raw, probe: str, path: str) -> None:
    """Energy, and the pixel of the probe and the object, as far as they stand beside the probe."""
    beside = probe.removesuffix("data")
    energy, size = file.get(f"{beside}_energy"), file.get(f"{beside}_psize")
    if isinstance(energy, h5py.Dataset) and np.all(energy[()]):
        raw.wavelength_m = wavelength_of_energy(read_energy(energy, path, default="keV"))
        raw.source["wavelength"] = f"{beside}_energy"
    if isinstance(size, h5py.Dataset) and raw.probe is not None and np.all(np.asarray(size[()]) > 0):
        height, width = np.broadcast_to(np.ravel(size[()]), 2).tolist()
        raw.take_object_pixel((height, width), raw.probe.shape[-2:], f"{beside}_psize")
