"""4D-STEM: the files of microscopes and their programs, each with step and unit of its axes."""

from __future__ import annotations

import gzip
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import pytest
import tifffile
from ptychosuite.errors import DataFileError
from ptychosuite.execute.one_run import execute
from ptychosuite.problems.measured import MeasuredFile, Measurement
from ptychosuite.problems.measured.assembly import described
from ptychosuite.problems.measured.formats.emd import EMD
from ptychosuite.problems.measured.formats.hyperspy import HyperSpy
from ptychosuite.problems.measured.formats.microscopes import MicroscopeFile
from ptychosuite.testing import check_format

from tests.problems.measured import small
from tests.problems.measured.test_bad_files import refusal
from tests.study.small import REPOSITORY, plan_of

SLOW, FAST, M = 3, 4, small.M
STEP_A, PIXEL_PER_A = 30.0, 0.004  # 30 angstrom are 30 * 32 * 0.004 = 3.84 pixels
STEP_PX = STEP_A * M * PIXEL_PER_A
GRID = np.array([[row, column] for row in range(SLOW) for column in range(FAST)], dtype=float)
VOLTAGE_KV, WAVELENGTH_M = 300.0, 1.96874861e-12  # the usual table of wavelengths


def scan() -> np.ndarray:
    return small.patterns().reshape(SLOW, FAST, M, M)


def expected() -> Measurement:
    return Measurement(small.corner(small.patterns()), GRID * STEP_PX, pixel_m=1e-10 / (M * PIXEL_PER_A))


def py4dstem(path: Path, data: np.ndarray | None = None, **calibration: Any) -> str:
    """An EMD file as emdfile 1.0 writes a DataCube; a change to None leaves an entry out."""
    said = {
        "R_pixel_size": STEP_A,
        "R_pixel_units": "A",
        "Q_pixel_size": PIXEL_PER_A,
        "Q_pixel_units": "A^-1",
        "QR_flip": False,
    } | calibration
    with h5py.File(path, "w") as file:
        file.attrs["emd_group_type"] = "file"
        cube = file.create_group("root/datacube")
        cube.attrs["emd_group_type"] = "array"
        cube["data"] = scan() if data is None else data
        for i, (size, unit) in enumerate(((1.0, "pixels"),) * 4):
            cube[f"dim{i}"] = [0, size]
            cube[f"dim{i}"].attrs["units"] = unit
        for key, value in said.items():
            if value is not None:
                file[f"root/metadatabundle/calibration/{key}"] = value
    return str(path)


def old_py4dstem(path: Path) -> str:
    """As py4DSTEM 0.9 to 0.12 wrote them: whole vectors, the calibration in attributes."""
    with h5py.File(path, "w") as file:
        cube = file.create_group("4DSTEM_experiment/data/datacubes/datacube_0")
        cube.attrs["emd_group_type"] = 1
        cube["data"] = scan()
        for i, n in enumerate(scan().shape, 1):
            cube[f"dim{i}"] = np.arange(n)
            cube[f"dim{i}"].attrs["units"] = "[pix]"
        said = file.create_group("4DSTEM_experiment/metadata/metadata_0/calibration").attrs
        said.update(
            R_pixel_size=STEP_A / 10, R_pixel_units="nm", Q_pixel_size=PIXEL_PER_A, Q_pixel_units="A^-1"
        )
    return str(path)


def berkeley(path: Path, reverse: bool = False, **changes: Any) -> str:
    """EMD as Berkeley Lab defined it: a vector with a unit for each axis, and no more."""
    steps = [(STEP_A / 10, "[n_m]")] * 2 + [(PIXEL_PER_A * 10, "[n_m^-1]")] * 2
    data = scan()
    if reverse:
        steps, data = steps[2:] + steps[:2], np.transpose(data, (2, 3, 0, 1))
    with h5py.File(path, "w") as file:
        group = file.create_group("data/scan")
        group.attrs["emd_group_type"] = 1
        group["data"] = data
        for i, (step, unit) in enumerate(steps):
            group[f"dim{i + 1}"] = np.arange(data.shape[i]) * step + 7
            group[f"dim{i + 1}"].attrs["units"] = changes.get("units", unit)
    return str(path)


def signal(**changes: Any) -> dict[str, Any]:
    """What RosettaSciIO's writers take."""
    units = (("nm", STEP_A / 10, True),) * 2 + (("1/nm", PIXEL_PER_A * 10, False),) * 2
    axes = [
        {"name": f"axis {i}", "size": size, "scale": units[i][1], "offset": -1.0, "units": units[i][0],
         "navigate": units[i][2], "index_in_array": i, "_type": "UniformDataAxis", "is_binned": False}
        for i, size in enumerate(scan().shape)
    ]  # fmt: skip
    metadata = {
        "General": {"title": "scan"},
        "Signal": {"signal_type": "electron_diffraction"},
        "Acquisition_instrument": {"TEM": {"beam_energy": VOLTAGE_KV}},
    }
    attributes = {"_lazy": False, "ragged": False}
    empty: dict[str, Any] = {
        "original_metadata": {},
        "learning_results": {},
        "models": {},
        "tmp_parameters": {},
    }
    package = {"package": "hyperspy", "package_version": "2"}
    return {"data": scan(), "axes": axes, "metadata": metadata, "attributes": attributes,
            "package_info": package} | empty | changes  # fmt: skip


def hspy(path: Path, **changes: Any) -> str:
    pytest.importorskip("rsciio.hspy").file_writer(str(path), signal(**changes))
    return str(path)


def blo(path: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the format's own unit of the detector is the centimetre
        data = (scan() // 8).astype(np.uint8)
        pytest.importorskip("rsciio.blockfile").file_writer(str(path), signal(data=data))
    return str(path)


@pytest.mark.parametrize("write", [py4dstem, old_py4dstem, berkeley])
def test_emd(tmp_path: Path, write: Callable[[Path], str]) -> None:
    """The patterns of the raster, slow axis along the rows, its step in pixels of the object."""
    strangers = [getattr(small, kind)(tmp_path / f"{kind}.h5") for kind in ("cxi", "nexus", "ptyd", "arrays")]
    check_format(EMD(), write(tmp_path / "a.emd"), expected(), [*strangers, hspy(tmp_path / "b.hspy")])
    measurement = MeasuredFile(str(tmp_path / "a.emd")).read()
    assert measurement.source["format"] == "emd"
    assert measurement.pixel_m == pytest.approx(1e-10 / (M * PIXEL_PER_A))


def test_emd_with_the_patterns_axes_first(tmp_path: Path) -> None:
    check_format(EMD(), berkeley(tmp_path / "a.emd", reverse=True), expected())


def test_hyperspy(tmp_path: Path) -> None:
    check_format(HyperSpy(), hspy(tmp_path / "a.hspy"), expected(), [py4dstem(tmp_path / "b.h5")])
    measurement = MeasuredFile(str(tmp_path / "a.hspy")).read()
    assert measurement.source["format"] == "hyperspy"
    assert measurement.wavelength_m == pytest.approx(WAVELENGTH_M, rel=1e-6)
    with h5py.File(hspy(tmp_path / "two.hspy"), "a") as file:
        file.copy("Experiments/scan", "Experiments/second")
        file["Experiments/second/data"][...] = 1
    assert "Experiments/scan/data, Experiments/second/data" in refusal(str(tmp_path / "two.hspy"))
    again = MeasuredFile(str(tmp_path / "two.hspy"), entry="scan").read()
    np.testing.assert_array_equal(again.diffraction_intensity, expected().diffraction_intensity)


def test_as_py4dstem_writes_it(measured_data: Path) -> None:
    """Positions exactly, and the patterns of the same scan in another program's file."""
    folder = measured_data / "files/written"
    if not folder.is_dir():
        pytest.skip(f"no files of other programs in {folder}")
    truth = np.load(folder / "truth.npz")
    measurement = MeasuredFile(str(folder / "py4dstem.h5")).read()
    np.testing.assert_allclose(measurement.scan_positions_px, truth["positions_px"], atol=1e-9)
    assert measurement.pixel_m == pytest.approx(float(truth["pixel_m"]))
    other = MeasuredFile(str(folder / "cdtools.cxi")).read()
    np.testing.assert_array_equal(measurement.diffraction_intensity, other.diffraction_intensity)


@pytest.mark.parametrize("flip", [False, True])
def test_turn_between_scan_and_detector(tmp_path: Path, flip: bool) -> None:
    """As py4DSTEM turns its positions for ptychography, _calculate_scan_positions_in_pixels."""
    angle = 0.4
    x, y = GRID.T
    x, y = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    turned = np.stack([y, x] if flip else [x, y], axis=1) * STEP_PX
    path = py4dstem(tmp_path / "a.h5", QR_rotation=angle, QR_flip=flip)
    read = MeasuredFile(path).read().scan_positions_px
    np.testing.assert_allclose(read, turned - turned.min(axis=0), atol=1e-9)
    own = MeasuredFile(path, scan_step=1.0, positions_unit="px").read()
    np.testing.assert_array_equal(own.scan_positions_px, GRID)
    assert own.source["turn of the scan"].startswith("QR_rotation and QR_flip" if flip else "QR_rotation,")


def test_centre_of_py4dstem(tmp_path: Path) -> None:
    """The window is around the centre that the calibration has."""
    path = py4dstem(tmp_path / "a.h5", qx0_mean=15.1, qy0_mean=17.8)
    read = MeasuredFile(path).read().diffraction_intensity
    half = read.shape[1] // 2
    window = small.patterns()[:, 15 - half : 15 + half, 18 - half : 18 + half]
    np.testing.assert_array_equal(read, small.corner(window))
    assert half == 14


def test_angles_take_a_voltage(tmp_path: Path) -> None:
    """Scattering angles are spatial frequencies over the wavelength; a study may give either."""
    mrad = PIXEL_PER_A * 1e10 * WAVELENGTH_M * 1e3
    path = py4dstem(tmp_path / "a.h5", Q_pixel_size=mrad, Q_pixel_units="mrad")
    message = refusal(path)
    assert "give 'accelerating_voltage_kv', or 'positions_unit: px'" in message
    for settings in ({"accelerating_voltage_kv": VOLTAGE_KV}, {"wavelength_m": WAVELENGTH_M},
                     {"detector_pixel_per_angstrom": PIXEL_PER_A}):  # fmt: skip
        read = MeasuredFile(path, **settings).read()
        np.testing.assert_allclose(read.scan_positions_px, GRID * STEP_PX, rtol=1e-6)
    assert "give 'accelerating_voltage_kv'" in refusal(path, energy_kev=300.0)
    both = refusal(path, detector_pixel_mrad=1.0, detector_pixel_per_angstrom=1.0)
    assert "'detector_pixel_mrad' and 'detector_pixel_per_angstrom' are given" in both


def test_what_the_calibration_lacks(tmp_path: Path) -> None:
    """A step without a unit is no step; the message names the settings to give."""
    path = py4dstem(tmp_path / "a.h5", R_pixel_size=1.0, R_pixel_units="pixels")
    message = refusal(path)
    assert "'scan_shape'" in message
    assert "'scan_step'" in message
    read = MeasuredFile(path, scan_step=STEP_A, positions_unit="angstrom").read()
    np.testing.assert_allclose(read.scan_positions_px, GRID * STEP_PX)
    path = py4dstem(tmp_path / "b.h5", Q_pixel_size=None, Q_pixel_units=None)
    assert "'detector_pixel_per_angstrom', or 'detector_pixel_mrad' and 'accel" in refusal(path)
    read = MeasuredFile(path, detector_pixel_per_angstrom=PIXEL_PER_A).read()
    np.testing.assert_allclose(read.scan_positions_px, GRID * STEP_PX)
    for unit in ("steps", "1", "counts", ""):
        message = refusal(berkeley(tmp_path / "c.emd", units=unit))
        assert "'scan_step'" in message


def test_which_scan(tmp_path: Path) -> None:
    path = py4dstem(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.copy("root/datacube", "root/other")
        file["root/other/data"][...] = 1
        file["root/mask"] = np.ones((M, M))
        file["root/mask"][3, 4] = 0
    assert "has several scans: root/datacube/data, root/other/data; name one with 'data'" in refusal(path)
    assert "no scan of four axes in a group with 'emd_group_type' below 'x'" in refusal(path, entry="x")
    for settings in ({"entry": "datacube"}, {"data": "root/datacube/data"}):
        read = MeasuredFile(path, mask="root/mask", **settings).read()
        assert read.detector_mask is not None
        assert np.argwhere(~np.fft.fftshift(read.detector_mask)).tolist() == [[3, 4]]
        np.testing.assert_array_equal(
            read.diffraction_intensity, expected().diffraction_intensity * read.detector_mask
        )
    assert "has shape (32, 32); expected patterns" in refusal(path, data="root/mask", scan_step=1.0)


def test_blockfile(tmp_path: Path) -> None:
    """A file that RosettaSciIO reads; its detector's pixel is a length, which takes the camera length."""
    path = blo(tmp_path / "a.blo")
    settings = {"detector_pixel_per_angstrom": PIXEL_PER_A}
    read = MeasuredFile(path, **settings).read()
    counts = small.corner((small.patterns() // 8).astype(np.uint8))
    np.testing.assert_array_equal(read.diffraction_intensity, counts)
    np.testing.assert_allclose(read.scan_positions_px, GRID * STEP_PX)
    assert "give 'accelerating_voltage_kv', 'distance_m'" in refusal(path)
    whole = Path(path).read_bytes()
    for length, says in (
        (10, "cannot be read by RosettaSciIO as blockfile"),
        (9000, "cannot be read at pattern"),
    ):
        (tmp_path / f"{length}.blo").write_bytes(whole[:length])
        assert says in refusal(str(tmp_path / f"{length}.blo"), **settings)


def test_microscopes_promise(tmp_path: Path) -> None:
    strangers = [py4dstem(tmp_path / "b.h5"), hspy(tmp_path / "b.hspy"), small.arrays(tmp_path / "b.blo")]
    with pytest.raises(AssertionError, match=r"a study cannot read it: .*'accelerating_voltage_kv'"):
        check_format(MicroscopeFile(), blo(tmp_path / "a.blo"), None, strangers)


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = blo(tmp_path / "a.blo")
    monkeypatch.setitem(sys.modules, "rsciio.blockfile", None)
    assert "pip install 'ptychosuite[stem]'" in refusal(path)


def test_npy(tmp_path: Path) -> None:
    """A bare array, also packed, with the raster of the study; it is not read whole to be looked at."""
    np.save(tmp_path / "a.npy", scan())
    (tmp_path / "a.npy.gz").write_bytes(gzip.compress((tmp_path / "a.npy").read_bytes()))
    settings = {"scan_step": [2.0, 3.0], "positions_unit": "px"}
    for name in ("a.npy", "a.npy.gz"):
        read = MeasuredFile(str(tmp_path / name), **settings).read()
        np.testing.assert_array_equal(read.diffraction_intensity, expected().diffraction_intensity)
        np.testing.assert_array_equal(read.scan_positions_px, GRID * [2, 3])
    np.save(tmp_path / "one.npy", small.patterns()[0])
    assert "give the path of all with '*'" in refusal(str(tmp_path / "one.npy"), **settings)
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert "holds object, not real numbers" in refusal(str(tmp_path / "pickle.npy"), **settings)


def test_empad(tmp_path: Path) -> None:
    """Frames without a header: two rows of each are no counts, the shape is in the name."""
    counts = small.patterns(SLOW * FAST, 128, 128).astype("<f4")
    frames = np.concatenate([counts, np.full((SLOW * FAST, 2, 128), -1e9, "<f4")], axis=1)
    settings = {"scan_step": 3.0, "positions_unit": "px"}
    for name, more in ((f"scan_x{FAST}_y{SLOW}.raw", {}), ("first.raw", {"scan_shape": [SLOW, FAST]})):
        frames.tofile(tmp_path / name)
        read = MeasuredFile(str(tmp_path / name), **settings, **more).read()
        np.testing.assert_array_equal(read.diffraction_intensity, small.corner(counts))
        np.testing.assert_array_equal(read.scan_positions_px, GRID * 3)
        assert read.source["format"] == "empad"
    frames.ravel()[:-1].tofile(tmp_path / "cut.raw")
    assert "is not a file of measured data" in refusal(str(tmp_path / "cut.raw"), **settings)
    assert "no whole number of frames" in refusal(str(tmp_path / "cut.raw"), format="empad", **settings)


def test_pages_of_a_tiff(tmp_path: Path) -> None:
    settings = {"scan_shape": [SLOW, FAST], "scan_step": 3.0, "positions_unit": "px"}
    for number, (counts, options) in enumerate((
        (small.patterns(), {}),
        (small.patterns(), {"compression": "zlib", "photometric": "minisblack"}),
        (scan(), {"imagej": True, "metadata": {"axes": "TZYX"}}),
    )):  # fmt: skip
        path = tmp_path / f"{number}.tif"
        tifffile.imwrite(path, counts, **options)
        read = MeasuredFile(str(path), **settings).read()
        np.testing.assert_array_equal(read.diffraction_intensity, expected().diffraction_intensity)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8, 3), np.uint8), photometric="rgb")
    tifffile.imwrite(tmp_path / "cut.tif", small.patterns())
    whole = (tmp_path / "cut.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 2])
    assert "not copied whole" in refusal(str(tmp_path / "cut.tif"), **settings)
    assert "a picture in colours" in refusal(str(tmp_path / "a.tif"), **settings)


def write_tiff(path: Path, pattern: np.ndarray) -> None:
    tifffile.imwrite(path, pattern)


def write_matlab(path: Path, pattern: np.ndarray) -> None:
    """As MATLAB 7.3 writes it: the axes in reverse order."""
    with h5py.File(path, "w") as file:
        file["dp"] = pattern.T
        file["dp"].attrs["MATLAB_class"] = np.bytes_("uint16")


@pytest.mark.parametrize(("suffix", "write", "key"), [("tif", write_tiff, ""), ("mat", write_matlab, "dp")])
def test_one_pattern_a_file(
    tmp_path: Path, suffix: str, write: Callable[[Path, np.ndarray], None], key: str
) -> None:
    """In the order of the numbers in their names, with positions from elsewhere; none stays open."""
    for i, pattern in enumerate(small.patterns(), 1):  # dp_2 before dp_10
        write(tmp_path / f"dp_{i}.{suffix}", pattern)
    np.savez(tmp_path / "positions.npz", positions=small.positions())
    all_of_them, positions = str(tmp_path / f"dp_*.{suffix}"), str(tmp_path / "positions.npz")
    for settings in (
        {"path": positions, "data": {"path": all_of_them, "key": key}},
        {"path": all_of_them, "data": key, "positions": {"path": positions, "key": "positions"}},
    ):
        asked = MeasuredFile(**settings, positions_unit="px")
        read = asked.read()
        np.testing.assert_array_equal(read.diffraction_intensity, expected().diffraction_intensity)
        np.testing.assert_allclose(read.scan_positions_px, small.positions())
        with described(asked):
            open_now = [file.path for file in psutil.Process().open_files()]
        assert not [path for path in open_now if "dp_" in path]
    write(tmp_path / f"dp_7.{suffix}", small.patterns()[0, :-1])
    message = refusal(all_of_them, data=key, scan_step=1.0, scan_shape=[SLOW, FAST])
    assert "patterns of several sizes: [(31, 32), (32, 32)]" in message


def test_several_scans(tmp_path: Path) -> None:
    """Patterns and positions of all files, one after the other."""
    for i, part in enumerate((slice(0, 5), slice(5, small.N))):
        small.arrays(tmp_path / f"scan{i}.h5", data=small.corner(small.patterns()[part]),
                     scan=small.positions()[part])  # fmt: skip
    read = MeasuredFile(str(tmp_path / "scan*.h5")).read()
    np.testing.assert_array_equal(read.diffraction_intensity, expected().diffraction_intensity)
    np.testing.assert_allclose(read.scan_positions_px, small.positions())
    assert "no such file" in refusal(str(tmp_path / "nothing*.h5"))


def test_real_patterns_of_4dstem(measured_data: Path) -> None:
    """As MATLAB wrote them, a file each: counts of a bright disk of 1.03 mrad, in its middle."""
    folder = measured_data / "files/real"
    if not folder.is_dir():
        pytest.skip(f"no measured files in {folder}")
    read = MeasuredFile(
        str(folder / "ptychojl-dp_*.mat"),
        data="dp",
        scan_shape=[1, 2],
        scan_step=3.125,
        positions_unit="nm",
        accelerating_voltage_kv=VOLTAGE_KV,
        detector_pixel_mrad=0.016538,
    ).read()
    assert read.diffraction_intensity.shape == (2, 256, 256)
    assert read.pixel_m == pytest.approx(4.65e-10, rel=1e-3)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256) * 256, np.fft.fftfreq(256) * 256))
    inside = frequency * 0.016538 < 1.15
    assert read.diffraction_intensity[:, inside].sum() > 0.85 * read.diffraction_intensity.sum()


def test_how_a_measured_scan_lies_on_the_detector(
    measured_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pixels held out are explained best with the turn that the shadows on the bright disk show."""
    if not (measured_data / "files/real").is_dir():
        pytest.skip("no measured files")
    monkeypatch.setenv("PTYCHOSUITE_DATA", str(measured_data))
    misfit = {}
    for spec in plan_of(REPOSITORY / "studies/measured/4dstem.yaml").runs:
        if spec.seed == 0 and spec.problem["columns"] == "row-column":
            record, _ = execute(spec)
            misfit[spec.problem["rotation_deg"]] = record.metrics["held_out_deviance"]
    assert len(misfit) == 4
    best = misfit.pop(-121.0)
    assert best < min(misfit.values()) - 0.05


def test_damaged_files(tmp_path: Path) -> None:
    """Each calibration of nonsense is left out or refused in one sentence."""
    for change in ({"R_pixel_size": "far"}, {"R_pixel_size": np.nan}, {"R_pixel_size": 0.0},
                   {"R_pixel_units": json.dumps([1])}, {"R_pixel_size": np.zeros((2, 2))}):  # fmt: skip
        assert "'scan_step'" in refusal(py4dstem(tmp_path / "a.h5", **change))
    with h5py.File(py4dstem(tmp_path / "c.h5"), "a") as file:
        del file["root/datacube/data"]
        shape = (10**7, 10**7, M, M)
        file.create_dataset("root/datacube/data", shape, np.uint16, chunks=(1, 1, M, M))[0, 0] = 1
    assert "declares 10000000 x 10000000 patterns" in refusal(str(tmp_path / "c.h5"))
    assert "holds complex" in refusal(py4dstem(tmp_path / "b.h5", data=scan().astype(complex)))
    with pytest.raises(DataFileError, match="no such file"):
        MeasuredFile(str(tmp_path / "none.emd")).read()
