"""Formats that are written: each gives back what it was given, whole or not at all."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
from ptychosuite.errors import DataFileError, StudyError
from ptychosuite.problems.measured import MeasuredFile, Measurement
from ptychosuite.problems.measured.formats.ptychodus_writer import product_of, write_ptychodus
from ptychosuite.problems.measured.writing import Written, write, writer, writers

from tests.problems.measured import small

GEOMETRY = {
    "pixel_m": small.PIXEL_M,
    "wavelength_m": small.WAVELENGTH_M,
    "distance_m": small.DISTANCE_M,
    "detector_pixel_m": small.DETECTOR_PIXEL_M,
}


def measurement(**changes) -> Measurement:
    """Patterns, fractional positions, two modes, a mask and a guess, none of them symmetric."""
    good = np.ones((small.M, small.M), dtype=bool)
    good[3, 5:9] = False
    modes = np.stack([small.probe(), 0.3 * np.roll(small.probe(), 3, axis=0)])
    total = np.sqrt(np.sum(np.abs(modes) ** 2) / np.sum(np.abs(modes[0]) ** 2))
    made = Measurement(
        small.corner(small.patterns()) * small.corner(good),
        small.positions(),
        probe=total * modes[0],
        probe_modes=modes,
        detector_mask=small.corner(good),
        **GEOMETRY,
    )
    guess = np.exp(0.1j * np.arange(np.prod(made.object_shape)).reshape(made.object_shape))
    return dataclasses.replace(made, **{"object_guess": guess, **changes})


def assert_same(found: Measurement, expected: Measurement, parts: tuple[str, ...]) -> None:
    np.testing.assert_array_equal(found.diffraction_intensity, expected.diffraction_intensity)
    np.testing.assert_allclose(found.scan_positions_px, expected.scan_positions_px, atol=1e-9)
    for name in GEOMETRY:
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-9)
    if "mask" in parts:
        np.testing.assert_array_equal(found.detector_mask, expected.detector_mask)
    if "probe" in parts:
        np.testing.assert_allclose(found.probe, expected.probe, rtol=1e-12)
        np.testing.assert_allclose(found.probe_modes, expected.probe_modes, rtol=1e-12)
    if "object" in parts:
        np.testing.assert_allclose(found.object_guess, expected.object_guess, rtol=1e-12)


@pytest.mark.parametrize("name", ["cxi", "ptyd"])
def test_reads_back_the_same(tmp_path, name):
    """All parts that the layout has a place for; the others are named."""
    made = measurement()
    file = tmp_path / f"scan.{name}"
    left_out = {"cxi": (), "ptyd": ("probe", "object")}[name]
    assert write(made, file, name) == Written((file,), left_out)
    assert_same(MeasuredFile(str(file)).read(), made, writer(name).writes)


@pytest.mark.parametrize("name", ["cxi", "ptyd"])
@pytest.mark.parametrize("size", [31, 32])
def test_odd_sizes_and_no_mask(tmp_path, name, size):
    """Zero frequency of an odd pattern stays where it is, and a scan without a mask has all its pixels."""
    counts = small.corner(small.patterns(rows=size, columns=size))
    none = dict.fromkeys(("probe", "probe_modes", "object_guess", "detector_mask"))
    pixel_m = small.WAVELENGTH_M * small.DISTANCE_M / (size * small.DETECTOR_PIXEL_M)
    made = measurement(diffraction_intensity=counts, pixel_m=pixel_m, **none)
    write(made, tmp_path / "scan", name)
    found = MeasuredFile(str(tmp_path / "scan")).read()
    assert_same(found, made, ())
    assert found.detector_mask is None or found.detector_mask.all()


def test_ptyd_has_what_ptypy_looks_for(tmp_path, measured_data):
    """The same groups, with the same words for what they are, as ptypy's own writer leaves."""
    write(measurement(), tmp_path / "scan.ptyd", "ptyd")
    with (
        h5py.File(tmp_path / "scan.ptyd") as ours,
        h5py.File(measured_data / "files" / "written" / "ptypy.ptyd") as theirs,
    ):
        for name in ("chunks", "chunks/0", "meta", *(f"meta/{key}" for key in theirs["meta"])):
            assert ours[name].attrs["type"] == theirs[name].attrs["type"], name
        for name, item in theirs["chunks/0"].items():
            assert ours["chunks/0"][name].attrs["type"] == item.attrs["type"]
            assert ours["chunks/0"][name].ndim == item.ndim
        assert ours["meta/energy"][()] == pytest.approx(small.ENERGY_J / 1.602176634e-16)


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_ptychodus_layout(tmp_path, measured_data, suffix):
    """The keys, kinds and axes of ptychodus' own exports; positions count from the object's middle."""
    made, file = measurement(), tmp_path / f"scan{suffix}"
    write_ptychodus(file, made)
    ours = stored(product_of(file))
    theirs = stored(measured_data / "files" / "written" / "ptychodus" / f"product{suffix}")
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert np.ndim(ours[name]) == np.ndim(value), name
    patterns = stored(file)
    key = "patterns" if suffix == ".npz" else "dp"
    np.testing.assert_array_equal(small.corner(patterns[key]), made.diffraction_intensity)
    np.testing.assert_array_equal(small.corner(~patterns["bad_pixels"]), made.detector_mask)
    centres = np.stack([ours["probe_position_y_m"], ours["probe_position_x_m"]], axis=1) / small.PIXEL_M
    corners = centres + np.array(made.object_guess.shape) / 2 - small.M / 2
    np.testing.assert_allclose(corners, made.scan_positions_px, atol=1e-9)
    modes = ours["probe"][0]
    np.testing.assert_allclose(modes / modes.max(), made.probe_modes / made.probe_modes.max(), atol=1e-6)
    counts = made.diffraction_intensity.sum() / made.n_positions
    assert np.sum(np.abs(modes) ** 2) == pytest.approx(counts, rel=1e-5)
    assert float(ours["probe_photon_count"]) == pytest.approx(counts)
    np.testing.assert_allclose(ours["object"][0], made.object_guess, rtol=1e-5)
    assert float(ours["photon_energy_eV"]) == pytest.approx(small.ENERGY_J / 1.602176634e-19)


def stored(path: Path) -> dict[str, np.ndarray]:
    """Arrays of an NPZ or HDF5 file, attributes under the names that they have in the other."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return dict(arrays)
    with h5py.File(path) as file:
        found = {name: np.asarray(item) for name, item in file.items()}
        found |= {name: np.asarray(value) for name, value in file.attrs.items()}
        for name, item in file.items():
            found |= {f"{name}_{key}": np.asarray(value) for key, value in item.attrs.items()}
    return found


def test_ptychodus_takes_a_probe_and_its_endings(tmp_path):
    with pytest.raises(DataFileError, match="has a probe"):
        write_ptychodus(tmp_path / "a.h5", measurement(probe=None, probe_modes=None))
    with pytest.raises(DataFileError, match="ends so"):
        write_ptychodus(tmp_path / "a.cxi", measurement())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["cxi", "ptyd"])
def test_without_lengths_nothing_is_written(tmp_path, name):
    with pytest.raises(DataFileError, match="'wavelength_m' or 'energy_kev', 'distance_m'") as caught:
        write(measurement(distance_m=None), tmp_path / "scan", name)
    assert str(caught.value).startswith(f"{tmp_path / 'scan'}: ")
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_but_by_force(tmp_path):
    file = tmp_path / "scan.cxi"
    file.write_bytes(b"mine")
    with pytest.raises(DataFileError, match="there already"):
        write(measurement(), file, "cxi")
    assert file.read_bytes() == b"mine"
    write(measurement(), file, "cxi", force=True)
    assert MeasuredFile(str(file)).read().n_positions == small.N
    with pytest.raises(DataFileError, match="is a folder"):
        write(measurement(), tmp_path, "cxi", force=True)


def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    """Half a file is never under the name of the whole one, nor beside it."""
    file = tmp_path / "scan.cxi"
    file.write_bytes(b"mine")

    def fail(*arguments):
        raise OSError("no space left on device")

    monkeypatch.setattr("ptychosuite.problems.measured.formats.cxi._write_guesses", fail)
    with pytest.raises(DataFileError, match="no space left"):
        write(measurement(), file, "cxi", force=True)
    assert file.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [file]


def test_formats_that_are_only_read_are_no_writers():
    assert {"cxi", "ptyd", "ptychodus"} <= set(writers())
    assert not {"nexus", "arrays"} & set(writers())
    with pytest.raises(StudyError, match="'nexus'; valid: "):
        writer("nexus")


def ptychodus_settings(file: Path) -> dict[str, object]:
    """What reads back the two files: the product has all that is not in the patterns' own."""
    product = {"path": str(product_of(file)), "key": ""}
    return {"path": str(file), **dict.fromkeys(("positions", "probe", "object"), product)}


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_ptychodus_reads_back_the_same(tmp_path, suffix):
    """Through our own reader, with the pair of files; the probe up to the scale that the layout asks for."""
    made, file = measurement(), tmp_path / f"scan{suffix}"
    assert write(made, file, "ptychodus") == Written((file, product_of(file)), ())
    found = MeasuredFile(**ptychodus_settings(file)).read()
    np.testing.assert_array_equal(found.diffraction_intensity, made.diffraction_intensity)
    np.testing.assert_allclose(found.scan_positions_px, made.scan_positions_px, atol=1e-9)
    np.testing.assert_array_equal(found.detector_mask, made.detector_mask)
    for name in ("pixel_m", "wavelength_m", "distance_m"):
        assert getattr(found, name) == pytest.approx(getattr(made, name), rel=1e-9)
    scale = np.abs(found.probe).max() / np.abs(made.probe).max()
    np.testing.assert_allclose(found.probe_modes, scale * made.probe_modes, atol=1e-5 * scale)
    np.testing.assert_allclose(found.object_guess, made.object_guess, rtol=1e-5)
    write(found, tmp_path / f"again{suffix}", "ptychodus")  # the scale is found once, and stays
    again = MeasuredFile(**ptychodus_settings(tmp_path / f"again{suffix}")).read()
    np.testing.assert_allclose(again.probe_modes, found.probe_modes, rtol=1e-5, atol=1e-8)


def test_masks_of_single_patterns(tmp_path):
    """A layout without them gets the pixels that are good in every pattern, and it is said."""
    valid = np.ones((small.N, small.M, small.M), dtype=bool)
    valid[3, 0, 1] = valid[5, 1, 2] = False
    made = measurement(valid_pixels=valid)
    for name, left_out in {"cxi": ("masks",), "ptyd": ("probe", "object"), "ptychodus": ("masks",)}.items():
        assert write(made, tmp_path / f"{name}.h5", name).left_out == left_out
        found = MeasuredFile(**ptychodus_settings(tmp_path / "ptychodus.h5")) if name == "ptychodus" else (
            MeasuredFile(str(tmp_path / f"{name}.h5")))  # fmt: skip
        np.testing.assert_array_equal(found.read().good_always, made.good_always)
    with h5py.File(tmp_path / "ptyd.h5") as file:
        weights = small.corner(file["chunks/0/weights"][()])
    np.testing.assert_array_equal(weights, valid & made.detector_mask)


@pytest.mark.parametrize("name", ["cxi", "ptyd", "ptychodus"])
def test_siemens_star_and_back(tmp_path, measured_data, name):
    """The measured one through each writer: its patterns, its probe, its positions between pixels."""
    lengths = {"energy_kev": 8.8, "distance_m": 2.0, "detector_pixel_m": 75e-6, "positions_unit": "px"}
    star = MeasuredFile(str(measured_data / "siemens-star-small.npz.bz2"), every=4, **lengths).read()
    file = tmp_path / "star.h5"
    write(star, file, name)
    settings = ptychodus_settings(file) if name == "ptychodus" else {"path": str(file)}
    again = MeasuredFile(**settings).read()
    np.testing.assert_array_equal(again.diffraction_intensity, star.diffraction_intensity)
    np.testing.assert_allclose(again.scan_positions_px, star.scan_positions_px, atol=1e-6)
    assert MeasuredFile(**settings).size().n_positions == 129  # a run takes it
    if name != "ptyd":
        scale = np.abs(again.probe).max() / np.abs(star.probe).max()
        np.testing.assert_allclose(again.probe, scale * star.probe, atol=1e-6 * scale)
