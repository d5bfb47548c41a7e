"""Units of length and energy as files name them, and numbers from HDF5 with their units."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.constants import c, e, h

from ptychosuite.errors import DataFileError, nearest

LENGTH_M = {
    "m": 1.0, "metre": 1.0, "meter": 1.0, "metres": 1.0, "meters": 1.0, "mm": 1e-3, "millimeter": 1e-3,
    "um": 1e-6, "\u00b5m": 1e-6, "\u03bcm": 1e-6, "micron": 1e-6, "microns": 1e-6, "micrometer": 1e-6,
    "nm": 1e-9, "nanometer": 1e-9, "angstrom": 1e-10, "pm": 1e-12,
}  # fmt: skip
ENERGY_J = {"j": 1.0, "joule": 1.0, "joules": 1.0, "ev": e, "kev": 1e3 * e}
PIXELS = ("px", "pixel", "pixels")


def wavelength_of_energy(energy_j: float) -> float:
    """Wavelength in metres of a photon of ``energy_j`` joule."""
    return float(h * c / energy_j)


def energy_of_wavelength(wavelength_m: float) -> float:
    """Energy in joule of a photon of ``wavelength_m`` metres."""
    return float(h * c / wavelength_m)


def unit_of(dataset: Any) -> str:
    """The 'units' attribute of an HDF5 dataset, or nothing."""
    value = getattr(dataset, "attrs", {}).get("units", "")
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    return value.decode(errors="replace").strip() if isinstance(value, bytes) else str(value).strip()


def length_factor(unit: str, name: str, path: str) -> float:
    """Metres in one ``unit``; a dataset without one is in metres.

    Raises
    ------
    DataFileError
        Unknown unit; the message names the dataset.
    """
    return _factor(unit or "m", LENGTH_M, name, path)


def read_length(dataset: Any, path: str) -> float:
    """A positive length in metres from an HDF5 dataset (its mean, where it is an array)."""
    return _positive(dataset, path) * length_factor(unit_of(dataset), dataset.name, path)


def read_energy(dataset: Any, path: str, default: str = "J") -> float:
    """A positive energy in joule from an HDF5 dataset; without a unit it is in ``default``."""
    return _positive(dataset, path) * _factor(unit_of(dataset) or default, ENERGY_J, dataset.name, path)


def _positive(dataset: Any, path: str) -> float:
    try:
        value = float(np.mean(np.asarray(dataset[()], dtype=np.float64)))
    except (TypeError, ValueError) as error:
        raise DataFileError(f"{path}: '{dataset.name}' is not a number") from error
    if not (np.isfinite(value) and value != 0):
        raise DataFileError(f"{path}: '{dataset.name}' is {value:g}; expected a positive number")
    return abs(value)  # CXI puts the detector on either side of the sample, by the sign of its distance


def _factor(unit: str, known: dict[str, float], name: str, path: str) -> float:
    if unit.lower() not in known:
        raise DataFileError(f"{path}: '{name}' has the unit '{unit}'; {nearest(unit.lower(), known)}")
    return known[unit.lower()]
