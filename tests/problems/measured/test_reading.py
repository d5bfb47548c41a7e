"""Crop, bin, orientation, masks, and that no more is read than is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ptychosuite.physics.forward import diffraction_intensity
from ptychosuite.problems.measured import MeasuredFile
from ptychosuite.problems.measured import pattern_stack as stack_module
from ptychosuite.problems.measured.reading import described
from ptychosuite.problems.measured.window import fit_probe, is_corner, window
from ptychosuite.problems.problem_kind import Size

from tests.problems.measured import small


def binned(patterns: np.ndarray, b: int) -> np.ndarray:
    n, m = len(patterns), patterns.shape[1] // b
    out = np.zeros((n, m, m), dtype=np.int64)
    for i in range(b):
        for j in range(b):
            out += patterns[:, i::b, j::b].astype(np.int64)
    return out


@pytest.mark.parametrize("in_corner", [False, True])
@pytest.mark.parametrize(("crop", "b"), [(None, 1), (16, 1), (None, 4), (24, 3), (21, 3), (17, 1)])
def test_crop_and_bin_against_numpy(tmp_path: Path, in_corner: bool, crop: int | None, b: int) -> None:
    data = small.patterns()
    path = small.arrays(tmp_path / "a.h5", data=small.corner(data) if in_corner else data)
    size = crop or small.M
    first = small.M // 2 - size // 2
    expected = binned(data[:, first : first + size, first : first + size], b)
    measurement = MeasuredFile(path, crop=crop, bin=b).read()
    np.testing.assert_array_equal(measurement.diffraction_intensity, small.corner(expected))
    assert measurement.source["zero frequency"].startswith("corner" if in_corner else "centre")
    settings = MeasuredFile(path, crop=crop, bin=b, positions_unit="px")
    assert settings.size() == Size(measurement.object_shape, size // b, small.N)


def test_positions_in_pixels_follow_the_crop(tmp_path: Path) -> None:
    path = small.arrays(tmp_path / "a.h5")
    cropped, both = MeasuredFile(path, crop=16).read(), MeasuredFile(path, crop=16, bin=2).read()
    np.testing.assert_allclose(cropped.scan_positions_px, small.positions() / 2, atol=1e-12)
    np.testing.assert_allclose(both.scan_positions_px, small.positions() / 2, atol=1e-12)
    assert cropped.probe.shape == (16, 16)
    assert both.probe.shape == (8, 8)


def test_crop_makes_pixels_larger_and_bin_leaves_them(tmp_path: Path) -> None:
    path = small.cxi(tmp_path / "a.cxi")
    cropped, binned_ = MeasuredFile(path, crop=16).read(), MeasuredFile(path, bin=2).read()
    assert cropped.pixel_m == pytest.approx(2 * small.PIXEL_M)
    assert cropped.detector_pixel_m == pytest.approx(small.DETECTOR_PIXEL_M)
    np.testing.assert_allclose(cropped.scan_positions_px, small.positions() / 2, atol=1e-9)
    assert binned_.pixel_m == pytest.approx(small.PIXEL_M)
    assert binned_.detector_pixel_m == pytest.approx(2 * small.DETECTOR_PIXEL_M)
    np.testing.assert_allclose(binned_.scan_positions_px, small.positions(), atol=1e-9)


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("swapped", [False, True])
def test_orientation_of_positions(tmp_path: Path, rows: bool, columns: bool, swapped: bool) -> None:
    path = small.arrays(tmp_path / "a.h5", scan=small.positions()[:, ::-1] if swapped else small.positions())
    measurement = MeasuredFile(
        path, flip_rows=rows, flip_columns=columns, columns="column-row" if swapped else "row-column"
    ).read()
    expected = small.positions() * [-1 if rows else 1, -1 if columns else 1]
    np.testing.assert_allclose(measurement.scan_positions_px, expected - expected.min(axis=0), atol=1e-12)


def test_transpose_swaps_detector_axes_mask_and_pixels(tmp_path: Path) -> None:
    mask = np.zeros((small.M, small.M), np.uint32)
    mask[2, 9] = 1
    path = small.cxi(
        tmp_path / "a.cxi", basis_vectors=None, y_pixel_size=2 * small.DETECTOR_PIXEL_M,
        **{"entry_1/instrument_1/detector_1/mask": mask},
    )  # fmt: skip
    plain, turned = MeasuredFile(path).read(), MeasuredFile(path, transpose=True).read()
    np.testing.assert_array_equal(
        turned.diffraction_intensity, np.swapaxes(plain.diffraction_intensity, 1, 2)
    )
    np.testing.assert_array_equal(turned.detector_mask, plain.detector_mask.T)
    # Twice the pixel along the detector's rows is half the object's pixel there, so twice the positions.
    np.testing.assert_allclose(plain.scan_positions_px, small.positions() * [2, 1], atol=1e-9)
    np.testing.assert_allclose(turned.scan_positions_px, small.positions() * [1, 2], atol=1e-9)


def test_a_stated_zero_frequency_is_obeyed(tmp_path: Path) -> None:
    data = small.patterns()
    path = small.arrays(tmp_path / "a.h5", data=data)
    as_is = MeasuredFile(path, zero_frequency="corner").read()
    np.testing.assert_array_equal(as_is.diffraction_intensity, data)
    assert as_is.source["zero frequency"].startswith("corner, by the settings")
    off = MeasuredFile(path, centre_row=14, centre_column=18, crop=12).read()
    np.testing.assert_array_equal(off.diffraction_intensity, small.corner(data[:, 8:20, 12:24]))


def test_zero_frequency_is_found_despite_hot_pixels_and_masks() -> None:
    data = small.patterns(4).astype(np.float64)
    assert is_corner(data, None) is False
    assert is_corner(small.corner(data), None) is True
    assert is_corner(np.ones((2, 16, 16)), None) is None
    assert is_corner(data * 1e-6, None) is False
    data[:, 0, 0] = 2**32 - 1
    assert is_corner(data, None) is False
    data[:, :3] = np.nan
    assert is_corner(data, np.ones((small.M, small.M), bool)) is False


def test_masked_pixels_count_nothing_and_spoil_their_bin(tmp_path: Path) -> None:
    data, mask = small.patterns().astype(np.float32), np.ones((small.M, small.M), bool)
    data[:, 5, 6], data[3, 7, 7], mask[5, 6], mask[7, 7] = np.nan, -1, False, False
    path = small.arrays(tmp_path / "a.h5", data=data, mask=mask)
    measurement = MeasuredFile(path, bin=2).read()
    good = np.fft.fftshift(measurement.detector_mask)
    assert np.argwhere(~good).tolist() == [[2, 3], [3, 3]]
    centred = np.fft.fftshift(measurement.diffraction_intensity, axes=(1, 2))
    expected = binned(np.where(mask, data, 0).astype(int), 2)
    np.testing.assert_array_equal(centred, expected)


def test_counts_keep_the_narrowest_exact_type(tmp_path: Path) -> None:
    for dtype, largest, bins, expected in (
        (np.int32, 200, 1, np.uint8), (np.int64, 70_000, 1, np.uint32), (np.uint8, 255, 2, np.uint16),
        (np.float64, 200, 1, np.float32), (np.uint32, 2**32 - 2, 2, np.uint64),
    ):  # fmt: skip
        data = np.full((small.N, small.M, small.M), largest, dtype)
        path = small.arrays(tmp_path / f"{np.dtype(dtype)}.h5", data=data)
        patterns = MeasuredFile(path, bin=bins).read().diffraction_intensity
        assert patterns.dtype == expected
        assert (patterns == largest * bins**2).all()


def test_amplitudes_are_squared(tmp_path: Path) -> None:
    data = np.sqrt(small.patterns().astype(np.float32))
    patterns = MeasuredFile(small.arrays(tmp_path / "a.h5", data=data), counts="amplitude").read()
    np.testing.assert_allclose(
        np.fft.fftshift(patterns.diffraction_intensity, axes=(1, 2)), small.patterns(), rtol=1e-6
    )


def test_every_nth_pattern_across_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_module, "BLOCK_BYTES", 1)
    path = small.ptyd(tmp_path / "a.ptyd", **{f"chunks/{n}/weights": None for n in (0, 1)})
    for every in (1, 2, 3, 5):
        measurement = MeasuredFile(path, every=every).read()
        np.testing.assert_array_equal(
            measurement.diffraction_intensity, small.corner(small.patterns()[::every])
        )
        expected = small.positions()[::every]
        np.testing.assert_allclose(measurement.scan_positions_px, expected - expected.min(axis=0), atol=1e-9)


def test_a_probe_follows_crop_and_bin() -> None:
    m, rng = 64, np.random.default_rng(3)
    y, x = np.mgrid[:m, :m] - m // 2
    wave = np.exp(-(y**2 + x**2) / 6.0**2 + 0.2j * x)
    obj = np.exp(0.2j * rng.standard_normal((m, m)))
    obj = np.fft.ifft2(np.fft.fft2(obj) * np.fft.ifftshift(np.hypot(y, x) < 6))
    whole = np.fft.fftshift(diffraction_intensity(obj, wave, np.zeros((1, 2), int)), axes=(1, 2))
    cropped = fit_probe(wave, m, window((m, m), 32, 1, False, None, "d", "p"))
    coarse = diffraction_intensity(obj[::2, ::2], cropped, np.zeros((1, 2), int))
    np.testing.assert_allclose(
        np.fft.fftshift(coarse, axes=(1, 2)), whole[:, 16:48, 16:48], atol=2e-3 * whole.max()
    )
    fitted = fit_probe(wave, m, window((m, m), None, 2, False, None, "d", "p"))
    summed = diffraction_intensity(obj[16:48, 16:48], fitted, np.zeros((1, 2), int))
    assert summed.sum() == pytest.approx(whole.sum(), rel=1e-3)


def test_a_crop_reads_only_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # 10,000 patterns of 4,096 x 4,096 pixels, 320 GB if they were there; only what is read is looked at.
    rng = np.random.default_rng(0)
    path = tmp_path / "large.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "data", (10_000, 4096, 4096), np.uint16, chunks=(1, 256, 256), compression=1
        )
        for number in range(0, 10_000, 1000):
            data[number, 2048 - 16 : 2048 + 16, 2048 - 16 : 2048 + 16] = number // 1000 + 1
        file["scan"] = rng.uniform(0, 100, (10_000, 2))
    touched: list[tuple[Any, ...]] = []
    read = stack_module.Part.read

    def counting(part: stack_module.Part, numbers: range, rows: slice, columns: slice) -> np.ndarray:
        found = read(part, numbers, rows, columns)
        touched.append(found.shape)
        return found

    monkeypatch.setattr(stack_module.Part, "read", counting)
    settings = MeasuredFile(str(path), crop=64, every=1000, zero_frequency="centre", positions_unit="px")
    assert (settings.size().probe_size, settings.size().n_positions) == (64, 10)
    assert sum(int(np.prod(shape)) for shape in touched) <= 12 * 64 * 64  # the ends; to tell the near field
    touched.clear()
    measurement = settings.read()
    assert sum(int(np.prod(shape)) for shape in touched) == 10 * 64 * 64
    assert measurement.diffraction_intensity[:, 0, 0].tolist() == list(range(1, 11))


def test_blocks_take_whole_chunks_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_module, "BLOCK_BYTES", 3 * small.M**2 * 2)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=small.patterns(), chunks=(2, 8, 8))
        file["scan"] = small.positions()
    with described(MeasuredFile(str(tmp_path / "a.h5"))) as raw:
        every = np.ones(small.N, dtype=bool)
        blocks = [block.of_stack.tolist() for block in raw.patterns.blocks(every, small.M**2)]
        every[[1, 4, 5, 6, 7]] = False
        fewer = [(list(b.numbers), b.of_stack.tolist()) for b in raw.patterns.blocks(every, small.M**2)]
    assert blocks == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert fewer == [([0, 1, 2, 3], [0, 2, 3]), ([8, 9, 10, 11], [8, 9, 10, 11])]


def test_a_measurement_is_read_once_and_cannot_be_changed(tmp_path: Path) -> None:
    settings = MeasuredFile(small.arrays(tmp_path / "a.h5"))
    assert settings.read() is settings.read()
    with pytest.raises(ValueError, match="read-only"):
        settings.read().diffraction_intensity[0, 0, 0] = 1


def test_whole_pixels_in_metres_make_no_larger_object(tmp_path: Path) -> None:
    """Positions in metres in single precision: the object and the pixels of the same scan in pixels."""
    whole = np.random.default_rng(0).integers(0, 90, (small.N, 2))
    scans = {"px": whole, "m": (whole * small.PIXEL_M).astype(np.float32)}
    geometry = {"wavelength_m": small.WAVELENGTH_M, "distance_m": small.DISTANCE_M,
                "detector_pixel_m": small.DETECTOR_PIXEL_M}  # fmt: skip
    made = {}
    for unit, positions in scans.items():
        path = small.arrays(tmp_path / f"{unit}.h5", scan=positions)
        made[unit] = MeasuredFile(path, positions_unit=unit, **geometry).make(None, "float32", None)  # type: ignore[arg-type]
    assert made["m"].subpixel_shifts_px is None
    np.testing.assert_array_equal(made["m"].scan_positions_px, made["px"].scan_positions_px)
    assert made["m"].start_object.shape == made["px"].start_object.shape
