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
from ptychosuite.problems.measured.formats.beam_group import radiation, take_wavelength
from ptychosuite.problems.measured.formats.corrections import take_dark, take_intensities
from ptychosuite.problems.measured.formats.nexus_groups import choose_entry, exists, pick_given, text_at
from ptychosuite.problems.measured.measurement import Geometry, Measurement
from ptychosuite.problems.measured.pattern_stack import single_stack
from ptychosuite.problems.measured.raw import Raw, as_mask, as_modes, as_positions, as_wave, mask_rule
from ptychosuite.problems.measured.source import Source
from ptychosuite.problems.measured.units import (
    energy_of_wavelength,
    read_length,
    read_numbers,
    unit_of,
)
from ptychosuite.problems.measured.writing import geometry_of, hdf5_file

ENTRY = "/entry_1"  # the names here are those of the first entry
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
DARK = f"{DETECTOR}/data_dark"  # as cdtools writes it: light that is in the counts, and to be taken off
INTENSITIES = (
    f"{ENTRY}/sample_1/geometry_1/intensities",  # likewise: the light of each pattern, in any unit
    f"{ENTRY}/data_1/intensities",
    f"{DETECTOR}/intensities",
)
CXI_VERSION = 160
HAS_SIGNAL = 0x00001000  # the one bit of a CXI mask that marks no fault


@dataclass(frozen=True)
class CXI(DataFormat):
    """Patterns and translations of the sample in the places of CXI 1.6, as cdtools and SHARP write them."""

    label: ClassVar[str] = "CXI"
    suffixes: ClassVar[tuple[str, ...]] = (".cxi",)
    has_entries: ClassVar[bool] = True
    writes: ClassVar[tuple[str, ...]] = ("data", "positions", "probe", "object", "mask")

    def recognises(self, source: Source) -> bool:
        return source.is_hdf5 and any(
            exists(source.hdf5, name) for name in ("cxi_version", ENTRY + "/data_1", DETECTOR)
        )

    def read(self, source: Source, places: Places) -> Raw:
        file, path = source.hdf5, places.path
        raw = Raw(None, None, "m", convention="centre")
        entry = choose_entry(_entries(file), raw, places)
        basis = _basis(file, entry, path)
        if places.wants("data"):
            data = require(file, places.data, _at(entry, *DATA), "data", path)
            raw.stack, raw.source["data"] = single_stack(file[data], data, path), data
        if places.wants("positions"):
            _positions(file, raw, entry, basis, places)
        _geometry(file, raw, entry, basis, path)
        _optional(file, raw, entry, places)
        return raw

    def write(self, path: str, measurement: Measurement) -> None:
        write_cxi(path, measurement)


def _entries(file: Any) -> list[str]:
    """The entries of the file in the order of their numbers."""
    numbers = [name.removeprefix("entry_") for name in file if name.startswith("entry_")]
    return [f"/entry_{n}" for n in sorted((n for n in numbers if n.isdigit()), key=int)] or [ENTRY]


def _at(entry: str, *names: str) -> list[str]:
    """Places of the first entry as places of another one."""
    return [name.replace(ENTRY, entry, 1) for name in names]


def _positions(file: Any, raw: Raw, entry: str, basis: np.ndarray, places: Places) -> None:
    name = require(file, places.positions, _at(entry, *POSITIONS), "positions", places.path)
    translation = as_positions(file[name], name, places.path)
    axes = basis / np.linalg.norm(basis, axis=0)
    # CXI moves the sample, patches follow the beam.
    raw.positions = -translation @ axes[: translation.shape[1]]
    raw.positions_unit, raw.source["positions"] = unit_of(file[name]) or "m", name


def _basis(file: Any, entry: str, path: str) -> np.ndarray:
    """Steps of one pixel along rows and along columns: (3, 2), of length one without a pixel size."""
    name = pick(file, "", _at(entry, f"{DETECTOR}/basis_vectors"), "basis", path)
    if not name:
        return np.array([[0.0, -1.0], [-1.0, 0.0], [0.0, 0.0]])
    shape = file[name].shape
    basis = read_numbers(file[name], path) if shape in ((3, 2), (2, 3)) else np.zeros((0, 2))
    basis = basis.T if shape == (2, 3) else basis
    if basis.shape != (3, 2) or not np.isfinite(basis).all() or not np.linalg.norm(basis, axis=0).all():
        raise DataFileError(f"{path}: '{name}' has shape {shape}; expected two vectors, (3, 2)")
    return basis


def _geometry(file: Any, raw: Raw, entry: str, basis: np.ndarray, path: str) -> None:
    raw.radiation = radiation(file, _at(entry, f"{SOURCE}/probe"))
    wavelengths, energies = _at(entry, f"{SOURCE}/wavelength"), _at(entry, f"{SOURCE}/energy")
    take_wavelength(file, raw, wavelengths, energies, path, unit="J")
    _distance(file, raw, entry, basis, path)
    sizes = [pick_given(file, _at(entry, f"{DETECTOR}/{axis}_pixel_size"), "pixel", path) for axis in "yx"]
    vectors = pick(file, "", _at(entry, f"{DETECTOR}/basis_vectors"), "basis", path)
    if vectors:
        height, width = np.linalg.norm(basis, axis=0)
        raw.detector_pixel_m = (float(height), float(width))
        raw.source["detector pixel"] = vectors
    elif any(sizes):
        given = [read_length(file[name], path) for name in sizes if name]
        raw.detector_pixel_m = (given[0], given[-1])
        raw.source["detector pixel"] = next(name for name in sizes if name)


def _distance(file: Any, raw: Raw, entry: str, basis: np.ndarray, path: str) -> None:
    """Sample to detector; from the corner of the detector where it is not given itself."""
    distance = pick_given(file, _at(entry, f"{DETECTOR}/distance"), "distance", path)
    corner = pick(file, "", _at(entry, f"{DETECTOR}/corner_position"), "corner", path)
    if distance:
        raw.distance_m = read_length(file[distance], path)
    elif corner and file[corner].shape == (3,):
        normal = np.cross(basis[:, 0], basis[:, 1])
        raw.distance_m = float(abs(read_numbers(file[corner], path) @ normal / np.linalg.norm(normal)))
    if raw.distance_m:
        raw.source["distance"] = distance or corner


def _optional(file: Any, raw: Raw, entry: str, places: Places) -> None:
    path = places.path
    mask = places.find(file, "mask", _at(entry, MASK))
    if mask:
        rule = mask_rule(places.mask_good, is_good)
        raw.good = as_mask(file[mask], raw.frame, rule, mask, path)
        raw.source["mask"] = mask
    words = [name for name in _at(entry, *PROBE) if text_at(file, name)]  # "x-ray", say
    if probe := places.find(file, "probe", [name for name in _at(entry, *PROBE) if name not in words]):
        raw.probe = as_modes(file[probe], probe, path)
        raw.source["probe"] = probe
    guess = places.find(file, "object", _at(entry, OBJECT))
    if guess:
        raw.object_guess = as_wave(file[guess], guess, path)
        raw.source["object"] = guess
    take_dark(file, raw, places, _at(entry, DARK))
    take_intensities(file, raw, places, _at(entry, *INTENSITIES))


def is_good(mask: np.ndarray) -> np.ndarray:
    """Good pixels of a CXI mask of any shape: no bit set, or only the one that says there is signal."""
    return np.asarray((mask == 0) | (mask == HAS_SIGNAL))


def write_cxi(path: str | Path, measurement: Measurement) -> None:
    """Write ``measurement`` to a CXI file.

    Patterns get zero frequency in their middle, positions become translations of the sample in metres
    (column to x, row to y). Probe, with all its modes, and object go where SHARP keeps them.

    Raises
    ------
    DataFileError
        The geometry is unknown, which CXI cannot do without, or the file cannot be written.
    """
    geometry = geometry_of(measurement, path, "CXI")
    with hdf5_file(path) as file:
        file["cxi_version"] = CXI_VERSION
        file["number_of_entries"] = 1
        _write_data(file, measurement)
        _write_positions(file, measurement.scan_positions_px * geometry.pixel_m)
        _write_geometry(file, geometry)
        _write_guesses(file, measurement)


def _write_data(file: h5py.File, measurement: Measurement) -> None:
    centred = np.fft.fftshift(measurement.diffraction_intensity, axes=(1, 2))
    # One pattern a chunk: who reads every n-th, or a few, reads no more than that.
    chunk = (1, *centred.shape[1:])
    stored = file.create_dataset(f"{DETECTOR}/data", data=centred, chunks=chunk, compression="gzip")
    stored.attrs["axes"] = np.bytes_("translation:y:x")
    file[f"{ENTRY}/data_1/data"] = h5py.SoftLink(f"{DETECTOR}/data")
    good = measurement.good_always
    if good is not None:
        file[f"{DETECTOR}/mask"] = np.fft.fftshift(~good).astype(np.uint32)


def _write_positions(file: h5py.File, positions_m: np.ndarray) -> None:
    place = f"{ENTRY}/sample_1/geometry_1/translation"
    rows, columns = positions_m.T
    file[place] = np.stack([columns, rows, np.zeros_like(rows)], axis=1)
    for linked in (f"{ENTRY}/data_1/translation", f"{DETECTOR}/translation"):
        file[linked] = h5py.SoftLink(place)


def _write_geometry(file: h5py.File, geometry: Geometry) -> None:
    pixel_m = geometry.detector_pixel_m
    file[f"{SOURCE}/wavelength"] = geometry.wavelength_m
    file[f"{SOURCE}/energy"] = energy_of_wavelength(geometry.wavelength_m)
    file[f"{DETECTOR}/distance"] = geometry.distance_m
    file[f"{DETECTOR}/x_pixel_size"] = pixel_m
    file[f"{DETECTOR}/y_pixel_size"] = pixel_m
    file[f"{DETECTOR}/basis_vectors"] = np.array([[0.0, -pixel_m], [-pixel_m, 0.0], [0.0, 0.0]])


def _write_guesses(file: h5py.File, measurement: Measurement) -> None:
    if measurement.probe is not None:
        modes = measurement.probe_modes
        file[PROBE[0]] = measurement.probe if modes is None else modes
        file[PROBE[1]] = h5py.SoftLink(PROBE[0])
    if measurement.object_guess is not None:
        file[OBJECT] = measurement.object_guess
