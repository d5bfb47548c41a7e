"""Files as beamlines write them: the patterns and the positions that belong to them, whatever the layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured import MeasuredFile, Measurement, reading
from ptychosuite.problems.measured.format import Places, format_of
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.source import Source
from ptychosuite.registry.lookup import class_of
from ptychosuite.testing import check_format

from tests.problems.measured import small
from tests.problems.measured import small_beamlines as beamlines

X, Y = beamlines.X_UM, beamlines.Y_UM
SWAPPED = np.swapaxes(beamlines.raster(), 0, 1)


def raw_of(path: str, **places: Any) -> Raw:
    """What the file's own format says of it."""
    with Source(path) as source:
        return format_of(source, "auto")[1].read(source, Places(path, **places))


def assert_raster(measurement: Measurement, turned: tuple[int, int] = (1, 1)) -> None:
    """Every pattern of the small measurement, in any order, at its place of the raster."""
    expected = beamlines.grid_px() * turned
    expected -= expected.min(axis=0)
    patterns = small.corner(small.patterns())
    found = [[np.array_equal(one, other) for other in patterns] for one in measurement.diffraction_intensity]
    order = np.argmax(found, axis=1)
    assert sorted(order) == list(range(small.N))
    np.testing.assert_allclose(measurement.scan_positions_px, expected[order], atol=1e-9)
    assert measurement.wavelength_m == pytest.approx(small.WAVELENGTH_M)
    assert measurement.distance_m == pytest.approx(small.DISTANCE_M)


def read(path: str, **settings: Any) -> Measurement:
    """The file as it is now, which may have been read before."""
    reading.measurement.cache_clear()
    return MeasuredFile(path, **settings).read()


def refusal(path: str, **settings: Any) -> str:
    with pytest.raises(DataFileError) as caught:
        read(path, **settings)
    assert Path(path).name in str(caught.value)
    return str(caught.value)


# What every format promises ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "settings"),
    [
        ("nanomax", "000012.h5", beamlines.GEOMETRY),
        ("dectris", "scan_master.h5", beamlines.RASTER | {"zero_frequency": "centre"}),
        (
            "gda",
            "i14-7.nxs",
            beamlines.GEOMETRY | {"wavelength_m": small.WAVELENGTH_M},
        ),
        ("nsls2", "scan_7.h5", {}),
        (
            "hxn",
            "scan_8_merlin1.h5",
            beamlines.GEOMETRY | {"wavelength_m": small.WAVELENGTH_M, "intensities": "none"},
        ),
    ],
)
def test_what_every_format_promises(
    tmp_path: Path, kind: str, name: str, settings: Mapping[str, Any]
) -> None:
    path = getattr(beamlines, kind)(tmp_path / name)
    patterns = small.patterns()
    if kind == "dectris":
        patterns[:, [3, 8], [5, 9]] = 0  # its masked pixels
    expected = Measurement(small.corner(patterns), beamlines.grid_px())
    others = ("cxi", "nexus", "ptyd", "arrays")
    foreign = [getattr(small, other)(tmp_path / f"{other}.h5") for other in others]
    check_format(class_of("formats", kind)(), path, expected, foreign, **settings)
    with Source(path) as source:
        assert format_of(source, "auto")[0] == kind


# NeXus: which motor is slow, and which way it moves ---------------------------------------------------------


@pytest.mark.parametrize("slow", ["y", "x"])
@pytest.mark.parametrize("said", ["axes", "indices", "axis", "signal", "shape"])
def test_the_slow_motor_is_the_one_that_the_file_says(tmp_path: Path, slow: str, said: str) -> None:
    data = beamlines.raster() if slow == "y" else SWAPPED
    path = beamlines.raster_nexus(tmp_path / "a.nxs", data)
    where = {name: 0 if name == slow else 1 for name in "yx"}
    attributes = {n: {"axis": str(where[n] + 1)} for n in "yx"} if said == "axis" else {}
    beamlines.motors(path, {"x": X, "y": Y}, attributes=attributes)
    if said == "axes":
        beamlines.axes(path, [slow, "x" if slow == "y" else "y", ".", "."])
    if said == "indices":
        beamlines.axes(path, [], x_indices=where["x"], y_indices=where["y"])
    if said == "signal":
        with h5py.File(path, "a") as file:
            file["entry/plot/data"].attrs["axes"] = "y:x" if slow == "y" else "x:y"
    assert_raster(read(path))


@pytest.mark.parametrize("slow", ["y", "x"])
def test_a_square_raster_takes_a_word_on_its_slow_motor(tmp_path: Path, slow: str) -> None:
    n = 3
    data = small.patterns(n * n).reshape(n, n, small.M, small.M)
    path = beamlines.raster_nexus(tmp_path / "a.nxs", data)
    beamlines.motors(path, {"x": X[:n], "y": Y})
    message = refusal(path)
    assert "'/entry/sample/transformations/x' 3" in message
    assert "a raster of 3 x 3, and nothing says which is slow; give the raster: 'scan_step'" in message
    beamlines.axes(path, [slow, ".", ".", "."])  # the other one is what remains
    found = read(path).scan_positions_px
    fast = 1 if slow == "y" else 0
    np.testing.assert_allclose(found[:n, fast], np.arange(n) * beamlines.STEP_PX[fast], atol=1e-9)
    np.testing.assert_allclose(found[:n, 1 - fast], 0, atol=1e-9)


def test_two_axes_a_motor_and_motors_of_the_flattened_data(tmp_path: Path) -> None:
    y, x = np.meshgrid(Y, X, indexing="ij")
    path = beamlines.motors(beamlines.raster_nexus(tmp_path / "a.nxs"), {"x": x, "y": y})
    assert_raster(read(path))
    path = beamlines.raster_nexus(tmp_path / "b.nxs", SWAPPED)
    beamlines.motors(path, {"x": x.T[..., None], "y": y.T})
    assert_raster(read(path))
    path = beamlines.raster_nexus(tmp_path / "c.nxs")  # patterns in a row, a plot that knows the raster
    with h5py.File(path, "a") as file:
        file["entry/data_1/data"] = small.patterns()
    beamlines.axes(beamlines.motors(path, {"x": X, "y": Y}), ["y", "x", ".", "."])
    assert_raster(read(path))
    path = beamlines.motors(
        beamlines.raster_nexus(tmp_path / "d.nxs", small.patterns()), {"x": x.ravel(), "y": y.ravel()}
    )
    assert_raster(read(path))


@pytest.mark.parametrize(
    ("x", "y", "turned"),
    [
        ((1, 0, 0), (0, 1, 0), (1, 1)),
        ((-1, 0, 0), (0, 1, 0), (1, -1)),
        ((-1, 0, 0), (0, -2, 0), (-1, -1)),
    ],
)
def test_motors_of_any_name_move_along_their_vectors(
    tmp_path: Path, x: tuple[int, ...], y: tuple[int, ...], turned: tuple[int, int]
) -> None:
    attributes = {"hor": beamlines.vector(*x), "ver": beamlines.vector(*y, depends_on="hor"),
                  "focus": beamlines.vector(0, 0, 1)}  # fmt: skip
    path = beamlines.raster_nexus(tmp_path / "a.nxs")
    beamlines.motors(path, {"hor": X, "ver": Y, "focus": np.arange(12.0)}, attributes=attributes)
    measurement = read(path)
    assert_raster(measurement, turned)
    assert measurement.source["positions"].endswith("transformations/ver, /entry/sample/transformations/hor")


def test_a_rotation_below_a_motor_turns_it_and_a_coarse_one_adds_to_it(tmp_path: Path) -> None:
    half = {"vector": np.array([0.0, 1, 0]), "transformation_type": "rotation", "units": "deg"}
    attributes = {
        "x": beamlines.vector(1, 0, 0, depends_on="coarse"),
        "coarse": beamlines.vector(1, 0, 0, depends_on="omega"),
        "y": beamlines.vector(0, 1, 0, depends_on="x"),
        "omega": half,
    }
    path = beamlines.raster_nexus(tmp_path / "a.nxs")
    values = {"x": X / 4, "coarse": X * 3 / 4, "y": Y, "omega": 180.0}
    assert_raster(read(beamlines.motors(path, values, attributes=attributes)), (1, -1))
    with h5py.File(path, "a") as file:
        del file["entry/sample/transformations/omega"]
    beamlines.motors(path, {"omega": [0.0, 90.0]}, attributes=attributes)
    assert "'/entry/sample/transformations/omega', which has 2 angles" in refusal(path)


def test_translations_are_x_y_z(tmp_path: Path) -> None:
    rows, columns = beamlines.grid_px().T * small.PIXEL_M
    path = beamlines.raster_nexus(tmp_path / "a.nxs", small.patterns())
    with h5py.File(path, "a") as file:
        file["entry/sample_1/geometry_1/translation"] = np.stack([columns, rows, 7 + rows], axis=1)
    assert_raster(read(path))


def test_positions_named_by_hand_in_any_unit(tmp_path: Path) -> None:
    path = beamlines.raster_nexus(tmp_path / "a.nxs", SWAPPED, definition="")
    with h5py.File(path, "a") as file:
        beamlines.put(file, "motors/up", Y * 10, units="kilobananas")
        beamlines.put(file, "motors/right", X / 1e3, units="millimetre")
    named = {"format": "nexus", "positions": "motors/up, /motors/right"}
    assert "'/motors/up' has the unit 'kilobananas'" in refusal(path, **named)
    with h5py.File(path, "a") as file:
        file["motors/up"].attrs["units"], file["motors/up"][...] = "µm", Y
    assert_raster(read(path, **named))
    with h5py.File(path, "a") as file:
        file["motors/up"].attrs["units"] = file["motors/right"].attrs["units"] = "turns of the screw"
        file["motors/up"][...] = Y / 1e3
    assert "has the unit 'turns of the screw'" in refusal(path, **named)
    assert_raster(read(path, positions_unit="mm", **named))
    assert "names 3 arrays; expected two, rows first" in refusal(path, format="nexus", positions="a, b, c")
    assert "no array 'motors/rihgt'" in refusal(path, format="nexus", positions="motors/up, motors/rihgt")


def test_positions_and_patterns_in_two_files(tmp_path: Path) -> None:
    path = beamlines.gda(tmp_path / "scan.nxs", slow="x")
    np.save(tmp_path / "frames.npy", small.patterns())
    small.write(tmp_path / "frames.h5", {"data": SWAPPED})
    measurement = read(
        str(tmp_path / "frames.h5"), format="arrays", positions={"path": path, "key": ""},
        wavelength_m=small.WAVELENGTH_M, **beamlines.GEOMETRY,
    )  # fmt: skip
    assert_raster(measurement)


@pytest.mark.parametrize(
    ("values", "attributes", "says"),
    [
        ({"x": X[:-1], "y": np.arange(5)}, {}, "x' 3; expected one of each for every pattern, or the axes"),
        ({"x": X}, {}, "has no positions at '/entry/sample_1/geometry_1/translation'"),
        ({"x": X, "y": Y}, {"x": {"units": "furlongs per"}}, "x' has the unit 'furlongs per'; expected one"),
        ({"x": X, "y": Y}, {"x": {"vector": np.zeros(3)}}, "the 'vector' of '/entry/sample/transformation"),
        ({"x": X, "y": Y, "sample_x": X}, {}, "move the same way; name the two that count with 'positions'"),
    ],
)  # fmt: skip
def test_motors_that_make_no_scan(
    tmp_path: Path, values: dict[str, Any], attributes: dict[str, Any], says: str
) -> None:
    path = beamlines.raster_nexus(tmp_path / "a.nxs")
    assert says in refusal(beamlines.motors(path, values, attributes=attributes))


# NeXus and CXI: entries, radiation, and what else a file may hold -------------------------------------------


def test_the_setting_says_which_entry(tmp_path: Path) -> None:
    path = beamlines.motors(beamlines.raster_nexus(tmp_path / "a.nxs"), {"x": X, "y": Y})
    beamlines.raster_nexus(tmp_path / "a.nxs", SWAPPED, entry="later")
    beamlines.axes(beamlines.motors(path, {"x": X * 2, "y": Y}, entry="later"), ["x", "y"], entry="later")
    first, second = read(path), read(path, entry="/later")
    assert_raster(first)
    assert (first.source["other entries"], second.source["other entries"]) == ("later", "entry")
    assert np.ptp(second.scan_positions_px[:, 1]) == pytest.approx(2 * np.ptp(first.scan_positions_px[:, 1]))
    assert "has no entry 'latr'; did you mean 'later'?" in refusal(path, entry="latr")


def test_cxi_has_entries_too(tmp_path: Path) -> None:
    path = small.cxi(tmp_path / "a.cxi")
    with h5py.File(path, "a") as file:
        file.copy("entry_1", "entry_2")
        file["entry_2/instrument_1/detector_1/data"][...] += 1
    first, second = read(path), read(path, entry="entry_2")
    assert first.source["other entries"] == "entry_2"
    np.testing.assert_array_equal(second.diffraction_intensity, first.diffraction_intensity + 1)
    np.testing.assert_array_equal(second.scan_positions_px, first.scan_positions_px)
    assert second.source["positions"].startswith("/entry_2/")


def _word(path: str, place: str, word: str) -> str:
    with h5py.File(path, "a") as file:
        file[place] = word
        file[place].parent.attrs["NX_class"] = "NXsource"
    return path


def test_the_probe_of_a_source_is_a_word(tmp_path: Path) -> None:
    """8 keV: 1.55 angstrom of photons, and the relativistic 0.1366 angstrom of electrons."""
    keV = 1.602176634e-16
    nexus = small.nexus(tmp_path / "a.nxs", incident_beam_energy=8.0)
    cxi = small.cxi(tmp_path / "a.cxi", energy=8 * keV)
    for path in (nexus, cxi):
        _word(path, "entry_1/instrument_1/source_1/probe", "x-ray")
        raw = raw_of(path)
        assert (raw.radiation, raw.probe) == ("photons", None)
        assert raw.wavelength_m == pytest.approx(1.5498e-10, rel=1e-4)
        with h5py.File(path, "a") as file:
            del file["entry_1/instrument_1/source_1/probe"]
        raw = raw_of(_word(path, "entry_1/instrument_1/source_1/probe", "electron"))
        assert (raw.radiation, raw.probe) == ("electrons", None)
        assert raw.wavelength_m == pytest.approx(1.3658e-11, rel=1e-4)


def test_the_energy_may_be_the_monochromators_and_needs_a_unit(tmp_path: Path) -> None:
    path = beamlines.motors(beamlines.raster_nexus(tmp_path / "a.nxs"), {"x": X, "y": Y})
    with h5py.File(path, "a") as file:
        del file["entry/instrument/beam/incident_beam_energy"]
        crystal = beamlines.group(file["entry/instrument"], "dcm", "NXmonochromator")
        beamlines.put(crystal, "energy", beamlines.KEV * 1e3, units="eV")
    assert_raster(read(path))
    with h5py.File(path, "a") as file:
        del file["entry/instrument/dcm/energy"].attrs["units"]
    assert "give 'wavelength_m' or 'energy_kev'" in refusal(path)  # 8266 of what?
    assert_raster(read(path, energy_kev=beamlines.KEV))
    with h5py.File(path, "a") as file:
        beamlines.put(file, "entry/instrument/beam/incident_wavelength", small.WAVELENGTH_M * 1e9, units="nm")
    assert_raster(read(path))


def test_dark_flat_mask_and_monitor(tmp_path: Path) -> None:
    path = beamlines.motors(beamlines.raster_nexus(tmp_path / "a.nxs"), {"x": X, "y": Y})
    size = (small.M, small.M)
    light, mask = np.linspace(1, 2, small.N), np.zeros((12, *size), np.uint32)
    mask[0, 3, 5], mask[7, 8, 9], mask[2, 1, 1] = 1, 1 << 8, 1 << 31
    with h5py.File(path, "a") as file:
        detector = file["entry/instrument/eiger"]
        detector["darkfield"] = np.stack([np.full(size, 2.0), np.full(size, 4.0)])
        detector["flatfield"] = np.full(size, 0.5)
        detector["pixel_mask"] = mask
        beamlines.group(file["entry"], "control", "NXmonitor")["data"] = light.reshape(3, 4)
    raw = raw_of(path)
    np.testing.assert_array_equal(raw.dark, np.full(size, 3.0))
    np.testing.assert_array_equal(raw.flat, np.full(size, 0.5))
    np.testing.assert_array_equal(raw.intensities, light)
    if raw.good.ndim == 2:
        assert np.argwhere(~raw.good).tolist() == [[1, 1], [3, 5], [8, 9]]
    assert raw.source["flat"] == "/entry/instrument/eiger/flatfield"
    assert raw.source["intensities"] == "/entry/control/data"
    with h5py.File(path, "a") as file:
        file["entry/instrument/eiger/flatfield_applied"] = True
        file["entry/control/data"][0, 0] = 0
    raw = raw_of(path)
    assert (raw.flat, raw.intensities) == (None, None)
    assert raw.source["flat"].endswith("flatfield, left out: applied already")
    assert raw.source["intensities"] == "/entry/control/data, left out: not all above zero"
    raw = raw_of(path, dark="none", flat="entry/instrument/eiger/flatfield")
    assert raw.dark is None
    np.testing.assert_array_equal(raw.flat, np.full(size, 0.5))
    with pytest.raises(DataFileError, match="cannot be used as 'intensities': not all above zero"):
        raw_of(path, intensities="entry/control/data")
    with pytest.raises(DataFileError, match=r"cannot be used as 'dark': float64 of shape \(3,\)"):
        raw_of(path, dark="entry/sample/transformations/y")


def test_dark_and_intensities_of_cdtools(tmp_path: Path) -> None:
    """cdtools adds data_dark to the modelled light; the probe is times the root of the intensities."""
    dark, light = np.full((5, small.M, small.M), 2.5), np.linspace(0.5, 2, small.N)
    path = small.cxi(tmp_path / "a.cxi", **{
        "entry_1/instrument_1/detector_1/data_dark": dark,
        "entry_1/sample_1/geometry_1/intensities": light,
    })  # fmt: skip
    raw = raw_of(path)
    np.testing.assert_array_equal(raw.dark, dark[0])
    np.testing.assert_array_equal(raw.intensities, light)
    path = small.cxi(tmp_path / "b.cxi", **{"entry_1/sample_1/geometry_1/intensities": light[1:]})
    raw = raw_of(path)
    assert raw.intensities is None
    assert raw.source["intensities"].endswith("left out: 11 values for 12 patterns")


def test_a_point_detector_is_not_the_camera(tmp_path: Path) -> None:
    path = beamlines.motors(beamlines.raster_nexus(tmp_path / "a.nxs"), {"x": X, "y": Y})
    with h5py.File(path, "a") as file:
        beamlines.group(file["entry/instrument"], "diode", "NXdetector")["data"] = np.ones((3, 4))
        beamlines.group(file["entry/instrument"], "zyla", "NXdetector")["data"] = np.ones((3, 4, 6, 6))
    measurement = read(path)
    assert_raster(measurement)
    assert measurement.source["data"] == "/entry/instrument/eiger/data"
    assert measurement.source["other detectors"] == "/entry/instrument/zyla"


def test_positioners_are_motors_by_their_names(tmp_path: Path) -> None:
    path = beamlines.raster_nexus(tmp_path / "a.nxs")
    with h5py.File(path, "a") as file:
        for name, word, values in (("positioner_1", "horizontal", X), ("positioner_2", "stage_y", Y)):
            group = beamlines.group(file["entry/sample"], name, "NXpositioner")
            group["name"] = word
            for kind, offset in (("value", 0), ("raw_value", 1), ("target_value", 2)):
                beamlines.put(group, kind, values + offset * np.arange(len(values)), units="um")
    measurement = read(path)
    assert_raster(measurement)
    assert measurement.source["positions"] == (
        "/entry/sample/positioner_2/value, /entry/sample/positioner_1/value"
    )


def test_exposure_times_count_where_they_differ(tmp_path: Path) -> None:
    path = beamlines.motors(beamlines.raster_nexus(tmp_path / "a.nxs"), {"x": X, "y": Y})
    with h5py.File(path, "a") as file:
        file["entry/instrument/eiger/count_time"] = np.full(12, 0.1)
    raw = raw_of(path)
    assert raw.intensities is None
    assert raw.source["intensities"].endswith("count_time, left out: the same for all patterns")
    with h5py.File(path, "a") as file:
        file["entry/instrument/eiger/count_time"][3] = 0.2
    assert raw_of(path).intensities.tolist() == [0.1] * 3 + [0.2] + [0.1] * 8


def test_axes_of_the_detector_are_no_motors(tmp_path: Path) -> None:
    path = beamlines.raster_nexus(tmp_path / "a.nxs")
    pixels = np.arange(32) * 75.0
    with h5py.File(path, "a") as file:
        for name, values in {"y": Y, "x": X, "det_y": pixels, "det_x": pixels}.items():
            beamlines.put(file["entry/plot"], name, values, units="um")
    assert_raster(read(beamlines.axes(path, ["y", "x", "det_y", "det_x"])))


def test_what_nobody_has_told_the_detector_is_left_to_the_user(tmp_path: Path) -> None:
    path = beamlines.dectris(tmp_path / "a_master.h5")
    with h5py.File(path, "a") as file:
        file["entry/instrument/detector/detector_distance"][...] = 0
        file["entry/instrument/beam/incident_wavelength"][...] = np.nan
        file["entry/instrument/detector/x_pixel_size"][...] = 0
        file["entry/instrument/detector/y_pixel_size"][...] = 0
    raw = raw_of(path, elsewhere=frozenset({"positions"}))
    assert (raw.distance_m, raw.wavelength_m, raw.detector_pixel_m) == (None, None, None)
    settings = beamlines.GEOMETRY | {"wavelength_m": small.WAVELENGTH_M}
    assert read(path, **settings, **beamlines.RASTER).pixel_m == pytest.approx(small.PIXEL_M * 32 / 28)


# MAX IV, DECTRIS, GDA, NSLS-II ------------------------------------------------------------------------------


def test_nanomax(tmp_path: Path) -> None:
    path = beamlines.nanomax(tmp_path / "000012.h5")
    assert_raster(read(path, **beamlines.GEOMETRY))
    assert "give 'distance_m', 'detector_pixel_m'" in refusal(path)
    flipped = read(path, flip_rows=True, flip_columns=True, **beamlines.GEOMETRY)
    assert_raster(flipped, (-1, -1))
    (tmp_path / "scan_000012_eiger.hdf5").unlink()
    message = refusal(path, **beamlines.GEOMETRY)
    assert "/entry/measurement/eiger/frames" in message
    assert "scan_000012_eiger.hdf5" in message
    path = beamlines.nanomax(tmp_path / "13.h5", linked=False)
    with h5py.File(path, "a") as file:
        del file["entry/measurement/pseudo/y"]
        file["entry/measurement/pseudo/y"] = np.arange(11.0)
    assert "pseudo/y' holds 11 values and '/entry/measurement/pseudo/x' 12" in refusal(path)


def test_dectris_master(tmp_path: Path) -> None:
    path = beamlines.dectris(tmp_path / "a_master.h5", a_file=1)  # 12 files, in the order of their numbers
    measurement = read(path, crop=20, **beamlines.RASTER)
    expected = small.patterns()
    expected[:, [3, 8], [5, 9]] = 0
    np.testing.assert_array_equal(
        measurement.diffraction_intensity, small.corner(expected[:, 5:25, 8:28])
    )  # around the beam
    assert measurement.wavelength_m == pytest.approx(small.WAVELENGTH_M)
    assert measurement.detector_pixel_m == pytest.approx(small.DETECTOR_PIXEL_M)
    raw = raw_of(path, elsewhere=frozenset({"positions"}))
    assert (raw.saturation, raw.centre, raw.positions) == (60000, (15.0, 18.0), None)
    assert raw.source["flat"].endswith("left out: applied already")
    with h5py.File(path, "a") as file:
        file["entry/instrument/detector/flatfield_correction_applied"][...] = 0
    np.testing.assert_array_equal(raw_of(path).flat, np.full((small.M, small.M), 0.5))  # factors of 2


def test_dectris_positions_from_another_file(tmp_path: Path) -> None:
    path = beamlines.dectris(tmp_path / "a_master.h5")
    small.write(tmp_path / "scan.h5", {"scan": beamlines.grid_px()})
    measurement = read(
        path, positions={"path": str(tmp_path / "scan.h5"), "key": "scan"}, positions_unit="px"
    )
    # pixels of a whole pattern, of which a window of 28 around the beam is kept
    np.testing.assert_allclose(measurement.scan_positions_px, beamlines.grid_px() * 28 / 32, atol=1e-9)


def test_dectris_files_that_are_missing(tmp_path: Path) -> None:
    path = beamlines.dectris(tmp_path / "a_master.h5")
    (tmp_path / "a_data_000002.h5").unlink()
    assert "'/entry/data/data_000002' is a link to '/entry/data/data' of a_data_000002.h5" in refusal(path)
    with h5py.File(path, "a") as file:
        del file["entry/data/data_000002"]
    assert "'/entry/data/data_000002' is missing among 2 links" in refusal(path)
    assert "holds no positions" in refusal(beamlines.dectris(tmp_path / "b_master.h5"))


@pytest.mark.parametrize("slow", ["y", "x"])
@pytest.mark.parametrize("old", [False, True])
def test_gda(tmp_path: Path, slow: str, old: bool) -> None:
    path = beamlines.gda(tmp_path / "i13-7.nxs", slow=slow, old=old)
    measurement = read(path, wavelength_m=small.WAVELENGTH_M, **beamlines.GEOMETRY)
    assert_raster(measurement)
    assert measurement.source["format"] == "gda"


def test_gda_without_units_takes_the_users(tmp_path: Path) -> None:
    path = beamlines.gda(tmp_path / "i08-7.nxs", units=None)
    assert raw_of(path).positions_unit == ""
    settings = {"wavelength_m": small.WAVELENGTH_M, **beamlines.GEOMETRY}
    assert_raster(read(path, positions_unit="um", **settings))


def test_nsls2(tmp_path: Path) -> None:
    path = beamlines.nsls2(tmp_path / "scan.h5")
    measurement = read(path)
    assert_raster(measurement)
    assert measurement.source["zero frequency"].startswith("corner")
    with h5py.File(path, "a") as file:
        del file["points"]
        file["points"] = np.ones((12, 3))
    assert "'points' holds float64 of shape (12, 3); expected (2, positions)" in refusal(path)


def test_hxn(tmp_path: Path) -> None:
    path = beamlines.hxn(tmp_path / "scan.h5")
    assert_raster(read(path, wavelength_m=small.WAVELENGTH_M, intensities="none", **beamlines.GEOMETRY))
    raw = raw_of(path)
    np.testing.assert_array_equal(raw.intensities, np.linspace(1, 2, 12))
    assert raw.source["intensities"] == "diff_data/merlin1/Io"
    with h5py.File(path, "a") as file:
        del file["scan/scan_positions"]
        file["scan/scan_positions"] = np.ones((3, 12))
    assert "'scan/scan_positions' holds float64 of shape (3, 12); expected (2, positions)" in refusal(path)


# Other people's writers -------------------------------------------------------------------------------------

WRITTEN = {
    "nexusformat-full.nxs": {}, "nexusformat-full_xslow.nxs": {}, "nexusformat-motors_yslow.nxs": {},
    "nexusformat-motors_xslow.nxs": {}, "nexusformat-2d_yslow.nxs": {}, "nexusformat-2d_xslow.nxs": {},
    "nexusformat-motornames.nxs": {}, "nxptycho-creator.nxs": {},
    "nanomax/000012.h5": {"distance_m": 1.9, "detector_pixel_m": 75e-6},
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_what_other_programs_have_written(measured_data: Path, name: str) -> None:
    """Patterns and positions belong together as in the truth, whatever the order."""
    folder = measured_data / "files" / "written"
    if not (folder / name).is_file():
        pytest.skip(f"no {name} in {folder}")
    truth = np.load(folder / "truth.npz")
    with h5py.File(folder / "cdtools.cxi") as file:
        patterns = small.corner(file["entry_1/data_1/data"][()])
    measurement = read(str(folder / name), **WRITTEN[name])
    order = np.lexsort(np.round(measurement.scan_positions_px.T[::-1]))  # the truth has rows slow
    np.testing.assert_allclose(measurement.scan_positions_px[order], truth["positions_px"], atol=1e-9)
    np.testing.assert_array_equal(measurement.diffraction_intensity[order], patterns)
    assert measurement.wavelength_m == pytest.approx(float(truth["wavelength_m"]), rel=1e-9)
    assert measurement.pixel_m == pytest.approx(float(truth["pixel_m"]), rel=1e-9)


def test_dark_and_intensities_that_cdtools_has_written(measured_data: Path) -> None:
    folder = measured_data / "files" / "written"
    if not (folder / "cdtools-dark.cxi").is_file():
        pytest.skip(f"no cdtools-dark.cxi in {folder}")
    assert raw_of(str(folder / "cdtools-dark.cxi")).dark.shape == (32, 32)
    light = raw_of(str(folder / "cdtools-intensities.cxi")).intensities
    assert light[:2] == pytest.approx([1, 1.4207355])
    assert light.shape == (130,)
