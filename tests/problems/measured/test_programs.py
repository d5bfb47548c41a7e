"""Files of reconstruction programs, and plain arrays whose names say what they are."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
from ptychosuite.backends.arrays import backend
from ptychosuite.core.runs import RunSpec
from ptychosuite.errors import DataFileError
from ptychosuite.execute.one_run import execute
from ptychosuite.problems.build import build_problem
from ptychosuite.problems.from_files import ObjectFile, ProbeFile, ScanFile
from ptychosuite.problems.measured import MeasuredFile, Measurement
from ptychosuite.problems.measured.assembly import described
from ptychosuite.problems.measured.raw import Raw
from scipy.constants import e

from tests.problems.measured import small
from tests.problems.measured.test_written_files import likeness, turned
from tests.study.small import plan_of, study_file

PATTERNS, POSITIONS = small.patterns(), small.positions()
METRES = POSITIONS * small.PIXEL_M


def raw_of(path: str, **settings: Any) -> Raw:
    with described(MeasuredFile(path, **settings)) as raw:
        return copy.copy(raw)


def assert_read(measurement: Measurement, numbers: Any = slice(None)) -> None:
    """The small measurement, or the patterns ``numbers`` of it, at their positions."""
    expected = POSITIONS[numbers] - POSITIONS[numbers].min(axis=0)
    np.testing.assert_array_equal(measurement.diffraction_intensity, small.corner(PATTERNS[numbers]))
    np.testing.assert_allclose(measurement.scan_positions_px, expected, atol=1e-9)


def refusal(path: Any, **settings: Any) -> str:
    with pytest.raises(DataFileError) as caught:
        MeasuredFile(str(path), **settings).read()
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("data", ["diffraction.npz", "dp.hdf5", "diffraction.cxi"])
@pytest.mark.parametrize("product", ["product.npz", "product.h5", "product.cxi"])
def test_what_ptychodus_wrote(measured_data: Path, product: str, data: str) -> None:
    """Whichever of the two is named first, the patterns are those of the file, all else is the truth."""
    folder = measured_data / "files" / "written"
    truth, stored = np.load(folder / "truth.npz"), np.load(folder / "ptychodus" / "diffraction.npz")
    modes = np.load(folder / "ptychodus" / "product.npz")["probe"][0]
    files = {name: {"path": str(folder / "ptychodus" / name)} for name in (product, data, "diffraction.npz")}
    mask = files["diffraction.npz"]
    one = MeasuredFile(files[product]["path"], data=files[data], mask=mask)
    beside = dict.fromkeys(("positions", "probe", "object"), files[product])
    for settings in (one, MeasuredFile(files[data]["path"], **beside, mask=mask)):
        read = settings.read()
        np.testing.assert_array_equal(np.fft.fftshift(read.diffraction_intensity, axes=(1, 2)),
                                      stored["patterns"])  # fmt: skip
        np.testing.assert_allclose(read.scan_positions_px, truth["positions_px"], rtol=0, atol=1e-12)
        np.testing.assert_array_equal(read.probe_modes, modes)
        np.testing.assert_array_equal(read.object_guess, truth["object"])
        np.testing.assert_array_equal(~np.fft.fftshift(read.detector_mask), stored["bad_pixels"])
        assert read.pixel_m == pytest.approx(float(truth["pixel_m"]))
        assert read.wavelength_m == pytest.approx(float(truth["wavelength_m"]))
        assert read.distance_m == truth["distance_m"]


def test_both_modes_of_ptychodus_give_the_truth(measured_data: Path, tmp_path: Path) -> None:
    """Counts are as the model has them; the object comes out the right way round, as nothing else does."""
    folder = measured_data / "files" / "written"
    product, data, mask = (
        str(folder / "ptychodus" / name) for name in ("product.h5", "dp.hdf5", "diffraction.npz")
    )
    text = f"""\
study: tiny
problem:
  {{kind: file, path: {data}, positions: {{path: {product}}}, mask: {{path: {mask}}},
   start_probe: {{kind: file, path: {product}}}}}
solver: {{name: rpie, alpha: 0.1, probe_modes: 2, update_probe: false}}
stop: {{iterations: 40}}
"""
    (spec,) = plan_of(study_file(tmp_path, head=text)).runs
    made, obj = build_problem(spec, backend("numpy")), ObjectFile(product).make()
    good, m = made.detector_mask.astype(bool), made.probe_size
    patches = np.stack([obj[r : r + m, c : c + m] for r, c in made.scan_positions_px])
    model = np.sum(np.abs(np.fft.fft2(made.probe_modes[None] * patches[:, None])) ** 2, axis=1)[:, good]
    counts = np.asarray(made.diffraction_amplitude[:], dtype=np.float64)[:, good] ** 2
    model *= counts.sum() / model.sum()
    bright = model > 20
    assert np.mean((counts - model)[bright] ** 2 / model[bright]) == pytest.approx(1, abs=0.05)
    record, _ = execute(spec)
    found = [likeness(view, obj, rim=14) for view in turned(record.object)]
    assert found[0] > 0.85, found
    assert max(found[1:]) < 0.5, found


def product_npz(path: Path, numbers: Any) -> str:
    """A product whose positions belong to the exposures ``numbers``."""
    numbers = np.asarray(numbers)
    np.savez(path, probe_position_indexes=numbers, probe_position_y_m=METRES[numbers, 0],
             probe_position_x_m=METRES[numbers, 1], probe=small.probe()[None, None],
             object_pixel_height_m=small.PIXEL_M, object_pixel_width_m=small.PIXEL_M,
             far_field=False, photon_energy_eV=0.0)  # fmt: skip
    return str(path)


def diffraction_npz(path: Path, numbers: Any) -> str:
    """Patterns of the exposures ``numbers``."""
    numbers = np.asarray(numbers)
    np.savez(path, patterns=PATTERNS[numbers], indexes=numbers)
    return str(path)


def test_patterns_and_positions_meet_by_their_numbers(tmp_path: Path) -> None:
    """In whatever order either has them; what has no partner is left out."""
    patterns = [7, 2, 3, 11, 0, 5]
    data = diffraction_npz(tmp_path / "d.npz", patterns)
    every = product_npz(tmp_path / "a.npz", np.arange(small.N)[::-1])
    assert_read(MeasuredFile(data, positions={"path": every}).read(), patterns)
    some = {"path": product_npz(tmp_path / "b.npz", [5, 9, 11, 2])}
    read = MeasuredFile(data, positions=some).read()
    assert_read(read, [2, 11, 5])
    assert read.source["pairing"] == "3 of 6 patterns have a position, by their numbers"
    assert_read(MeasuredFile(data, positions=some, every=2).read(), [2, 5])
    small.write(tmp_path / "dp.h5", {"dp": PATTERNS})  # counted from 0
    assert_read(MeasuredFile(str(tmp_path / "dp.h5"), positions=some).read(), [2, 5, 9, 11])


def test_numbers_that_do_not_meet(tmp_path: Path) -> None:
    data = diffraction_npz(tmp_path / "d.npz", [1, 2, 3])
    other = {"path": product_npz(tmp_path / "a.npz", [7, 8, 11])}
    message = refusal(data, positions=other)
    assert "numbered 1 to 3, the positions 7 to 11; check that these files belong together" in message
    twice = {"path": product_npz(tmp_path / "b.npz", [1, 1, 2])}
    assert "3 positions have 3 numbers, 2 of them different" in refusal(data, positions=twice)


def test_a_product_says_what_it_knows(tmp_path: Path) -> None:
    """Near field is near field, a zero is no energy; without patterns it is refused with a way out."""
    raw = raw_of(product_npz(tmp_path / "a.npz", np.arange(small.N)),
                 data={"path": diffraction_npz(tmp_path / "d.npz", np.arange(small.N))})  # fmt: skip
    assert (raw.propagation, raw.radiation, raw.wavelength_m) == ("near", "photons", None)
    assert raw.reciprocal_pixel_per_m == pytest.approx((1 / (small.M * small.PIXEL_M),) * 2)
    assert raw_of(small.ptychodus(tmp_path / "b.h5")).propagation == "far"
    assert "a.npz holds no patterns; name them with 'data'" in refusal(tmp_path / "a.npz")
    uneven = small.ptychodus(tmp_path / "c.h5", probe_position_x_m=np.zeros(3))
    assert "'probe_position_y_m' holds 12 values and 'probe_position_x_m' 3" in refusal(uneven)


def fold_slice_mat(path: Path) -> str:
    """A reconstruction of fold_slice, in MATLAB's structures and order."""
    modes = np.stack([small.probe(), 0.5j * small.probe()], axis=-1)
    centred = (POSITIONS - POSITIONS.mean(axis=0))[:, ::-1]
    scipy.io.savemat(path, {
        "probe": modes[..., None] * np.array([1, 0.1]),  # (rows, columns, modes, variations)
        "object": np.full((60, 80), 1j),
        "outputs": {"probe_positions": centred, "fourier_error_out": [1.0]},
        "p": {"lambda": small.WAVELENGTH_M, "dx_spec": [small.PIXEL_M, small.PIXEL_M]},
    })  # fmt: skip
    return str(path)


def test_pairs_of_fold_slice_and_its_reconstruction(tmp_path: Path) -> None:
    small.write(tmp_path / "a_dp.hdf5", {"dp": PATTERNS})
    small.ptychoshelves(tmp_path / "a_para.hdf5", dp=None)
    data, para = str(tmp_path / "a_dp.hdf5"), {"path": str(tmp_path / "a_para.hdf5")}
    for one in (MeasuredFile(data, positions=para), MeasuredFile(para["path"], data={"path": data})):
        assert_read(one.read())
        assert one.read().pixel_m == pytest.approx(small.PIXEL_M)
    np.testing.assert_allclose(
        ScanFile(para["path"]).positions((60, 80), small.M, np.random.default_rng()), POSITIONS, atol=1e-9
    )
    named = small.ptychodus(tmp_path / "b_para.hdf5", dp=None, probe_position_indexes=None,
                            **{f"@{name}": None for name in ("photon_energy_eV", "far_field")})  # fmt: skip
    assert_read(MeasuredFile(data, positions={"path": named}).read())
    mat = {"path": fold_slice_mat(tmp_path / "b.mat")}
    read = MeasuredFile(data, positions=mat, probe=mat, object=mat).read()
    assert_read(read)
    assert read.wavelength_m == small.WAVELENGTH_M
    assert read.pixel_m == pytest.approx(small.PIXEL_M)
    np.testing.assert_array_equal(read.probe_modes, [small.probe(), 0.5j * small.probe()])
    np.testing.assert_array_equal(read.object_guess, np.full((60, 80), 1j))
    uneven = small.ptychoshelves(tmp_path / "c.hdf5", ppX=np.zeros(3))
    assert "'ppY' holds 12 values and 'ppX' 3; expected one of each for every pattern" in refusal(uneven)


def test_a_reconstruction_of_pty_chi(tmp_path: Path) -> None:
    small.write(tmp_path / "dp.h5", {"dp": PATTERNS})
    probe = np.stack([[small.probe(), 0.5 * small.probe()], [9 * small.probe()] * 2])
    small.write(tmp_path / "recon.h5", {"probe": probe, "object": np.full((1, 60, 80), 1j),
                "positions_px": POSITIONS - 20, "init_positions_px": POSITIONS, "loss": np.ones(4),
                "obj_pixel_size_m": small.PIXEL_M})  # fmt: skip
    recon = {"path": str(tmp_path / "recon.h5")}
    read = MeasuredFile(str(tmp_path / "dp.h5"), positions=recon, probe=recon).read()
    assert_read(read)
    np.testing.assert_array_equal(read.probe_modes, probe[0])


def ptylab_result(path: Path) -> str:
    probe = np.stack([0.5 * small.probe(), small.probe()])[None, None, :, None]
    small.write(path, {"probe": probe, "object": np.full((1, 1, 1, 1, 60, 80), 1j), "zo": small.DISTANCE_M,
                "wavelength": small.WAVELENGTH_M, "dxp": small.PIXEL_M,
                "encoder_corrected": METRES})  # fmt: skip
    return str(path)


def test_what_ptylab_found(tmp_path: Path) -> None:
    """Its modes are the third of six axes, and its positions the corrected ones."""
    wrong = small.ptylab(tmp_path / "a.hdf5", encoder=METRES[::-1])
    result = {"path": ptylab_result(tmp_path / "b.hdf5")}
    read = MeasuredFile(wrong, positions=result, probe=result, object=result).read()
    assert_read(read)
    np.testing.assert_array_equal(read.probe_modes, [small.probe(), 0.5 * small.probe()])
    assert read.detector_pixel_m == pytest.approx(small.DETECTOR_PIXEL_M)
    for key in ("", "probe"):
        np.testing.assert_array_equal(ProbeFile(result["path"], key).modes(), read.probe_modes)


def test_what_ptylab_has_and_is_not_read(tmp_path: Path) -> None:
    turned = small.ptylab(tmp_path / "a.hdf5", orientation=5)
    assert "'orientation' is 5, so its patterns have to be turned; say 'format: arrays'" in refusal(turned)
    again = MeasuredFile(turned, format="arrays", data="ptychogram", positions="encoder", positions_unit="m",
                         wavelength_m=small.WAVELENGTH_M, distance_m=small.DISTANCE_M,
                         detector_pixel_m=small.DETECTOR_PIXEL_M)  # fmt: skip
    assert_read(again.read())
    assert "is Fourier ptychography" in refusal(small.ptylab(tmp_path / "b.hdf5", zo=None, zled=0.1))


def ptyr(path: Path, *scans: str) -> str:
    with h5py.File(path, "w") as file:
        for scan in scans:
            file[f"content/probe/{scan}/data"] = np.stack([0.5 * small.probe(), small.probe()])
            file[f"content/probe/{scan}/_psize"] = [small.PIXEL_M] * 2
            file[f"content/probe/{scan}/_energy"] = small.ENERGY_J / e / 1e3
            file[f"content/obj/{scan}/data"] = np.full((1, 60, 80), 1j)
    return str(path)


def test_a_reconstruction_of_ptypy(tmp_path: Path) -> None:
    one, two = ptyr(tmp_path / "a.ptyr", "S00G00"), ptyr(tmp_path / "b.ptyr", "S00G00", "S01G00")
    modes = np.stack([small.probe(), 0.5 * small.probe()])
    np.testing.assert_array_equal(ProbeFile(one).modes(), modes)
    np.testing.assert_array_equal(ObjectFile(one).make(), np.full((60, 80), 1j))
    np.testing.assert_array_equal(ProbeFile(two, "content/probe/S01G00/data").modes(), modes)
    with pytest.raises(DataFileError, match=r"several arrays for probe, of several scans: content/probe/S00"):
        ProbeFile(two).make()
    raw = raw_of(small.arrays(tmp_path / "c.h5"), probe={"path": one}, positions_unit="px")
    assert raw.reciprocal_pixel_per_m == pytest.approx((1 / (small.M * small.PIXEL_M),) * 2)
    assert raw.wavelength_m == pytest.approx(small.WAVELENGTH_M)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: small.ptychodus(path),
        lambda path: small.cxi(
            path, **{"entry_1/instrument_1/source_1/illumination": [0.5 * small.probe(), small.probe()]}
        ),
        lambda path: small.arrays(path, probe=np.stack([0.5 * small.probe(), small.probe()])),
        ptylab_result,
        lambda path: ptyr(path, "S00G00"),
    ],
    ids=["ptychodus", "cxi", "arrays", "ptylab", "ptyr"],
)
def test_a_probe_to_start_from_in_every_format(tmp_path: Path, write: Callable[[Path], str]) -> None:
    """Its modes are scaled to the counts of the measurement as the probe itself is, which has their power."""
    settings = {"kind": "file", "path": small.arrays(tmp_path / "a.h5"), "positions_unit": "px",
                "start_probe": {"kind": "file", "path": write(tmp_path / "b")}}  # fmt: skip
    made = build_problem(RunSpec(settings, {}, {}, dtype="complex128"), backend("numpy"))
    power = np.sum(np.abs(made.probe) ** 2)
    counts = PATTERNS.sum() / small.N / small.M**2
    assert power == pytest.approx(counts)
    assert np.sum(np.abs(made.probe_modes) ** 2) == pytest.approx(power)
    np.testing.assert_allclose(
        made.probe_modes[0] / made.probe_modes[0, 16, 16], small.probe() / small.probe()[16, 16]
    )
    np.testing.assert_allclose(made.probe_modes[1], 0.5 * made.probe_modes[0])


def test_a_scan_in_metres_takes_the_pixel_of_its_file(tmp_path: Path) -> None:
    scan = ScanFile(small.ptychodus(tmp_path / "a.h5")).positions((60, 80), small.M, np.random.default_rng())
    np.testing.assert_allclose(scan, POSITIONS, atol=1e-9)
    unknown = product_npz(tmp_path / "b.npz", np.arange(small.N))
    lost = dict(np.load(unknown))
    del lost["object_pixel_height_m"]
    np.savez(unknown, **lost)
    with pytest.raises(DataFileError, match="is in m, and the file does not say the pixel of the object"):
        ScanFile(unknown).positions((60, 80), small.M, np.random.default_rng())


def plain(path: Path, **arrays: Any) -> str:
    """Patterns with their positions in pixels, which their name says, and other arrays."""
    small.write(path, {"data": PATTERNS, "scan_px": POSITIONS} | arrays)
    return str(path)


BAD = np.zeros((small.M, small.M), bool)
BAD[3, 5] = True
ALSO = np.roll(BAD, 1)


@pytest.mark.parametrize(
    ("masks", "expected"),
    [
        ({"mask": ~BAD}, BAD),
        ({"pixel_mask": BAD.astype(np.uint32)}, BAD),
        ({"bad_pixels": BAD}, BAD),
        ({"valid_mask": ~BAD}, BAD),
        ({"good_pixels": ~BAD}, BAD),
        ({"dead_pixels": BAD, "hot_pixels": ALSO}, BAD | ALSO),
        ({"entry/hot_pixels": BAD, "mask": np.ones_like(BAD)}, BAD),
        ({"bad_pixels": BAD[:9]}, None),  # does not fit, and is not asked for
    ],
)
def test_masks_mean_what_their_names_say(tmp_path: Path, masks: dict[str, Any], expected: Any) -> None:
    found = MeasuredFile(plain(tmp_path / "a.h5", **masks)).read().detector_mask
    assert (found is None) == (expected is None)
    if expected is not None:
        np.testing.assert_array_equal(~np.fft.fftshift(found), expected)
    for name in [] if expected is None else masks:
        one = (
            MeasuredFile(plain(tmp_path / "b.h5", **masks), mask=name, mask_good="auto").read().detector_mask
        )
        assert one.mean() > 0.9


def test_what_a_plain_file_has_besides(tmp_path: Path) -> None:
    """Darks, flats, the light of each pattern; of another shape they are none, and refused if named."""
    darks = np.stack([np.full((small.M, small.M), 2.0), np.full((small.M, small.M), 4.0)])
    light = np.linspace(1, 2, small.N)
    raw = raw_of(plain(tmp_path / "a.h5", background=darks, whitefield=darks[0], i0=light[:, None]))
    np.testing.assert_array_equal(raw.dark, 3)
    np.testing.assert_array_equal(raw.flat, 2)
    np.testing.assert_array_equal(raw.intensities, light)
    other = plain(tmp_path / "b.h5", dark=darks[:, :9], monitor=light[:5], flat=1.0)
    raw = raw_of(other)
    assert raw.dark is raw.flat is raw.intensities is None
    assert "'dark' has shape (2, 9, 32); expected (32, 32) for 'dark'" in refusal(other, dark="dark")
    assert "'monitor' has shape (5,); expected (12,)" in refusal(other, intensities="monitor")
    named = plain(tmp_path / "c.h5", data=None, intensities=PATTERNS, monitor=light)
    assert_read(MeasuredFile(named, intensities="none").read())
    np.testing.assert_array_equal(raw_of(named).intensities, light)
    np.testing.assert_array_equal(raw_of(plain(tmp_path / "d.h5", intensities=light)).intensities, light)


@pytest.mark.parametrize(
    "names",
    [("probe_real", "probe_imag"), ("probe_re", "probe_im"), ("probe/real", "probe/imag"),
     ("probe_amplitude", "probe_phase"), ("entry/probe_abs", "entry/probe_phase")],
)  # fmt: skip
def test_a_wave_in_two_arrays(tmp_path: Path, names: tuple[str, str]) -> None:
    wave = small.probe()
    polar = names[1].endswith("phase")
    parts = (np.abs(wave), np.angle(wave)) if polar else (wave.real, wave.imag)
    path = plain(tmp_path / "a.h5", **dict(zip(names, parts, strict=True)))
    np.testing.assert_allclose(MeasuredFile(path).read().probe, wave, atol=1e-12)
    np.testing.assert_allclose(ProbeFile(path).make(), wave, atol=1e-12)
    uneven = plain(tmp_path / "b.h5", **{names[0]: wave.real, names[1]: wave.imag[:9]})
    assert f"'{names[0]}' has shape (32, 32), '{names[1]}' (9, 32)" in refusal(uneven)


GEOMETRY = {
    "wavelength_nm": small.WAVELENGTH_M * 1e9,
    "detector/distance_mm": small.DISTANCE_M * 1e3,
    "detector_pixel_um": small.DETECTOR_PIXEL_M * 1e6,
}


@pytest.mark.parametrize(
    ("names", "unit"),
    [(("scan_y", "scan_x"), ""), (("probe_position_y_m", "probe_position_x_m"), "m"),
     (("y_um", "x_um"), "um"), (("motors/posy_um", "motors/posx_um"), "um"), (("y_m", "x_m"), "m")],
)  # fmt: skip
def test_positions_in_two_arrays_with_units(tmp_path: Path, names: tuple[str, str], unit: str) -> None:
    scale = {"": 1.0, "m": small.PIXEL_M, "um": small.PIXEL_M * 1e6}[unit]
    axes = dict(zip(names, (POSITIONS * scale).T, strict=True))
    path = plain(tmp_path / "a.h5", scan_px=None, **axes, **GEOMETRY)
    settings = {} if unit else {"positions_unit": "px"}
    assert_read(MeasuredFile(path, **settings).read())
    other = plain(tmp_path / "b.h5", scan_px=None, **axes, **GEOMETRY, theta_x=1, theta_y=2,
                  x=np.arange(small.M), y=np.arange(small.M))  # the detector's  # fmt: skip
    assert_read(MeasuredFile(other, **settings).read())
    several = plain(tmp_path / "c.h5", scan_px=None, **axes, motor_x=POSITIONS[:, 1], motor_y=POSITIONS[:, 0])
    assert "several arrays for positions:" in refusal(several)


def test_axes_of_a_raster_and_units_of_their_own(tmp_path: Path) -> None:
    path = plain(tmp_path / "a.h5", data=PATTERNS.reshape(3, 4, small.M, small.M), scan_px=None,
                 y_um=np.arange(3) * 7 * small.PIXEL_M * 1e6, x_um=np.arange(4) * 5 * small.PIXEL_M * 1e6,
                 **GEOMETRY)  # fmt: skip
    with h5py.File(path, "a") as file:
        file["y_um"][...] *= 1e3
        file["y_um"].attrs["units"] = "nm"  # the attribute is the file's last word
    rows, columns = np.meshgrid(np.arange(3) * 7.0, np.arange(4) * 5.0, indexing="ij")
    found = MeasuredFile(path).read().scan_positions_px
    np.testing.assert_allclose(found, np.stack([rows.ravel(), columns.ravel()], axis=1), atol=1e-9)


@pytest.mark.parametrize(
    ("arrays", "radiation", "wavelength_m"),
    [
        ({"wavelength_m": 1.2e-10}, "", 1.2e-10),
        ({"energy_kev": 8.0}, "photons", 1.5498025e-10),
        ({"photon_energy_eV": [[8000.0]]}, "photons", 1.5498025e-10),
        ({"accelerating_voltage_kv": 300}, "electrons", 1.9687e-12),
        ({"wavelength": 1.2, "energy": 3.0, "distance": 7}, "", None),  # of what unit?
        ({"energy_m": 1.0}, "", None),  # no energy
    ],
)
def test_numbers_are_taken_where_they_have_a_unit(tmp_path, arrays, radiation, wavelength_m) -> None:
    raw = raw_of(plain(tmp_path / "a.h5", **arrays))
    assert raw.radiation == radiation
    assert raw.wavelength_m == (None if wavelength_m is None else pytest.approx(wavelength_m, rel=1e-4))
    assert raw.distance_m is None


def test_units_of_attributes_and_the_pixel_of_the_object(tmp_path: Path) -> None:
    path = plain(
        tmp_path / "a.h5", scan_px=None, scan_m=METRES, wavelength=1.5, obj_pixel_size_m=small.PIXEL_M
    )
    with h5py.File(path, "a") as file:
        file["wavelength"].attrs["units"] = "angstrom"
        file.attrs["detector_distance_m"] = 3.0
    raw = raw_of(path)
    assert (raw.wavelength_m, raw.distance_m) == (pytest.approx(1.5e-10), 3.0)
    assert_read(MeasuredFile(path).read())


def test_one_array_under_several_names_is_one(tmp_path: Path) -> None:
    path = plain(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["hard/data"] = file["data"]
        file["soft/data"] = h5py.SoftLink("/data")
    assert_read(MeasuredFile(path).read())
    copied = plain(tmp_path / "b.h5", **{"copy/data": PATTERNS})
    assert "several arrays for data: copy/data, data; name one with 'data'" in refusal(copied)


@pytest.mark.parametrize("n", [small.N, small.M])
@pytest.mark.parametrize("version", ["5", "7.3"])
def test_matlab_counts_patterns_last(tmp_path: Path, n: int, version: str) -> None:
    """Of as many patterns as rows and columns as well; a file of anything else counts them first."""
    data, scan = small.patterns(n), small.positions(n)
    path = tmp_path / "a.mat"
    if version == "5":
        scipy.io.savemat(path, {"data": data.transpose(1, 2, 0), "scan_px": scan})
    else:
        small.write(path, {"data": data.transpose(0, 2, 1), "scan_px": scan.T})
        with h5py.File(path, "a") as file:
            for array in file.values():
                array.attrs["MATLAB_class"] = np.bytes_("double")
        text = b"MATLAB 7.3 MAT-file".ljust(512)
        path.write_bytes(text + path.read_bytes())
    read = MeasuredFile(str(path), zero_frequency="centre").read()
    np.testing.assert_array_equal(read.diffraction_intensity, small.corner(data))
    np.savez(tmp_path / "b.npz", data=data, scan_px=scan)
    read = MeasuredFile(str(tmp_path / "b.npz"), zero_frequency="centre").read()
    np.testing.assert_array_equal(read.diffraction_intensity, small.corner(data))
    if n != small.M:  # the positions say which axis counts
        scipy.io.savemat(tmp_path / "c.mat", {"data": data, "scan_px": scan})
        assert_read(MeasuredFile(str(tmp_path / "c.mat")).read())
