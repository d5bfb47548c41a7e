"""Every bad file is refused with its name and the array inside it."""

from __future__ import annotations

import bz2
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured import MeasuredFile, Measurement, check, write_cxi

from tests.problems.measured import small


def refusal(path: str, **settings: Any) -> str:
    with pytest.raises(DataFileError) as caught:
        MeasuredFile(path, **settings).read()
    message = str(caught.value)
    assert Path(path).name in message
    return message


def changed(value: Any, **at: Any) -> np.ndarray:
    data = small.patterns().astype(np.float32)
    data[at.get("where", (4, 3, 2))] = value
    return data


@pytest.mark.parametrize(
    ("changes", "settings", "array", "says"),
    [
        ({"data": np.zeros((4, 4))}, {}, "data", "has shape (4, 4); expected patterns"),
        (
            {"data": small.patterns(rows=20)},
            {},
            "data",
            "20 x 32 pixels; they must be square, give 'crop: 20'",
        ),
        ({"data": changed(np.nan)}, {}, "data", "NaN or infinite counts (1 of them, the first in pattern 4)"),
        ({"data": changed(-3)}, {}, "data", "negative counts (1 of them, the first in pattern 4)"),
        ({"data": small.patterns().astype(np.int32) - 3}, {}, "data", "or say 'negative: zero'"),
        ({"data": 0 * small.patterns()}, {}, "data", "every pattern is zero"),
        ({"data": small.probe()[None]}, {}, "data", "holds complex128, not real numbers"),
        ({"scan": np.zeros((0, 2))}, {}, "scan", "holds no positions"),
        ({"scan": small.positions()[:-1]}, {}, "scan", "11 positions, 'data' 12 patterns"),
        ({"scan": small.positions(15)}, {}, "scan", "15 positions, 'data' 12 patterns"),
        ({"scan": small.positions() * np.nan}, {}, "scan", "NaN or infinite values, the first at position 0"),
        ({"scan": np.ones((12, 2))}, {}, "scan", "all 12 positions in one place"),
        ({"scan": np.ones((12, 5))}, {}, "scan", "has shape (12, 5); expected (positions, 2)"),
        ({"scan": small.positions() * 1e3}, {}, "scan", "more than 16384; check 'positions_unit'"),
        ({"scan": small.positions() * 1e-9}, {}, "scan", "give 'wavelength_m' or 'energy_kev', 'distance_m'"),
        ({"probe": small.probe(20)}, {}, "probe", "shape (20, 20); expected the patterns' (32, 32)"),
        ({"probe": 0 * small.probe()}, {}, "probe", "is zero everywhere"),
        ({"probe": 1e200 * small.probe()}, {}, "probe", "holds numbers up to 1e+200; the file is damaged"),
        ({"probe": np.stack([small.probe(), np.nan * small.probe()])}, {}, "probe", "NaN or infinite"),
        ({"probe": np.stack([small.probe(), 1e200 * small.probe()])}, {}, "probe", "the file is damaged"),
        ({"mask": np.ones((3, 3))}, {}, "mask", "has shape (3, 3); the patterns have (32, 32)"),
        ({"mask": np.zeros((small.M, small.M))}, {}, "mask", "leaves no good pixel; give 'mask_good: zero'"),
        ({}, {"data": "dta"}, "dta", "did you mean 'data'?"),
        ({}, {"crop": 64}, "data", "'crop: 64' around (16, 16) does not fit; the most is 32"),
        ({}, {"bin": 3}, "data", "a window of 32 pixels cannot be binned by 3; give 'crop: 30'"),
        ({}, {"every": 20}, "scan", "all 1 positions in one place"),
        ({}, {"centre_row": 40, "centre_column": 3}, "data", "cannot be at (40, 3)"),
        ({"data": None}, {}, "data", "name it with 'data', the file holds: probe, scan"),
        ({"a/data": small.patterns()}, {}, "data", "several arrays for data"),
    ],
)
def test_plain_arrays(
    tmp_path: Path, changes: dict[str, Any], settings: dict[str, Any], array: str, says: str
) -> None:
    message = refusal(small.arrays(tmp_path / "bad.h5", **changes), **settings)
    assert array in message
    assert says in message


@pytest.mark.parametrize(
    ("changes", "array", "says"),
    [
        ({"data": small.patterns(5)}, "/entry_1/data_1/data", "12 positions"),
        (
            {"translation": None},
            "/entry_1/sample_1/geometry_1/translation",
            "name the array with 'positions'",
        ),
        ({"energy": 8000.0}, "/entry_1/instrument_1/source_1/energy", "Check their units"),
        ({"distance": "far"}, "/entry_1/instrument_1/detector_1/distance", "is not a number"),
        ({"distance": None}, "/entry_1/sample_1/geometry_1/translation", "give 'distance_m'"),
        (
            {"basis_vectors": np.zeros((2, 2))},
            "/entry_1/instrument_1/detector_1/basis_vectors",
            "two vectors",
        ),
    ],
)
def test_cxi(tmp_path: Path, changes: dict[str, Any], array: str, says: str) -> None:
    path = small.cxi(tmp_path / "bad.cxi", **changes)
    with h5py.File(path, "a") as file:
        file["entry_1/data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")
    message = refusal(path)
    assert array in message
    assert says in message


def test_nexus(tmp_path: Path) -> None:
    path = small.nexus(tmp_path / "bad.nxs")
    with h5py.File(path, "a") as file:
        file["entry_1/instrument_1/detector_1/distance"].attrs["units"] = "flibbert"
    assert "'/entry_1/instrument_1/detector_1/distance' has the unit 'flibbert'" in refusal(path)
    assert "no positions at '/entry_1/sample_1/geometry_1/translation'" in refusal(
        small.nexus(tmp_path / "none.nxs", translation=None)
    )
    ragged = small.nexus(tmp_path / "ragged.nxs", raster=True, **{"entry_1/data/x": np.arange(5.0)})
    assert "'/entry_1/data/y' holds 3 values and '/entry_1/data/x' 5" in refusal(ragged)


def test_ptyd(tmp_path: Path) -> None:
    path = small.ptyd(tmp_path / "bad.ptyd")
    with h5py.File(path, "a") as file:
        del file["chunks/1"]
        file["chunks/1"] = h5py.ExternalLink("gone.part001", "/")
    assert "'/chunks/1/data' is missing" in refusal(path)
    none = {f"chunks/{n}/positions": None for n in (0, 1)}
    assert "'/chunks/0/positions' is missing" in refusal(small.ptyd(tmp_path / "b.ptyd", **none))
    assert "'/chunks' holds no patterns" in refusal(small.arrays(tmp_path / "c.ptyd"), format="ptyd")


@pytest.mark.parametrize("kind", ["cxi", "nexus", "ptyd", "arrays"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_hdf5(tmp_path: Path, kind: str, share: float) -> None:
    path = Path(getattr(small, kind)(tmp_path / "cut.h5"))
    contents = path.read_bytes()
    path.write_bytes(contents[: int(share * len(contents))])
    assert "the file is damaged" in refusal(str(path))


def test_a_chunk_that_does_not_unpack(tmp_path: Path) -> None:
    path = tmp_path / "hole.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "data", data=small.patterns(), chunks=(1, small.M, small.M), compression="gzip"
        )
        file["scan"] = small.positions()
        where = data.id.get_chunk_info(7).byte_offset
    contents = bytearray(path.read_bytes())
    contents[where : where + 40] = bytes(40)
    path.write_bytes(contents)
    assert "'data' cannot be read at pattern 0" in refusal(str(path), zero_frequency="centre")  # of one block


def test_truncated_and_foreign_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "whole.npz", data=small.patterns(), scan=small.positions())
    contents = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(contents[: len(contents) // 2])
    assert "the file is damaged" in refusal(str(tmp_path / "cut.npz"))
    (tmp_path / "cut.npz.bz2").write_bytes(bz2.compress(contents)[:-200])
    assert "the file is damaged" in refusal(str(tmp_path / "cut.npz.bz2"))
    (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0 MAT-file, but not really")
    assert "cannot be read" in refusal(str(tmp_path / "a.mat"))
    (tmp_path / "a.tiff").write_bytes(b"II*\0")
    assert "cannot be read as TIFF" in refusal(str(tmp_path / "a.tiff"))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n")
    assert "is not a file of measured data" in refusal(str(tmp_path / "a.png"))
    assert "no such file" in refusal(str(tmp_path / "none.cxi"))
    assert "say 'format: arrays'" in refusal(str(tmp_path / "whole.npz"), format="cxi")


def test_pickled_arrays_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", data=np.array([{}, []], dtype=object), scan=small.positions())
    assert "'data' holds object, not real numbers" in refusal(str(tmp_path / "a.npz"))


def test_negative_counts_can_be_set_to_zero(tmp_path: Path) -> None:
    path = small.arrays(tmp_path / "a.h5", data=small.patterns().astype(np.int32) - 3)
    expected = small.corner(np.maximum(small.patterns().astype(int) - 3, 0))
    np.testing.assert_array_equal(MeasuredFile(path, negative="zero").read().diffraction_intensity, expected)


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    assert "has changed since" in refusal(small.arrays(tmp_path / "a.h5"), path_sha256="0" * 64)


def test_two_wavelengths_are_refused(tmp_path: Path) -> None:
    path = small.arrays(tmp_path / "a.h5")
    assert "give one" in refusal(path, wavelength_m=1e-10, energy_kev=8.0)


def test_check_by_itself() -> None:
    good = Measurement(small.patterns(), small.positions())
    check(good, "made")
    for change, says in (
        ({"diffraction_intensity": small.patterns()[0]}, "'data' has shape (32, 32)"),
        ({"diffraction_intensity": small.patterns(columns=30)}, "must be square"),
        ({"scan_positions_px": small.positions()[:, :1]}, "'positions' has shape (12, 1)"),
        ({"detector_mask": np.ones((3, 3), bool)}, "'mask' has shape (3, 3)"),
        ({"probe": small.probe() * np.nan}, "'probe' holds NaN"),
        ({"pixel_m": 3.0}, "pixel comes out as 3 m (as given)"),
    ):
        with pytest.raises(DataFileError) as caught:
            check(Measurement(**{**vars(good), **change}), "made")
        assert "made: " in str(caught.value)
        assert says in str(caught.value)


def test_cxi_needs_a_geometry(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="takes the wavelength, the distance and the detector pixel"):
        write_cxi(tmp_path / "a.cxi", Measurement(small.patterns(), small.positions()))
