"""What a beam consists of, and its wavelength, from the groups of CXI and NeXus files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scipy.constants import e

from ptychosuite.problems.measured.formats.nexus_groups import pick_given, text_at
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.units import (
    read_energy,
    read_length,
    read_number,
    unit_of,
    wavelength_of_electrons,
    wavelength_of_energy,
)

LARGEST_ENERGY_J = 1e6 * e  # a number above it without a unit is in another one


def radiation(file: Any, names: Sequence[str]) -> str:
    """The radiation by the word at one of ``names`` ("x-ray", "electron"): photons, electrons or ""."""
    words = next((word for name in names if (word := text_at(file, name).lower())), "")
    if "electron" in words:
        return "electrons"
    return "photons" if words in ("", "x-ray", "xray", "photon", "ultraviolet", "visible light") else ""


def take_wavelength(
    file: Any, raw: Raw, wavelengths: Sequence[str], energies: Sequence[str], path: str, unit: str = ""
) -> None:
    """The wavelength, from the first of ``wavelengths``, else from the first of ``energies``.

    The energy of electrons is their kinetic one. An energy without a unit is in ``unit``, by default in joule
    if it can be, and is left out otherwise.

    Raises
    ------
    DataFileError
        Not a number, or of an unknown unit.
    """
    wavelength = pick_given(file, wavelengths, "wavelength", path)
    energy = pick_given(file, energies, "energy", path)
    if wavelength:
        raw.wavelength_m = read_length(file[wavelength], path)
    elif energy and raw.radiation:
        if not (unit or unit_of(file[energy])) and read_number(file[energy], path) > LARGEST_ENERGY_J:
            raw.source["wavelength"] = f"{energy}, left out: no unit"
            return
        joule = read_energy(file[energy], path, default=unit or "J")
        electrons = raw.radiation == "electrons"
        raw.wavelength_m = wavelength_of_electrons(joule / e) if electrons else wavelength_of_energy(joule)
    if raw.wavelength_m:
        raw.source["wavelength"] = wavelength or energy
