"""Words for units, and the lengths, energies and wavelengths that files give with them."""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any

import h5py
import numpy as np
from scipy.constants import c, e, h, m_e

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.whole import check_range, check_small, check_whole

PIXELS = ("px", "pix", "pixel", "pixels")
KEV_J = 1e3 * e
# What stands for an angstrom in electron microscopy, and is an ampere elsewhere.
ANGSTROM = re.compile(r"\b[AÅ]\b|Å|Angstroms?|ANGSTROMS?")


def wavelength_of_energy(energy_j: float) -> float:
    """Wavelength in metres of a photon of ``energy_j`` joule."""
    return float(h * c / energy_j)


def energy_of_wavelength(wavelength_m: float) -> float:
    """Energy in joule of a photon of ``wavelength_m`` metres."""
    return float(h * c / wavelength_m)


def wavelength_of_electrons(accelerating_voltage_v: float) -> float:
    """Relativistic wavelength in metres of electrons behind ``accelerating_voltage_v`` volt."""
    energy = e * accelerating_voltage_v
    return float(h / math.sqrt(2 * m_e * energy * (1 + energy / (2 * m_e * c**2))))


def is_pixels(unit: str) -> bool:
    """Whether a word stands for pixels."""
    return unit.lower() in PIXELS


def unit_of(dataset: Any) -> str:
    """The attribute 'units' or 'unit' of an HDF5 dataset, or nothing."""
    attributes = getattr(dataset, "attrs", {})
    value = attributes.get("units", attributes.get("unit", ""))
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    elif isinstance(value, h5py.Empty):
        value = ""
    return value.decode(errors="replace").strip() if isinstance(value, bytes) else str(value).strip()


def factor(unit: str, to: str, name: str, path: str) -> float:
    """How many ``to`` are in one ``unit``, both as words that pint knows; A is an angstrom.

    Raises
    ------
    DataFileError
        Unknown unit, or one of something else; the message names the dataset.
    """
    words = ANGSTROM.sub("angstrom", unit.strip())
    for spelling in (words, words.lower()):  # MM, KEV
        try:
            return float(_registry().Quantity(1.0, spelling).to(to).magnitude)
        except Exception:  # pint raises a dozen kinds of them at words that are no unit
            continue
    raise DataFileError(f"{path}: '{name}' has the unit '{unit}'; expected one like '{to}'")


def length_factor(unit: str, name: str, path: str) -> float:
    """Metres in one ``unit``; a dataset without one is in metres.

    Raises
    ------
    DataFileError
        It is no unit of length.
    """
    return factor(unit, "m", name, path) if unit not in ("", "m") else 1.0


def read_length(dataset: Any, path: str, default: str = "m") -> float:
    """A positive length in metres from an HDF5 dataset (its mean, where it is an array)."""
    unit = unit_of(dataset) or default
    return read_number(dataset, path) * length_factor(unit, dataset.name, path)


def read_energy(dataset: Any, path: str, default: str = "J") -> float:
    """A positive energy in joule from an HDF5 dataset; without a unit it is in ``default``."""
    return read_number(dataset, path) * factor(unit_of(dataset) or default, "J", dataset.name, path)


def read_number(dataset: Any, path: str) -> float:
    """A number above zero from an array; of several their mean, of a negative one its size.

    Raises
    ------
    DataFileError
        It is none, or zero, or not finite.
    """
    name = getattr(dataset, "name", "a value")
    values = read_numbers(dataset, path)
    check_range(values, name, path)
    value = float(np.mean(values))
    if not (math.isfinite(value) and value != 0):
        raise DataFileError(f"{path}: '{name}' is {value:g}; expected a positive number")
    return abs(value)  # CXI puts the detector on either side of the sample, by the sign of its distance


def read_numbers(dataset: Any, path: str) -> np.ndarray:
    """All numbers of a small array of any shape, in double precision.

    Raises
    ------
    DataFileError
        They are not all there, or no numbers, or there are none.
    """
    name = getattr(dataset, "name", "a value")
    check_whole(dataset, name, path)
    check_small(dataset, name, path)
    try:
        if dataset.dtype.kind == "c":
            raise TypeError
        values = np.asarray(dataset[()], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataFileError(f"{path}: '{name}' is not a number") from error
    if not values.size:
        raise DataFileError(f"{path}: '{name}' holds nothing; expected a number")
    return values


@cache
def _registry() -> Any:
    import pint  # takes a while to load, and few files need it

    return pint.UnitRegistry()
