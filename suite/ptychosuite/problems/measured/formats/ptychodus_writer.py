"""A measurement as ptychodus 1.7 exports it: patterns in one file, in another the product.

The product has the geometry, the positions of the probe's centre from the object's in metres, the probe with
its modes and the object. ptychodus scales a probe so that its power is the photons of a pattern.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.constants import e

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.measurement import Geometry, Measurement
from ptychosuite.problems.measured.units import energy_of_wavelength
from ptychosuite.problems.measured.writing import geometry_of, hdf5_file

NPZ = ".npz"
ENDINGS = (NPZ, ".h5", ".hdf5")
UNKNOWN = ("exposure_time_s", "mass_attenuation_m2_per_kg", "tomography_angle_deg",
           "focus_object_distance_m", "tilt_angle_deg")  # fmt: skip


def product_of(path: str | Path) -> Path:
    """The product that belongs to the patterns in ``path``: scan-product.h5 beside scan.h5."""
    patterns = Path(path)
    return patterns.with_name(f"{patterns.stem}-product{NPZ if patterns.suffix == NPZ else '.h5'}")


def write_ptychodus(path: str | Path, measurement: Measurement) -> None:
    """Write the patterns of ``measurement`` to ``path``, all else to the product beside it.

    An ending .npz makes two NPZ files, .h5 or .hdf5 two HDF5 files.

    Raises
    ------
    DataFileError
        The geometry is unknown, there is no probe, the ending is another, or a file cannot be written.
    """
    if Path(path).suffix not in ENDINGS:
        raise DataFileError(f"{path}: ptychodus reads {', '.join(ENDINGS)}; name a file that ends so")
    geometry = geometry_of(measurement, path, "ptychodus")
    if measurement.probe is None:
        raise DataFileError(f"{path}: a product of ptychodus has a probe, and there is none; name one")
    single = Path(path).suffix == NPZ
    for file, save, content in (
        (Path(path), _save_npz if single else _save_patterns, _patterns(measurement)),
        (product_of(path), _save_npz if single else _save_product, _product(measurement, geometry)),
    ):
        save(file, content)


def _patterns(measurement: Measurement) -> dict[str, Any]:
    patterns = np.fft.fftshift(measurement.diffraction_intensity, axes=(1, 2))
    good = measurement.good_always
    bad = np.zeros(patterns.shape[1:], dtype=bool) if good is None else np.fft.fftshift(~good)
    return {"indexes": np.arange(len(patterns)), "patterns": patterns, "bad_pixels": bad}


def _product(measurement: Measurement, geometry: Geometry) -> dict[str, Any]:
    rows, columns = measurement.object_shape
    obj = np.ones((rows, columns)) if measurement.object_guess is None else measurement.object_guess
    # of a patch the middle pixel, from the middle of the object
    centres = measurement.scan_positions_px + measurement.probe_size / 2 - np.array(obj.shape) / 2
    y, x = (centres * geometry.pixel_m).T
    probe, photons = _scaled(measurement)
    sides = ("pixel_width_m", "pixel_height_m")
    return {
        "name": "",
        "comments": "",
        "detector_object_distance_m": geometry.distance_m,
        "photon_energy_eV": energy_of_wavelength(geometry.wavelength_m) / e,
        "probe_photon_count": photons,
        "far_field": True,
        **dict.fromkeys(UNKNOWN, 0.0),
        "probe_position_indexes": np.arange(len(x)),
        "probe_position_x_m": x,
        "probe_position_y_m": y,
        "probe": probe[np.newaxis].astype(np.complex64),
        **{f"probe_{side}": geometry.pixel_m for side in sides},
        "object": obj[np.newaxis].astype(np.complex64),
        "object_center_x_m": 0.0,
        "object_center_y_m": 0.0,
        **{f"object_{side}": geometry.pixel_m for side in sides},
        "object_layer_spacing_m": np.zeros(0),
        "loss_epochs": np.zeros(0),
        "loss_values": np.zeros(0),
    }


def _scaled(measurement: Measurement) -> tuple[np.ndarray, float]:
    """All modes with the power of the mean counts of a pattern, and these."""
    modes = measurement.modes
    assert modes is not None
    photons = float(measurement.diffraction_intensity.sum(dtype=np.float64)) / measurement.n_positions
    return modes * np.sqrt(photons / np.sum(np.abs(modes) ** 2)), photons


def _save_npz(path: Path, content: Mapping[str, Any]) -> None:
    np.savez_compressed(path, **content)


def _save_patterns(path: Path, content: Mapping[str, Any]) -> None:
    patterns = content["patterns"]
    with hdf5_file(path) as file:
        file.create_dataset("dp", data=patterns, chunks=(1, *patterns.shape[1:]), compression="gzip")
        file["bad_pixels"] = content["bad_pixels"]


def _save_product(path: Path, content: Mapping[str, Any]) -> None:
    """Single values are attributes, of the file or of the array whose name they begin with."""
    with hdf5_file(path) as file:
        for name, value in content.items():
            if np.ndim(value):
                file[name] = value
        for name, value in content.items():
            if np.ndim(value):
                continue
            array = next((each for each in ("probe", "object") if _belongs(name, each)), "")
            place, key = (file[array], name.removeprefix(f"{array}_")) if array else (file, name)
            place.attrs[key] = value


def _belongs(name: str, array: str) -> bool:
    return name.startswith((f"{array}_pixel_", f"{array}_center_"))
