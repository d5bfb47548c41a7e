"""What a format says about its file, before any setting of the user's is applied; its units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
from scipy.constants import c, e, h

from ptychosuite.errors import DataFileError, nearest
from ptychosuite.problems.measured.pattern_stack import PatternStack


@dataclass
class Raw:
    """Patterns still in the file, everything else in memory, in the format's own orientation and units.

    ``source`` says where inside the file each part came from ("data", "positions", "probe", "mask",
    "wavelength", ...), for messages; what is left out is called by its own name.
    """

    stack: PatternStack
    positions: np.ndarray  # (N, 2) along the detector's rows and columns
    positions_unit: str  # "px", or a unit of length, or "" where the file does not say
    convention: str  # where the format puts zero frequency: "centre", "corner" or ""
    centre: tuple[float, float] | None = None  # (row, column) of zero frequency, if the file says
    good: np.ndarray | None = None  # (rows, columns) bool
    probe: np.ndarray | None = None
    object_guess: np.ndarray | None = None
    wavelength_m: float | None = None
    distance_m: float | None = None
    detector_pixel_m: tuple[float, float] | None = None  # height of a row, width of a column
    source: dict[str, str] = field(default_factory=dict)


def as_positions(array: Any, name: str, path: str) -> np.ndarray:
    """Positions (N, 2) or (N, 3) in double precision; (2, N) and axes of length one are put right.

    Raises
    ------
    DataFileError
        Another shape, or not real numbers.
    """
    values = np.asarray(array)
    if values.dtype.kind not in "uif":
        raise DataFileError(f"{path}: '{name}' holds {values.dtype}, not positions")
    if values.size == 0:
        raise DataFileError(f"{path}: '{name}' holds no positions")
    while values.ndim > 2 and values.shape[0] == 1:
        values = values[0]
    if values.ndim == 3 and values.shape[2] in (2, 3):
        values = values.reshape(-1, values.shape[2])
    if values.ndim == 2 and values.shape[1] not in (2, 3) and values.shape[0] in (2, 3):
        values = values.T
    if values.ndim != 2 or values.shape[1] not in (2, 3):
        raise DataFileError(f"{path}: '{name}' has shape {np.shape(array)}; expected (positions, 2)")
    return values.astype(np.float64)


def as_wave(array: Any, name: str, path: str) -> np.ndarray:
    """A complex field (rows, columns); of several modes the first.

    Raises
    ------
    DataFileError
        Fewer than two axes, or not numbers.
    """
    values = np.asarray(array)
    if values.dtype.names in (("real", "imag"), ("r", "i")):  # how MATLAB and others keep complex numbers
        first, second = values.dtype.names
        values = values[first] + 1j * values[second]
    if values.dtype.kind not in "uifc" or values.ndim < 2:
        raise DataFileError(
            f"{path}: '{name}' has shape {values.shape} of {values.dtype}; expected complex numbers "
            "(rows, columns)"
        )
    return np.asarray(values.reshape(-1, *values.shape[-2:])[0], dtype=np.complex128)


def as_mask(
    array: Any, frame: tuple[int, int], is_good: Callable[[np.ndarray], np.ndarray], name: str, path: str
) -> np.ndarray:
    """Good pixels (rows, columns); a mask for each pattern leaves those good in all of them.

    Raises
    ------
    DataFileError
        Its size is not that of the patterns.
    """
    shape = tuple(array.shape)
    if len(shape) < 2 or shape[-2:] != frame:
        raise DataFileError(f"{path}: '{name}' has shape {shape}; the patterns have {frame}")
    if len(shape) == 2:
        return np.asarray(is_good(np.asarray(array[()])))
    good = np.ones(frame, dtype=bool)
    for first in range(0, shape[0], 64):  # as large as the patterns themselves, so never read whole
        good &= is_good(np.asarray(array[first : first + 64])).reshape(-1, *frame).all(axis=0)
    return good


def mask_rule(mask_good: str, own: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """What a good pixel's value is: the user's word, else the format's ``own`` rule."""
    return {"zero": is_zero, "nonzero": is_positive}.get(mask_good, own)


def is_zero(values: np.ndarray) -> np.ndarray:
    return np.asarray(values == 0)


def is_positive(values: np.ndarray) -> np.ndarray:
    return np.asarray(values > 0)


def pick(file: Any, given: str, usual: Sequence[str], what: str, path: str) -> str:
    """The name of a dataset: the user's, else the first of the ``usual`` ones that the file has, else "".

    Raises
    ------
    DataFileError
        The file has nothing of the user's name, or a group.
    """
    if not given:
        return next((name for name in usual if is_dataset(file, name)), "")
    if is_dataset(file, given):
        return given
    raise DataFileError(f"{path} has no array '{given}' for '{what}'; {nearest(given, dataset_names(file))}")


def require(file: Any, given: str, usual: Sequence[str], what: str, path: str) -> str:
    """As ``pick``, but the dataset has to be there."""
    name = pick(file, given, usual, what, path)
    if name:
        return name
    raise DataFileError(
        f"{path} has no {what} at '{usual[0]}'; name the array with '{what}', "
        f"it holds: {', '.join(dataset_names(file)[:20]) or 'no arrays'}"
    )


def is_dataset(file: Any, name: str) -> bool:
    """Whether ``name`` is an array of the file; a link to a file that is not here is none."""
    return isinstance(file.get(name), h5py.Dataset)


def dataset_names(file: Any) -> list[str]:
    """The path of every array in an HDF5 file."""
    names: list[str] = []
    file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


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
