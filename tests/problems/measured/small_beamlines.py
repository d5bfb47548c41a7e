"""The small measurement in files as beamlines and detectors write them; every one is a raster of 3 x 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.problems.measured import small

ROWS, COLUMNS = 3, 4
STEP_PX = (7.0, 5.0)
PIXEL_UM = small.PIXEL_M * 1e6
Y_UM, X_UM = np.arange(ROWS) * STEP_PX[0] * PIXEL_UM, np.arange(COLUMNS) * STEP_PX[1] * PIXEL_UM
GEOMETRY = {"distance_m": small.DISTANCE_M, "detector_pixel_m": small.DETECTOR_PIXEL_M}
RASTER = {"scan_shape": (ROWS, COLUMNS), "scan_step": (STEP_PX[0], STEP_PX[1]), "positions_unit": "px"}
KEV = small.ENERGY_J / 1.602176634e-16


def grid_px() -> np.ndarray:
    """Positions (12, 2) of the raster in pixels, rows slow."""
    rows, columns = np.meshgrid(*(np.arange(n) * s for n, s in zip((ROWS, COLUMNS), STEP_PX, strict=True)),
                                indexing="ij")  # fmt: skip
    return np.stack([rows.ravel(), columns.ravel()], axis=1)


def raster() -> np.ndarray:
    """The patterns as (3, 4, rows, columns)."""
    return small.patterns().reshape(ROWS, COLUMNS, small.M, small.M)


def raster_nexus(path: Path, data: np.ndarray | None = None, entry: str = "entry",
                 definition: str = "NXcxi_ptycho", **more: Any) -> str:  # fmt: skip
    """An NXcxi_ptycho entry without motors: detector, beam, an empty NXdata and NXtransformations."""
    with h5py.File(path, "a") as file:
        root = group(file, entry, "NXentry")
        if definition:
            root["definition"] = definition
        instrument = group(root, "instrument", "NXinstrument")
        detector = group(instrument, "eiger", "NXdetector")
        detector["data"] = raster() if data is None else data
        for name, value, unit in (
            ("distance", small.DISTANCE_M * 100, "cm"),
            ("x_pixel_size", small.DETECTOR_PIXEL_M * 1e6, "um"),
            ("y_pixel_size", small.DETECTOR_PIXEL_M * 1e6, "um"),
        ):
            put(detector, name, value, units=unit)
        put(group(instrument, "beam", "NXbeam"), "incident_beam_energy", KEV, units="keV")
        plot = group(root, "plot", "NXdata")
        plot["data"] = detector["data"]
        plot.attrs["signal"] = "data"
        group(group(root, "sample", "NXsample"), "transformations", "NXtransformations")
        for name, value in more.items():
            root[name] = value
    return str(path)


def motors(path: str, values: Mapping[str, Any], entry: str = "entry",
           attributes: Mapping[str, Mapping[str, Any]] | None = None, place: str = "sample/transformations",
           units: str = "um") -> str:  # fmt: skip
    """Add motors to an entry, with their attributes."""
    with h5py.File(path, "a") as file:
        for name, value in values.items():
            attrs = {"units": units} | dict((attributes or {}).get(name, {}))
            put(file[f"{entry}/{place}"], name, value, **attrs)
    return path


def axes(path: str, names: Sequence[str], entry: str = "entry", **indices: Any) -> str:
    """Say in NXdata what the axes are."""
    with h5py.File(path, "a") as file:
        plot = file[f"{entry}/plot"]
        if names:
            plot.attrs["axes"] = [name.encode() for name in names]
        for name, value in indices.items():
            plot.attrs[name] = value
    return path


def vector(*xyz: float, **more: Any) -> dict[str, Any]:
    return {"vector": np.array(xyz, float), "transformation_type": "translation"} | more


def nanomax(path: Path, linked: bool = True) -> str:
    """A scan of Contrast, the images behind a link to a file beside it."""
    with h5py.File(path, "w") as file:
        if linked:
            beside = path.with_name(f"scan_{path.stem}_eiger.hdf5")
            small.write(beside, {"entry/instrument/Eiger/data": small.patterns()})
            file["entry/measurement/eiger/frames"] = h5py.ExternalLink(
                beside.name, "/entry/instrument/Eiger/data"
            )
        else:
            file["entry/measurement/eiger/frames"] = small.patterns()
        rows, columns = (grid_px() * PIXEL_UM).T
        file["entry/measurement/pseudo/x"], file["entry/measurement/pseudo/y"] = columns, rows
        file["entry/measurement/xspress3/fluo"] = np.ones((12, 4, 8))
        file["entry/snapshots/pre_scan/energy"] = [KEV * 1e3]
    return str(path)


def dectris(path: Path, a_file: int = 5) -> str:
    """A master file and its data files, of ``a_file`` images each."""
    detector = "entry/instrument/detector"
    with h5py.File(path, "w") as file:
        for n, first in enumerate(range(0, small.N, a_file), start=1):
            beside = path.with_name(path.name.replace("master", f"data_{n:06d}"))
            small.write(beside, {"entry/data/data": small.patterns()[first : first + a_file]})
            file[f"entry/data/data_{n:06d}"] = h5py.ExternalLink(beside.name, "/entry/data/data")
        for name, value, unit in (
            (f"{detector}/detector_distance", small.DISTANCE_M, "m"),
            (f"{detector}/x_pixel_size", small.DETECTOR_PIXEL_M, "m"),
            (f"{detector}/y_pixel_size", small.DETECTOR_PIXEL_M, "m"),
            (f"{detector}/beam_center_x", 18.0, "pixel"),
            (f"{detector}/beam_center_y", 15.0, "pixel"),
            ("entry/instrument/beam/incident_wavelength", small.WAVELENGTH_M * 1e10, "angstrom"),
        ):
            put(file, name, value, units=unit)
        mask = np.zeros((small.M, small.M), np.uint32)
        mask[3, 5], mask[8, 9] = 1, 1 << 8
        file[f"{detector}/detectorSpecific/pixel_mask"] = mask
        file[f"{detector}/detectorSpecific/countrate_correction_count_cutoff"] = 60000
        file[f"{detector}/detectorSpecific/flatfield"] = np.full(mask.shape, 2.0)
        file[f"{detector}/flatfield_correction_applied"] = 1
    return str(path)


def gda(path: Path, slow: str = "y", units: str | None = "um", old: bool = False) -> str:
    """A grid scan of GDA: commanded and read positions in NXdata, or ``axis`` attributes in older files."""
    data = raster() if slow == "y" else np.swapaxes(raster(), 0, 1)
    with h5py.File(path, "w") as file:
        entry = group(file, "entry1", "NXentry")
        plot = group(entry, "merlin", "NXdata")
        plot["data"] = data
        group(group(entry, "instrument", "NXinstrument"), "merlin", "NXdetector")["data"] = plot["data"]
        grid = np.meshgrid(Y_UM, X_UM, indexing="ij")
        for name, full, line in (("y", grid[0], Y_UM), ("x", grid[1], X_UM)):
            where = 0 if name == slow else 1
            attrs = {} if units is None else {"units": units}
            if old:
                put(plot, f"lab_s{name}", line, axis=str(where + 1), **attrs)
                continue
            put(plot, f"stage_{name}_value", full if slow == "y" else full.T, **attrs)
            put(plot, f"stage_{name}_value_set", line, **attrs)
            plot.attrs[f"stage_{name}_value_indices"] = [0, 1]
            plot.attrs[f"stage_{name}_value_set_indices"] = [where]
        if not old:
            other = "x" if slow == "y" else "y"
            plot.attrs["axes"] = [f"stage_{name}_value_set".encode() for name in (slow, other)] + [b".", b"."]
            plot.attrs["signal"] = "data"
    return str(path)


def nsls2(path: Path) -> str:
    """What ptycho_gui saves: roots of the counts, corner, first axis x; here the rows are the first axis."""
    rows, columns = (grid_px() * PIXEL_UM).T
    small.write(path, {
        "diffamp": np.sqrt(small.corner(small.patterns()).astype(np.float64)),
        "points": np.stack([rows, columns]),
        "lambda_nm": small.WAVELENGTH_M * 1e9, "z_m": small.DISTANCE_M,
        "ccd_pixel_um": small.DETECTOR_PIXEL_M * 1e6, "angle": 0.0, "ic": np.linspace(1, 2, 12),
        "x_range": 2.0, "y_range": 2.0, "dr_x": 0.1, "dr_y": 0.1,
    })  # fmt: skip
    return str(path)


def hxn(path: Path) -> str:
    """An export of HXN: images, light and positions, and maps of another detector."""
    rows, columns = (grid_px() * PIXEL_UM).T
    small.write(path, {
        "diff_data/merlin1/raw_data": raster().astype(np.float32),
        "diff_data/merlin1/Io": np.linspace(1, 2, 12).reshape(3, 4),
        "scan/scan_positions": np.stack([columns, rows]),
        "xrf_roi_data/xrf_roi_array": np.ones((2, 3, 4)),
    })  # fmt: skip
    return str(path)


def group(parent: Any, name: str, nx_class: str) -> Any:
    made = parent.require_group(name)
    made.attrs["NX_class"] = nx_class
    return made


def put(parent: Any, name: str, value: Any, **attributes: Any) -> None:
    parent[name] = value
    for key, content in attributes.items():
        parent[name].attrs[key] = content
