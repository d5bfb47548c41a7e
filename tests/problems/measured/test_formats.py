"""Every format gives the same patterns at the same positions."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from ptychosuite.problems.measured import MeasuredFile, Measurement, describe, write_cxi
from ptychosuite.problems.measured.format import format_of
from ptychosuite.problems.measured.source import Source
from ptychosuite.problems.problem_kind import Size
from ptychosuite.registry.lookup import class_of
from ptychosuite.testing import check_format

from tests.problems.measured import small

KINDS = ("cxi", "nexus", "ptyd", "arrays")  # those of beamlines are in test_beamlines.py


def assert_small(measurement: Measurement, metres: bool = True) -> None:
    good = True if measurement.detector_mask is None else measurement.detector_mask
    expected = np.where(good, small.corner(small.patterns()), 0)
    np.testing.assert_array_equal(measurement.diffraction_intensity, expected)
    np.testing.assert_allclose(measurement.scan_positions_px, small.positions(), atol=1e-9)
    assert measurement.diffraction_intensity.dtype == np.uint16
    assert measurement.scan_positions_px.min() == 0
    if metres:
        assert measurement.pixel_m == pytest.approx(small.PIXEL_M)
        assert measurement.wavelength_m == pytest.approx(small.WAVELENGTH_M)
        assert measurement.distance_m == pytest.approx(small.DISTANCE_M)
        assert measurement.detector_pixel_m == pytest.approx(small.DETECTOR_PIXEL_M)


@pytest.mark.parametrize(("kind", "suffix"), [("cxi", "cxi"), ("nexus", "nxs"), ("ptyd", "ptyd")])
def test_a_format_gives_patterns_positions_and_geometry(tmp_path: Path, kind: str, suffix: str) -> None:
    path = getattr(small, kind)(tmp_path / f"a.{suffix}")
    measurement = MeasuredFile(path).read()
    assert_small(measurement)
    assert measurement.source["format"] == kind
    assert MeasuredFile(path).size() == Size(measurement.object_shape, small.M, small.N)


@pytest.mark.parametrize("kind", KINDS)
def test_what_every_format_promises(tmp_path: Path, kind: str) -> None:
    """A NeXus file is a CXI file too, and every file of ours holds arrays: those are no strangers."""
    files = {name: getattr(small, name)(tmp_path / f"{name}.h5") for name in KINDS}
    foreign = {"cxi": ["ptyd", "arrays"], "arrays": []}.get(kind, files.keys() - {kind})
    patterns = small.patterns()
    if kind == "ptyd":
        patterns[:, 3, 5] = 0  # its masked pixel
    expected = Measurement(small.corner(patterns), small.positions())
    check_format(class_of("formats", kind)(), files[kind], expected, [files[name] for name in foreign])


def test_wavelength_stands_before_energy_in_cxi(tmp_path: Path) -> None:
    path = small.cxi(tmp_path / "a.cxi", **{"entry_1/instrument_1/source_1/wavelength": small.WAVELENGTH_M})
    with h5py.File(path, "a") as file:
        file["entry_1/instrument_1/source_1/energy"][()] = 3e9
    assert_small(MeasuredFile(path).read())


def test_cxi_without_basis_vectors_or_distance(tmp_path: Path) -> None:
    corner = np.array([1e-3, 2e-3, small.DISTANCE_M])
    path = small.cxi(tmp_path / "a.cxi", basis_vectors=None, distance=None, x_pixel_size=None,
                     **{"entry_1/instrument_1/detector_1/corner_position": corner})  # fmt: skip
    assert_small(MeasuredFile(path).read())


def test_cxi_follows_its_basis_vectors(tmp_path: Path) -> None:
    # Rows to +x, columns to +y: a translation of the sample moves the beam the other way.
    basis = np.array([[1, 0, 0], [0, 1, 0]]) * small.DETECTOR_PIXEL_M
    measurement = MeasuredFile(small.cxi(tmp_path / "a.cxi", basis_vectors=basis)).read()
    expected = -small.positions()[:, ::-1]
    np.testing.assert_allclose(measurement.scan_positions_px, expected - expected.min(axis=0), atol=1e-9)


def test_cxi_mask_keeps_pixels_with_signal_only(tmp_path: Path) -> None:
    mask = np.zeros((small.M, small.M), np.uint32)
    mask[2, 3], mask[4, 5], mask[6, 7] = 1, 0x1000, 0x1001
    path = small.cxi(tmp_path / "a.cxi", **{"entry_1/instrument_1/detector_1/mask": mask})
    measurement = MeasuredFile(path).read()
    good = np.fft.fftshift(measurement.detector_mask)
    assert np.argwhere(~good).tolist() == [[2, 3], [6, 7]]
    assert not measurement.diffraction_intensity[:, ~measurement.detector_mask].any()


def test_nexus_entry_of_another_name_and_raster_axes(tmp_path: Path) -> None:
    path = small.nexus(tmp_path / "a.nxs", raster=True)
    with h5py.File(path, "a") as file:
        file.move("entry_1", "entry")
        file.move("entry/instrument_1", "entry/instrument")
        file.move("entry/instrument/detector_1", "entry/instrument/eiger")
    measurement = MeasuredFile(path).read()
    rows, columns = np.meshgrid(np.arange(3) * 7.0, np.arange(4) * 5.0, indexing="ij")
    expected = np.stack([rows.ravel(), columns.ravel()], axis=1)
    np.testing.assert_allclose(measurement.scan_positions_px, expected, atol=1e-9)
    np.testing.assert_array_equal(measurement.diffraction_intensity, small.corner(small.patterns()))
    assert measurement.source["positions"] == "/entry/data/y, /entry/data/x"
    every = MeasuredFile(path, every=5).read()
    np.testing.assert_array_equal(every.diffraction_intensity, small.corner(small.patterns()[::5]))


def test_nexus_energy_is_the_beams_and_beam_centre_counts(tmp_path: Path) -> None:
    detector = "entry_1/instrument_1/detector_1"
    path = small.nexus(
        tmp_path / "a.nxs",
        **{
            f"{detector}/beam_center_x": 18.0,
            f"{detector}/beam_center_y": 15.0,
            f"{detector}/pixel_mask": None,
        },
    )
    measurement = MeasuredFile(path, crop=20).read()
    assert measurement.wavelength_m == pytest.approx(small.WAVELENGTH_M)
    expected = small.patterns()[:, 5:25, 8:28]
    np.testing.assert_array_equal(measurement.diffraction_intensity, small.corner(expected))
    assert MeasuredFile(path).read().probe_size == 28  # as many as lie around the beam
    assert MeasuredFile(path, zero_frequency="centre").read().probe_size == small.M


def test_ptyd_takes_weights_and_positions_of_older_files(tmp_path: Path) -> None:
    measurement = MeasuredFile(small.ptyd(tmp_path / "a.ptyd")).read()
    assert np.argwhere(~np.fft.fftshift(measurement.detector_mask)).tolist() == [[3, 5]]
    none = {f"chunks/{n}/{key}": None for n in (0, 1) for key in ("positions", "weights")}
    older = small.ptyd(
        tmp_path / "b.ptyd", **none, **{"info/positions_scan": small.positions() * small.PIXEL_M}
    )
    assert_small(MeasuredFile(older).read())


def test_ptyd_chunks_in_linked_files(tmp_path: Path) -> None:
    path = small.ptyd(tmp_path / "a.ptyd")
    with h5py.File(path, "a") as file, h5py.File(tmp_path / "a.ptyd.part001", "w") as part:
        for key, item in file["chunks/1"].items():
            part[key] = item[()]
        del file["chunks/1"]
        file["chunks/1"] = h5py.ExternalLink("a.ptyd.part001", "/")
    np.testing.assert_allclose(MeasuredFile(path).read().scan_positions_px, small.positions(), atol=1e-9)


def _npz(path: Path) -> None:
    np.savez_compressed(path, data=small.corner(small.patterns())[None], scan=small.positions()[None],
                        probe=small.probe()[None, None, None, None])  # fmt: skip


def _mat(path: Path) -> None:
    scipy.io.savemat(path, {"dp": small.patterns().transpose(1, 2, 0), "positions": small.positions().T,
                            "probe": small.probe()})  # fmt: skip


def _mat73(path: Path) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file["dp"] = small.patterns().transpose(1, 2, 0).T
        file["positions"] = small.positions().T
        wave = np.zeros((small.M, small.M), [("real", "f8"), ("imag", "f8")])
        wave["real"], wave["imag"] = small.probe().T.real, small.probe().T.imag
        file["probe"] = wave
        for item in file.values():
            item.attrs["MATLAB_class"] = np.bytes_("double")


def _packed(write: Callable[[Path], None], pack: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def packed(path: Path) -> None:
        inner = path.with_suffix("")
        write(inner)
        path.write_bytes(pack(inner.read_bytes()))

    return packed


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.npz", _npz),
        ("a.mat", _mat),
        ("b.mat", _mat73),
        ("a.h5", small.arrays),
        ("a.npz.bz2", _packed(_npz, bz2.compress)),
        ("a.mat.gz", _packed(_mat, gzip.compress)),
        ("a.h5.gz", _packed(small.arrays, gzip.compress)),
    ],
)
def test_plain_arrays_in_every_container(tmp_path: Path, name: str, write: Callable[[Path], object]) -> None:
    write(tmp_path / name)
    measurement = MeasuredFile(str(tmp_path / name)).read()
    assert_small(measurement, metres=False)
    np.testing.assert_allclose(measurement.probe, small.probe())
    assert measurement.source["format"] == "arrays"
    assert measurement.source["positions unit"].startswith("px, guessed")


def test_arrays_of_any_name_in_groups(tmp_path: Path) -> None:
    row, column = small.positions().T * small.PIXEL_M * 1e6
    small.write(tmp_path / "a.h5", {"scan/det/frames": small.patterns(), "scan/y": row, "scan/x": column,
                                    "start/p": np.stack([small.probe(), 0 * small.probe()]),
                                    "scan/bad": np.eye(small.M)})  # fmt: skip
    measurement = MeasuredFile(
        str(tmp_path / "a.h5"), data="/scan/det/frames", positions="scan/y, scan/x", positions_unit="um",
        probe="start/p", mask="scan/bad", mask_good="zero", energy_kev=small.ENERGY_J / 1.602176634e-16,
        distance_m=small.DISTANCE_M, detector_pixel_m=small.DETECTOR_PIXEL_M,
    ).read()  # fmt: skip
    np.testing.assert_allclose(measurement.scan_positions_px, small.positions(), atol=1e-9)
    np.testing.assert_array_equal(np.fft.fftshift(measurement.detector_mask), ~np.eye(small.M, dtype=bool))
    assert measurement.source["wavelength"] == "the settings"


def test_units_of_plain_arrays(tmp_path: Path) -> None:
    geometry = {"wavelength_m": small.WAVELENGTH_M, "distance_m": small.DISTANCE_M,
                "detector_pixel_m": small.DETECTOR_PIXEL_M}  # fmt: skip
    path = small.arrays(tmp_path / "m.h5", scan=small.positions() * small.PIXEL_M)
    assert_small(MeasuredFile(path, **geometry).read())  # far less than a pixel: metres
    path = small.arrays(tmp_path / "nm.h5", scan=small.positions() * small.PIXEL_M * 1e9)
    with h5py.File(path, "a") as file:
        file["scan"].attrs["units"] = "nm"
    assert_small(MeasuredFile(path, **geometry).read())
    assert_small(MeasuredFile(path, positions_unit="nm", **geometry).read())


def test_what_is_written_as_cxi_reads_back_the_same(tmp_path: Path) -> None:
    first = MeasuredFile(small.ptyd(tmp_path / "a.ptyd")).read()
    guess = np.full(first.object_shape, 1 + 0.5j)
    full = Measurement(**{**vars(first), "probe": small.probe(), "object_guess": guess})
    write_cxi(tmp_path / "b.cxi", full)
    again = MeasuredFile(str(tmp_path / "b.cxi")).read()
    assert_small(again)
    np.testing.assert_array_equal(again.diffraction_intensity, first.diffraction_intensity)
    np.testing.assert_allclose(again.scan_positions_px, first.scan_positions_px, atol=1e-9)
    np.testing.assert_array_equal(again.detector_mask, first.detector_mask)
    np.testing.assert_array_equal(again.probe, small.probe())
    np.testing.assert_array_equal(again.object_guess, guess)
    assert again.pixel_m == pytest.approx(first.pixel_m, rel=1e-12)


def test_cdtools_reads_what_we_write_and_we_what_it_writes(tmp_path: Path) -> None:
    datasets = pytest.importorskip("cdtools.datasets")
    tools = pytest.importorskip("cdtools.tools")
    write_cxi(tmp_path / "ours.cxi", MeasuredFile(small.cxi(tmp_path / "a.cxi")).read())
    theirs = datasets.Ptycho2DDataset.from_cxi(str(tmp_path / "ours.cxi"))
    np.testing.assert_array_equal(theirs.patterns.numpy(), small.patterns())
    basis = tools.initializers.exit_wave_geometry(
        theirs.detector_geometry["basis"], theirs.patterns.shape[1:], theirs.wavelength,
        theirs.detector_geometry["distance"],
    )  # fmt: skip
    pixels = tools.interactions.translations_to_pixel(basis, theirs.translations).numpy()
    np.testing.assert_allclose(pixels - pixels.min(axis=0), small.positions(), atol=1e-3)
    theirs.to_cxi(str(tmp_path / "theirs.cxi"))
    again = MeasuredFile(str(tmp_path / "theirs.cxi")).read()
    np.testing.assert_array_equal(again.diffraction_intensity, small.corner(small.patterns()))
    np.testing.assert_allclose(again.scan_positions_px, small.positions(), atol=1e-3)


def test_contents_decide_the_format_not_the_name(tmp_path: Path) -> None:
    for kind in ("cxi", "nexus", "ptyd", "arrays"):
        path = getattr(small, kind)(tmp_path / f"{kind}.h5")
        with Source(path) as source:
            assert format_of(source, "auto")[0] == kind


def test_siemens_star(measured_data: Path) -> None:
    settings = MeasuredFile(str(measured_data / "siemens-star-small.npz.bz2"), positions_unit="px")
    measurement = settings.read()
    assert measurement.diffraction_intensity.shape == (516, 128, 128)
    assert measurement.diffraction_intensity.dtype == np.float32
    assert measurement.diffraction_intensity.sum(axis=(1, 2)).mean() == pytest.approx(4.6e5, rel=0.02)
    assert measurement.source["zero frequency"].startswith("corner")
    assert measurement.source["positions unit"].startswith("px")
    assert measurement.probe.shape == (128, 128)
    assert settings.size() == Size((460, 457), 128, 516) == Size(measurement.object_shape, 128, 516)
    np.testing.assert_array_equal(measurement.scan_positions_px.min(axis=0), 0)
    lines = describe(measurement)
    assert lines["patterns"] == "516 of 128 x 128 pixels, float32"
    assert lines["source of positions"] == "scan"
