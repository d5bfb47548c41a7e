"""Gaps, saturated pixels, dark and flat images and the beam's intensity, against the arithmetic by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured import MeasuredFile, Measurement
from ptychosuite.problems.measured.measured_file import factor_to_counts

from tests.problems.measured import small


def read(path: str, **settings: Any) -> Measurement:
    return MeasuredFile(path, zero_frequency="centre", **settings).read()


def centred(measurement: Measurement) -> np.ndarray:
    return np.fft.fftshift(measurement.diffraction_intensity, axes=(1, 2))


def bad(measurement: Measurement) -> list[list[int]]:
    """Pattern, row and column of what is bad in one pattern."""
    assert measurement.valid_pixels is not None
    return np.argwhere(~np.fft.fftshift(measurement.valid_pixels, axes=(1, 2))).tolist()


@pytest.fixture(scope="module")
def images() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {
        "dark": rng.uniform(0, 3, (small.M, small.M)),
        "flat": rng.uniform(0.5, 2, (small.M, small.M)),
        "intensities": rng.uniform(0.5, 2, small.N),
    }


def test_dark_flat_and_beam(tmp_path: Path, images: dict[str, np.ndarray]) -> None:
    path = small.arrays(tmp_path / "a.h5", data=small.patterns())
    for name, values in images.items():
        np.savez(tmp_path / f"{name}.npz", image=values)
    given = {name: {"path": str(tmp_path / f"{name}.npz"), "key": "image"} for name in images}
    counts = small.patterns().astype(float)
    flat, beam = images["flat"] / images["flat"].mean(), images["intensities"]
    beam = beam / beam.mean()
    expected = np.maximum(counts - images["dark"], 0) / flat / beam[:, None, None]
    np.testing.assert_allclose(centred(read(path, **given)), expected, rtol=1e-6)
    only_dark = read(path, dark=given["dark"], crop=16, bin=2)
    cut = np.maximum(counts - images["dark"], 0)[:, 8:24, 8:24]
    np.testing.assert_allclose(
        centred(only_dark), cut.reshape(small.N, 8, 2, 8, 2).sum(axis=(2, 4)), rtol=1e-6
    )


def test_a_flat_of_zero_is_a_dead_pixel(tmp_path: Path, images: dict[str, np.ndarray]) -> None:
    flat = images["flat"].copy()
    flat[4, 5] = 0
    np.savez(tmp_path / "flat.npz", flat=flat)
    path = small.arrays(tmp_path / "a.h5", data=small.patterns())
    measurement = read(path, flat={"path": str(tmp_path / "flat.npz"), "key": "flat"})
    assert np.argwhere(~np.fft.fftshift(measurement.detector_mask)).tolist() == [[4, 5]]
    assert not centred(measurement)[:, 4, 5].any()


@pytest.mark.parametrize(
    ("dtype", "value"),
    [(np.uint16, 65535), (np.uint32, 2**32 - 1), (np.float32, 2**32 - 1), (np.int32, 2**31 - 1)],
)
def test_the_largest_number_is_no_count(tmp_path: Path, dtype: Any, value: int) -> None:
    data = small.patterns().astype(dtype)
    data[:, 3, 4] = value  # a gap
    data[7, 20, 21] = value  # an overflown pixel
    measurement = read(small.arrays(tmp_path / "a.h5", data=data))
    assert np.argwhere(~np.fft.fftshift(measurement.detector_mask)).tolist() == [[3, 4]]
    assert bad(measurement) == [[7, 20, 21]]
    assert centred(measurement)[7, 20, 21] == 0
    assert "13 of" in measurement.source["bad counts"]
    counted = read(small.arrays(tmp_path / "a.h5", data=data), saturation="none")
    assert counted.detector_mask is None
    assert centred(counted).max() == pytest.approx(value)


def test_a_limit_of_ones_own_spoils_its_bin(tmp_path: Path) -> None:
    data = small.patterns().astype(np.float32)
    data[2, 10, 10] = 5000
    measurement = read(small.arrays(tmp_path / "a.h5", data=data), saturation=4000.0, bin=2)
    assert bad(measurement) == [[2, 5, 5]]


def test_negative_counts_can_be_masked_and_NaN_with_them(tmp_path: Path) -> None:
    data = small.patterns().astype(np.float32)
    data[3, 8, 9], data[5, 2, 2], data[:, 1, 1] = -1, np.nan, -1
    measurement = read(small.arrays(tmp_path / "a.h5", data=data), negative="mask", transpose=True)
    assert bad(measurement) == [[3, 9, 8], [5, 2, 2]]
    assert np.argwhere(~np.fft.fftshift(measurement.detector_mask)).tolist() == [[1, 1]]
    zeroed = small.patterns().astype(np.float32)
    zeroed[3, 8, 9] = zeroed[5, 2, 2] = 0
    zeroed[:, 1, 1] = 0
    np.testing.assert_array_equal(centred(measurement), np.swapaxes(zeroed, 1, 2))


def test_gaps_are_no_zeros_where_negative_counts_are(tmp_path: Path) -> None:
    data = small.patterns().astype(np.int32)
    data[:, 6, 7] = -1
    measurement = read(small.arrays(tmp_path / "a.h5", data=data), negative="zero")
    assert np.argwhere(~np.fft.fftshift(measurement.detector_mask)).tolist() == [[6, 7]]
    expected = np.maximum(data, 0)
    np.testing.assert_array_equal(centred(measurement), expected)
    assert measurement.source["gaps"].startswith("1 pixels that are -1 or -2")
    data[3:, 1, 1] = -5  # a dark image was taken off
    path = small.arrays(tmp_path / "b.h5", data=data)
    assert read(path, negative="zero").detector_mask is None


def test_what_is_bad_is_not_fitted(tmp_path: Path) -> None:
    """The misfit of a problem is as if the bad pixels were not there, whatever they hold."""
    from ptychosuite.metrics.misfit import DataConstants, misfit_metrics

    found = []
    for value in (65535, 0):
        data = small.patterns()
        data[7, 20, 21] = value
        path = small.arrays(tmp_path / f"{value}.h5", data=data)
        problem = MeasuredFile(path, positions_unit="px", zero_frequency="centre").make(
            lambda _: np.random.default_rng(0), "float64", None
        )
        constants = DataConstants.of(problem)
        found.append((problem.fitted_count, misfit_metrics(
            problem, problem.start_object.astype(complex), problem.probe, constants)))  # fmt: skip
    (masked, of_masked), (whole, of_whole) = found
    assert masked == whole - 1
    assert of_masked["residual"] < of_whole["residual"]  # the zero is a count where it is not masked


@pytest.mark.parametrize(
    ("part", "values", "says"),
    [
        ("dark", np.zeros((3, 3)), "has shape (3, 3); the patterns have (32, 32). Give"),
        ("flat", np.full((32, 32), np.nan), "NaN or infinite values; say 'flat: none'"),
        ("intensities", np.ones(5), "5 intensities for 12 patterns; say 'intensities: none'"),
        ("intensities", np.r_[1.0, 0.0, np.ones(10)], "is 0 at pattern 1; expected a number above zero"),
    ],
)  # fmt: skip
def test_images_that_cannot_be(tmp_path: Path, part: str, values: np.ndarray, says: str) -> None:
    np.savez(tmp_path / "b.npz", image=values)
    path = small.arrays(tmp_path / "a.h5")
    with pytest.raises(DataFileError) as caught:
        read(path, **{part: {"path": str(tmp_path / "b.npz"), "key": "image"}})
    assert says in str(caught.value)


def test_no_dark_is_taken_off_amplitudes(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", image=np.zeros((small.M, small.M)))
    with pytest.raises(DataFileError, match="cannot be taken off amplitudes"):
        read(
            small.arrays(tmp_path / "a.h5"),
            counts="amplitude",
            dark={"path": str(tmp_path / "b.npz"), "key": "image"},
        )


def test_every_pixel_beyond_the_limit(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="'data' leaves no good pixel; give 'saturation'"):
        read(small.arrays(tmp_path / "a.h5", data=small.patterns() + 1), saturation=0.5)


@pytest.mark.parametrize("binning", [1, 2])
def test_a_mask_for_each_pattern(tmp_path: Path, binning: int) -> None:
    masks = np.ones((small.N, small.M, small.M), bool)
    masks[:, 3, 4] = masks[7, 20, 21] = masks[2, 20, 21] = False
    measurement = read(small.arrays(tmp_path / "a.h5", data=small.patterns(), mask=masks), bin=binning)
    places = [[2, 20 // binning, 21 // binning], [7, 20 // binning, 21 // binning]]
    assert bad(measurement) == places
    assert np.argwhere(~np.fft.fftshift(measurement.detector_mask)).tolist() == [[3 // binning, 4 // binning]]
    same = read(small.arrays(tmp_path / "b.h5", data=small.patterns(), mask=masks[:1].repeat(small.N, 0)))
    assert same.valid_pixels is None
    masks[0, 1, 1] = False
    with pytest.raises(DataFileError, match="'mask' holds 5 masks for 12 patterns"):
        read(small.arrays(tmp_path / "c.h5", data=small.patterns(), mask=masks[:5]))


def test_entry_of_a_file_without_entries(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="'arrays' has no entries; leave 'entry' out"):
        read(small.arrays(tmp_path / "a.h5"), entry="second")


def test_the_scale_of_the_probe_leaves_out_what_is_bad_in_single_patterns() -> None:
    """The probe that made the counts has their scale, also where its brightest pixels are bad in some."""
    rng = np.random.default_rng(0)
    probe = rng.standard_normal((8, 8)) + 1j * rng.standard_normal((8, 8))
    pattern = np.abs(np.fft.fft2(probe)) ** 2
    valid = np.ones((4, 8, 8), bool)
    valid[::2, pattern > np.quantile(pattern, 0.9)] = False
    counts = np.where(valid, pattern, 0)
    assert factor_to_counts(probe, counts, None, valid) == pytest.approx(1)
    good = rng.uniform(size=(8, 8)) < 0.7
    assert factor_to_counts(2 * probe, counts * good, good, valid) == pytest.approx(0.5)
