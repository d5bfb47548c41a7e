"""A small measurement and files of it, written the way each format's own programs write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.constants import c, e, h

WAVELENGTH_M, DISTANCE_M, DETECTOR_PIXEL_M = 1.5e-10, 2.0, 75e-6
N, M = 12, 32
PIXEL_M = WAVELENGTH_M * DISTANCE_M / (M * DETECTOR_PIXEL_M)
ENERGY_J = h * c / WAVELENGTH_M


def patterns(n: int = N, rows: int = M, columns: int = M, dtype: Any = np.uint16) -> np.ndarray:
    """Counts (n, rows, columns), bright at the middle, no two pixels or patterns alike."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:rows, :columns]
    radius2 = ((y - rows // 2) / rows) ** 2 + ((x - columns // 2) / columns) ** 2
    return rng.poisson(1 + 900 * np.exp(-60 * radius2), (n, rows, columns)).astype(dtype)


def positions(n: int = N) -> np.ndarray:
    """Fractional positions (n, 2) in pixels, (row, column), minimum 0, wider than high."""
    found = np.random.default_rng(2).uniform(0, 1, (n, 2)) * [20, 40]
    return found - found.min(axis=0)


def probe(size: int = M) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size // 2
    return np.exp(-(y**2 + x**2) / (size / 8) ** 2 + 0.3j * np.sin(x / 3) * y)


def corner(centred: np.ndarray) -> np.ndarray:
    return np.fft.ifftshift(centred, axes=(-2, -1))


def cxi(path: Path, data: np.ndarray | None = None, **changes: Any) -> str:
    """A CXI file in cdtools' layout; a change to None leaves a dataset out."""
    detector, source = "entry_1/instrument_1/detector_1", "entry_1/instrument_1/source_1"
    row, column = (positions() * PIXEL_M).T
    contents: dict[str, Any] = {
        "cxi_version": 160,
        f"{detector}/data": patterns() if data is None else data,
        f"{detector}/distance": DISTANCE_M,
        f"{detector}/x_pixel_size": DETECTOR_PIXEL_M,
        f"{detector}/y_pixel_size": DETECTOR_PIXEL_M,
        f"{detector}/basis_vectors": np.array([[0, -1, 0], [-1, 0, 0]]).T * DETECTOR_PIXEL_M,
        f"{source}/energy": ENERGY_J,
        "entry_1/sample_1/geometry_1/translation": np.stack([column, row, 0 * row], axis=1) + 3e-4,
    }
    short = {key.rsplit("/", 1)[-1]: key for key in contents}
    write(path, contents | {short.get(key, key): value for key, value in changes.items()})
    return str(path)


def nexus(path: Path, raster: bool = False, **changes: Any) -> str:
    """An NXcxi_ptycho file with positions in micrometres and the energy in keV."""
    row, column = positions().T * PIXEL_M * 1e6
    contents: dict[str, Any] = {
        "entry_1/definition": "NXcxi_ptycho",
        "entry_1/instrument_1/source_1/energy": 3e9 * e,
        "entry_1/instrument_1/beam_1/incident_beam_energy": ENERGY_J / e / 1e3,
        "entry_1/instrument_1/detector_1/data": patterns(),
        "entry_1/instrument_1/detector_1/distance": DISTANCE_M * 1e3,
        "entry_1/instrument_1/detector_1/x_pixel_size": DETECTOR_PIXEL_M * 1e6,
        "entry_1/instrument_1/detector_1/y_pixel_size": DETECTOR_PIXEL_M * 1e6,
        "entry_1/sample_1/geometry_1/translation": np.stack([column, row, 0 * row], axis=1),
    }
    if raster:
        del contents["entry_1/sample_1/geometry_1/translation"]
        contents["entry_1/instrument_1/detector_1/data"] = patterns().reshape(3, 4, M, M)
        contents["entry_1/data/x"] = np.arange(4) * 5 * PIXEL_M * 1e6
        contents["entry_1/data/y"] = np.arange(3) * 7 * PIXEL_M * 1e6
    short = {key.rsplit("/", 1)[-1]: key for key in contents}
    write(path, contents | {short.get(key, key): value for key, value in changes.items()})
    units = {"incident_beam_energy": "keV", "distance": "mm", "x_pixel_size": "um", "y_pixel_size": "um",
             "translation": "um", "x": "um", "y": "um"}  # fmt: skip
    with h5py.File(path, "a") as file:
        for key, unit in units.items():
            if key in short and short[key] in file:
                file[short[key]].attrs["units"] = unit
        classes = {"entry_1": "NXentry", "entry_1/instrument_1": "NXinstrument", "entry_1/data": "NXdata",
                   "entry_1/instrument_1/beam_1": "NXbeam",
                   "entry_1/instrument_1/detector_1": "NXdetector"}  # fmt: skip
        for group, kind in classes.items():
            if group in file:
                file[group].attrs["NX_class"] = kind
    return str(path)


def ptyd(path: Path, **changes: Any) -> str:
    """A .ptyd file of two chunks, as ptypy's 'save: append' makes it."""
    data, metres = patterns(), positions() * PIXEL_M
    good = np.ones((M, M))
    good[3, 5] = 0
    contents: dict[str, Any] = {
        "meta/energy": ENERGY_J / e / 1e3,
        "meta/distance": DISTANCE_M,
        "meta/psize": np.full(2, DETECTOR_PIXEL_M),
        "meta/shape": np.array([M, M]),
        "meta/center": np.array([M / 2, M / 2]),
        "info/rebin": 1,
        "info/psize": 2 * DETECTOR_PIXEL_M,
    }
    for n, part in enumerate((slice(0, 7), slice(7, N))):
        contents |= {
            f"chunks/{n}/data": data[part],
            f"chunks/{n}/positions": metres[part],
            f"chunks/{n}/weights": np.broadcast_to(good, data[part].shape),
            f"chunks/{n}/indices": np.arange(N)[part],
        }
    write(path, contents | changes)
    return str(path)


def arrays(path: Path, **changes: Any) -> str:
    """A plain HDF5 file: patterns with zero frequency at the corner, positions in pixels."""
    write(path, {"data": corner(patterns()), "scan": positions(), "probe": probe()} | changes)
    return str(path)


def ptychodus(path: Path, **changes: Any) -> str:
    """A product of ptychodus with its patterns in the same file; attributes are given as "object@name"."""
    contents: dict[str, Any] = {
        "dp": patterns(),
        "probe": np.stack([0.5 * probe(), probe()])[None],
        "probe_position_indexes": np.arange(N),
        "probe_position_y_m": positions()[:, 0] * PIXEL_M - 1e-6,
        "probe_position_x_m": positions()[:, 1] * PIXEL_M + 3e-6,
        "object": np.full((1, 60, 80), 1j),
        "@photon_energy_eV": ENERGY_J / e,
        "@detector_object_distance_m": DISTANCE_M,
        "@far_field": True,
        "object@pixel_height_m": PIXEL_M,
        "object@pixel_width_m": PIXEL_M,
    } | changes
    write(path, {key: value for key, value in contents.items() if "@" not in key})
    with h5py.File(path, "a") as file:
        for key, value in contents.items():
            name, at, attribute = key.partition("@")
            if at and value is not None:
                (file[name] if name else file).attrs[attribute] = value
    return str(path)


def ptychoshelves(path: Path, **changes: Any) -> str:
    """Patterns and positions of fold_slice in one file, without a detector."""
    contents: dict[str, Any] = {
        "dp": patterns(),
        "ppX": positions()[None, :, 1] * PIXEL_M,
        "ppY": positions()[None, :, 0] * PIXEL_M,
        "lambda": [[WAVELENGTH_M]],
        "dx": [[PIXEL_M]],
    }
    write(path, contents | changes)
    return str(path)


def ptylab(path: Path, **changes: Any) -> str:
    """A measurement as PtyLab writes it, its numbers in arrays of length one."""
    contents: dict[str, Any] = {
        "ptychogram": patterns(),
        "encoder": positions() * PIXEL_M,
        "binningFactor": 2,
        "dxd": (DETECTOR_PIXEL_M,),
        "zo": (DISTANCE_M,),
        "wavelength": (WAVELENGTH_M,),
        "entrancePupilDiameter": (3e-6,),
        "orientation": 0,
    }
    write(path, contents | changes)
    return str(path)


def write(path: Path, contents: dict[str, Any]) -> None:
    with h5py.File(path, "w") as file:
        for key, value in contents.items():
            if value is not None:
                file[key] = value
