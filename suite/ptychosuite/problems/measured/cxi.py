"""Ptychography in the CXI 1.6 layout (Maia, *Nature Methods* 9, 854 (2012); cxidb.org/cxi.html).

The file holds translations of the sample in metres, (N, 3) as x, y, z. The beam moves over the sample by
their negative; its components along the detector's basis vectors, over the pixel of the object, are the
rows and columns that cdtools uses. A file without basis vectors has a detector seen from the sample,
rows towards -y and columns towards -x, so that a row is +y and a column +x of the translation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.raw import Raw, as_mask, as_positions, as_wave, mask_rule, pick, require
from ptychosuite.problems.measured.stack import single_stack
from ptychosuite.problems.measured.units import read_energy, read_length, unit_of, wavelength_of_energy

if TYPE_CHECKING:
    from ptychosuite.problems.measured.settings import MeasuredFile

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
HAS_SIGNAL = 0x00001000  # the one bit of a CXI mask that marks no fault


def read_cxi(file: Any, settings: MeasuredFile) -> Raw:
    """Describe a CXI file.

    Raises
    ------
    DataFileError
        Patterns or translations are missing or have an unexpected shape.
    """
    path = settings.path
    data = require(file, settings.data, DATA, "data", path)
    stack = single_stack(file[data], data, path)
    name = require(file, settings.positions, POSITIONS, "positions", path)
    translation = as_positions(file[name], name, path)
    basis = _basis(file, path)
    axes = basis / np.linalg.norm(basis, axis=0)
    raw = Raw(
        stack,
        # CXI moves the sample, patches follow the beam.
        positions=-translation @ axes[: translation.shape[1]],
        positions_unit=unit_of(file[name]) or "m",
        convention="centre",
        source={"data": data, "positions": name},
    )
    _geometry(file, raw, basis, path)
    _optional(file, raw, settings)
    return raw


def _basis(file: Any, path: str) -> np.ndarray:
    """Steps of one pixel along rows and along columns: (3, 2), of length one without a pixel size."""
    name = pick(file, "", (f"{DETECTOR}/basis_vectors",), "basis", path)
    if not name:
        return np.array([[0.0, -1.0], [-1.0, 0.0], [0.0, 0.0]])
    basis = np.asarray(file[name], dtype=np.float64)
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
        raw.distance_m = float(abs(np.asarray(file[corner]) @ normal / np.linalg.norm(normal)))
    if raw.distance_m:
        raw.source["distance"] = distance or corner


def _optional(file: Any, raw: Raw, settings: MeasuredFile) -> None:
    path = settings.path
    mask = pick(file, settings.mask, (MASK,), "mask", path)
    if mask:
        rule = mask_rule(settings.mask_good, is_good)
        raw.good = as_mask(file[mask], raw.stack.frame, rule, mask, path)
        raw.source["mask"] = mask
    probe = pick(file, settings.probe, PROBE, "probe", path)
    if probe:
        raw.probe = as_wave(file[probe], probe, path)
        raw.source["probe"] = probe
    guess = pick(file, "", (OBJECT,), "object", path)
    if guess:
        raw.object_guess = as_wave(file[guess], guess, path)
        raw.source["object"] = guess


def is_good(mask: np.ndarray) -> np.ndarray:
    """Good pixels of a CXI mask: no bit set, or only the one that says there is signal."""
    return np.asarray((mask == 0) | (mask == HAS_SIGNAL))
