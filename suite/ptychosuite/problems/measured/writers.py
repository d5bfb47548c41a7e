"""Writing a measurement as CXI 1.6, in the places and orientation that cdtools reads."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.cxi import DETECTOR, ENTRY, OBJECT, PROBE, SOURCE
from ptychosuite.problems.measured.measurement import Measurement
from ptychosuite.problems.measured.units import energy_of_wavelength

CXI_VERSION = 160


def write_cxi(path: str | Path, measurement: Measurement) -> None:
    """Write ``measurement`` to a CXI file.

    Patterns get zero frequency in their middle, positions become translations of the sample in metres
    (column to x, row to y). Probe and object go where SHARP keeps them.

    Raises
    ------
    DataFileError
        The geometry is unknown, which CXI cannot do without, or the file cannot be written.
    """
    geometry = (measurement.wavelength_m, measurement.distance_m, measurement.detector_pixel_m)
    if None in geometry or measurement.pixel_m is None:
        raise DataFileError(
            f"{path}: CXI holds positions in metres, so it takes the wavelength, the distance and the "
            "detector pixel; give 'wavelength_m' or 'energy_kev', 'distance_m' and 'detector_pixel_m'"
        )
    try:
        with h5py.File(path, "w") as file:
            file["cxi_version"] = CXI_VERSION
            file["number_of_entries"] = 1
            _write_data(file, measurement)
            _write_positions(file, measurement.scan_positions_px * measurement.pixel_m)
            _write_geometry(file, *(float(value) for value in geometry if value is not None))
            _write_guesses(file, measurement)
    except OSError as error:
        raise DataFileError(f"cannot write {path}: {error}; check the folder and its free space") from error


def _write_data(file: h5py.File, measurement: Measurement) -> None:
    centred = np.fft.fftshift(measurement.diffraction_intensity, axes=(1, 2))
    # One pattern a chunk: who reads every n-th, or a few, reads no more than that.
    chunk = (1, *centred.shape[1:])
    stored = file.create_dataset(f"{DETECTOR}/data", data=centred, chunks=chunk, compression="gzip")
    stored.attrs["axes"] = np.bytes_("translation:y:x")
    file[f"{ENTRY}/data_1/data"] = h5py.SoftLink(f"{DETECTOR}/data")
    if measurement.detector_mask is not None:
        file[f"{DETECTOR}/mask"] = np.fft.fftshift(~measurement.detector_mask).astype(np.uint32)


def _write_positions(file: h5py.File, positions_m: np.ndarray) -> None:
    place = f"{ENTRY}/sample_1/geometry_1/translation"
    rows, columns = positions_m.T
    file[place] = np.stack([columns, rows, np.zeros_like(rows)], axis=1)
    for linked in (f"{ENTRY}/data_1/translation", f"{DETECTOR}/translation"):
        file[linked] = h5py.SoftLink(place)


def _write_geometry(file: h5py.File, wavelength_m: float, distance_m: float, pixel_m: float) -> None:
    file[f"{SOURCE}/wavelength"] = wavelength_m
    file[f"{SOURCE}/energy"] = energy_of_wavelength(wavelength_m)
    file[f"{DETECTOR}/distance"] = distance_m
    file[f"{DETECTOR}/x_pixel_size"] = pixel_m
    file[f"{DETECTOR}/y_pixel_size"] = pixel_m
    file[f"{DETECTOR}/basis_vectors"] = np.array([[0.0, -pixel_m], [-pixel_m, 0.0], [0.0, 0.0]])


def _write_guesses(file: h5py.File, measurement: Measurement) -> None:
    if measurement.probe is not None:
        file[PROBE[0]] = measurement.probe
        file[PROBE[1]] = h5py.SoftLink(PROBE[0])
    if measurement.object_guess is not None:
        file[OBJECT] = measurement.object_guess
