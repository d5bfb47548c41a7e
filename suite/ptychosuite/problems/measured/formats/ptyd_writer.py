"""A measurement as ptypy keeps prepared data: see :mod:`ptychosuite.problems.measured.formats.ptyd`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptychosuite.problems.measured.measurement import Measurement
from ptychosuite.problems.measured.units import KEV_J, energy_of_wavelength
from ptychosuite.problems.measured.writing import geometry_of, hdf5_file

VERSION = 0.1  # of ptypy's layout
NOTHING = np.zeros(1)  # how ptypy stores None


def write_ptyd(path: str | Path, measurement: Measurement) -> None:
    """Write ``measurement`` to a .ptyd file of one chunk, from which ptypy reads patterns and positions.

    Zero frequency is in the middle of the patterns, positions are metres, rows first. There is no place for a
    probe or an object.

    Raises
    ------
    DataFileError
        The geometry is unknown, or the file cannot be written.
    """
    geometry = geometry_of(measurement, path, "ptypy's .ptyd")
    patterns, size = measurement.diffraction_intensity, measurement.probe_size
    positions_m = measurement.scan_positions_px * geometry.pixel_m
    shared = {
        "center": np.full(2, float(size // 2)),
        "distance": geometry.distance_m,
        "energy": energy_of_wavelength(geometry.wavelength_m) / KEV_J,
        "label": None,
        "num_frames": len(patterns),
        "psize": np.full(2, geometry.detector_pixel_m),
        "shape": np.full(2, size),
        "version": VERSION,
    }
    with hdf5_file(path) as file:
        file.attrs["h5rw_version"] = "0.1"
        _store(file, "meta", shared)
        _store(file, "info", shared | {"positions_scan": positions_m, "rebin": 1, "orientation": None})
        chunk = {
            "data": np.fft.fftshift(patterns, axes=(1, 2)),
            "indices": np.arange(len(patterns)),
            "positions": positions_m,
            "weights": _good(measurement),
        }
        _store(file, "chunks/0", chunk)
        file["chunks"].attrs["type"] = "dict"
        file["chunks/0/indices"].attrs["type"] = "arraylist"


def _good(measurement: Measurement) -> np.ndarray:
    """Good pixels of each pattern (N, m, m)."""
    good = np.ones(measurement.diffraction_intensity.shape, dtype=bool)
    for mask in (measurement.detector_mask, measurement.valid_pixels):
        if mask is not None:
            good &= mask
    return np.fft.fftshift(good, axes=(1, 2))


def _store(file: h5py.File, place: str, values: dict[str, Any]) -> None:
    """A dictionary, with ptypy's words for what each value is."""
    group = file.create_group(place)
    group.attrs["type"] = "dict"
    for name, value in values.items():
        if value is None:
            group[name] = NOTHING
        elif np.ndim(value) == 0:
            group[name] = value
        else:
            chunks = (1, *np.shape(value)[1:]) if np.ndim(value) == 3 else None
            group.create_dataset(name, data=value, chunks=chunks, compression="gzip")
        group[name].attrs["type"] = "None" if value is None else "array" if np.ndim(value) else "scalar"
