"""Ptychography in the CXI 1.6 layout (Maia, *Nature Methods* 9, 854 (2012); cxidb.org/cxi.html).

The file holds translations of the sample in metres, (N, 3) as x, y, z. The beam moves over the sample by
their negative; its components along the detector's basis vectors, over the pixel of the object, are the
rows and columns that cdtools uses. A file without basis vectors has a detector seen from the sample,
rows towards -y and columns towards -x, so that a row is +y and a column +x of the translation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.finding import pick, require
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.measurement import Measurement
from ptychosuite.problems.measured.pattern_stack import single_stack
from ptychosuite.problems.measured.raw import Raw, as_mask, as_modes, as_positions, as_wave, mask_rule
from ptychosuite.problems.measured.source import Source
from ptychosuite.problems.measured.units import (
    energy_of_wavelength,
    read_energy,
    read_length,
    read_numbers,
    unit_of,
    wavelength_of_energy,
)

ENTRY = "/entry_1"
DETECTOR = f"{ENTRY}/instrument_1/detector_1"
SOURCE = f"{ENTRY}/instrument_1/source_1"
DATA = (f"{ENTRY}/data_1/data", f"{DETECTOR}/data")
POSITIONS = (
    f"{ENTRY}/sample_1/geometry_1/translation",
    f"{ENTRY}/data_1/translation",
    f"{DETECTOR}/translation",
)
PROBE = (f"{SOURCE}/illumination", f"{SOURCE}/probe", f"{SOURCE}/data_illumination")  # as SHARP writes it
OBJECT = f"{DETECTOR}/initial_image"  # likewise
MASK = f"{DETECTOR}/mask"
CXI_VERSION = 160
HAS_SIGNAL = 0x00001000  # the one bit of a CXI mask that marks no fault


@dataclass(frozen=True)
class CXI(DataFormat):
    """Patterns and translations of the sample in the places of CXI 1.6, as cdtools and SHARP write them."""

    label: ClassVar[str] = "CXI"
    suffixes: ClassVar[tuple[str, ...]] = (".cxi",)

    def recognises(self, source: Source) -> bool:
        return source.is_hdf5 and any(
            name in source.hdf5 for name in ("cxi_version", ENTRY + "/data_1", DETECTOR)
        )

    def read(self, source: Source, places: Places) -> Raw:
        file, path = source.hdf5, places.path
        basis = _basis(file, path)
        raw = Raw(None, None, "m", convention="centre", radiation="photons")
        if places.wants("data"):
            data = require(file, places.data, DATA, "data", path)
            raw.stack, raw.source["data"] = single_stack(file[data], data, path), data
        if places.wants("positions"):
            _positions(file, raw, basis, places)
        _geometry(file, raw, basis, path)
        _optional(file, raw, places)
        return raw


def _positions(file: Any, raw: Raw, basis: np.ndarray, places: Places) -> None:
    name = require(file, places.positions, POSITIONS, "positions", places.path)
    translation = as_positions(file[name], name, places.path)
    axes = basis / np.linalg.norm(basis, axis=0)
    # CXI moves the sample, patches follow the beam.
    raw.positions = -translation @ axes[: translation.shape[1]]
    raw.positions_unit, raw.source["positions"] = unit_of(file[name]) or "m", name


def _basis(file: Any, path: str) -> np.ndarray:
    """Steps of one pixel along rows and along columns: (3, 2), of length one without a pixel size."""
    name = pick(file, "", (f"{DETECTOR}/basis_vectors",), "basis", path)
    if not name:
        return np.array([[0.0, -1.0], [-1.0, 0.0], [0.0, 0.0]])
    basis = read_numbers(file[name], path)
    if basis.shape == (2, 3):
        basis = basis.T
    if basis.shape != (3, 2) or not np.isfinite(basis).all() or not np.linalg.norm(basis, axis=0).all():
        raise DataFileError(f"{path}: '{name}' has shape {basis.shape}; expected two vectors, (3, 2)")
    return basis


def _geometry(file: Any, raw: Raw, basis: np.ndarray, path: str) -> None:
    wavelength = pick(file, "", (f"{SOURCE}/wavelength",), "wavelength", path)
    energy = pick(file, "", (f"{SOURCE}/energy",), "energy", path)
    if wavelength:
        raw.wavelength_m = read_length(file[wavelength], path)
    elif energy:
        raw.wavelength_m = wavelength_of_energy(read_energy(file[energy], path))
    if wavelength or energy:
        raw.source["wavelength"] = wavelength or energy
    _distance(file, raw, basis, path)
    sizes = [pick(file, "", (f"{DETECTOR}/{axis}_pixel_size",), "pixel", path) for axis in "yx"]
    vectors = pick(file, "", (f"{DETECTOR}/basis_vectors",), "basis", path)
    if vectors:
        height, width = np.linalg.norm(basis, axis=0)
        raw.detector_pixel_m = (float(height), float(width))
        raw.source["detector pixel"] = vectors
    elif any(sizes):
        given = [read_length(file[name], path) for name in sizes if name]
        raw.detector_pixel_m = (given[0], given[-1])
        raw.source["detector pixel"] = next(name for name in sizes if name)


def _distance(file: Any, raw: Raw, basis: np.ndarray, path: str) -> None:
    """Sample to detector; from the corner of the detector where it is not given itself."""
    distance = pick(file, "", (f"{DETECTOR}/distance",), "distance", path)
    corner = pick(file, "", (f"{DETECTOR}/corner_position",), "corner", path)
    if distance:
        raw.distance_m = read_length(file[distance], path)
    elif corner and file[corner].shape == (3,):
        normal = np.cross(basis[:, 0], basis[:, 1])
        raw.distance_m = float(abs(read_numbers(file[corner], path) @ normal / np.linalg.norm(normal)))
    if raw.distance_m:
        raw.source["distance"] = distance or corner


def _optional(file: Any, raw: Raw, places: Places) -> None:
    path = places.path
    mask = places.find(file, "mask", (MASK,))
    if mask:
        rule = mask_rule(places.mask_good, is_good)
        raw.good = as_mask(file[mask], raw.frame, rule, mask, path)
        raw.source["mask"] = mask
    probe = places.find(file, "probe", PROBE)
    if probe:
        raw.probe = as_modes(file[probe], probe, path)
        raw.source["probe"] = probe
    guess = places.find(file, "object", (OBJECT,))
    if guess:
        raw.object_guess = as_wave(file[guess], guess, path)
        raw.source["object"] = guess


def is_good(mask: np.ndarray) -> np.ndarray:
    """Good pixels of a CXI mask: no bit set, or only the one that says there is signal."""
    return np.asarray((mask == 0) | (mask == HAS_SIGNAL))


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
