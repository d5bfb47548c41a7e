"""Removal of what blind ptychography cannot know."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychosuite.metrics.gauge import Gauge, align, apply_gauge, remove_gauge
from ptychosuite.problems.objects import Circuit, Texture

SIZE = 192


def smooth_object(dy=0.0, dx=0.0, size=SIZE, phase=4.0):
    """A field that is not periodic, translated by its formula: no interpolation, no edge."""
    y, x = np.mgrid[:size, :size].astype(float)
    y, x = (y - dy) / size, (x - dx) / size
    magnitude = 0.7 + 0.3 * np.cos(14 * x + 3 * y) * np.cos(11 * y)
    return magnitude * np.exp(
        1j * (phase * np.sin(5 * y + 1) * np.cos(6 * x) + 0.5 * np.sin(20 * x + 13 * y))
    )


def ramp(rows, columns, size=SIZE):
    """``rows`` and ``columns`` radians over the field."""
    y, x = np.mgrid[:size, :size] / size
    return np.exp(1j * (rows * y + columns * x))


def interior(margin=12, size=SIZE):
    mask = np.zeros((size, size), dtype=bool)
    mask[margin:-margin, margin:-margin] = True
    return mask


def complex_noise(rng, shape, level):
    return level / np.sqrt(2) * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))


def distance(obj, truth, mask):
    return float(np.sum(np.abs(truth[mask]) ** 2 * np.abs(obj[mask] - truth[mask]) ** 2))


def scale_alone(obj, truth, mask):
    """The best that a complex scale can do, by the formula of weighted least squares."""
    weight = np.abs(truth[mask]) ** 2
    return obj * (np.sum(weight * obj[mask].conj() * truth[mask]) / np.sum(weight * np.abs(obj[mask]) ** 2))


@settings(max_examples=12, deadline=None)
@given(
    st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    st.floats(0.01, 100),
    st.floats(-np.pi, np.pi),
)
def test_removes_scale_ramp_and_translation(shift, slope, magnitude, phase):
    """A smooth object of several radians comes back to well below a milliradian."""
    truth = smooth_object()
    aligned = remove_gauge(
        magnitude * np.exp(1j * phase) * ramp(*slope) * smooth_object(*shift), truth, interior()
    )
    assert np.abs(aligned - truth)[interior()].max() < 3e-4


def test_reports_what_it_removed():
    obj = (2 - 1j) * ramp(2.5, -3) * smooth_object(1.6, -2.3)
    aligned, gauge = align(obj, smooth_object(), interior())
    np.testing.assert_allclose(gauge.shift_px, (-1.6, 2.3), atol=1e-3)
    np.testing.assert_allclose(np.array(gauge.ramp_rad_per_px) * SIZE, (-2.5, 3), atol=1e-3)
    assert abs(gauge.scale) == pytest.approx(1 / abs(2 - 1j), rel=1e-4)
    np.testing.assert_allclose(apply_gauge(obj, gauge), aligned, atol=1e-12)


def test_many_turns_of_ramp():
    obj = ramp(60, -90) * smooth_object(2, -1)
    assert np.abs(remove_gauge(obj, smooth_object(), interior()) - smooth_object())[interior()].max() < 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_ten_per_cent_of_noise(seed):
    """The noise stays, and next to no misalignment is added to it."""
    truth, rng = smooth_object(), np.random.default_rng(seed)
    noise = complex_noise(rng, truth.shape, 0.1)
    _, gauge = align(ramp(2, 3) * (smooth_object(2.2, -0.7) + noise), truth, interior())
    np.testing.assert_allclose(gauge.shift_px, (-2.2, 0.7), atol=0.1)
    clean = apply_gauge(ramp(2, 3) * smooth_object(2.2, -0.7), gauge)
    misaligned = distance(scale_alone(clean, truth, interior()), truth, interior())
    assert misaligned < 1e-3 * distance(truth + noise, truth, interior())


@pytest.mark.parametrize(
    "truth",
    [Texture(SIZE, exponent=2.0, phase_range=6.0).make(), Circuit(SIZE, phase_range=5.0).make()],
    ids=["texture", "circuit"],
)
def test_detail_down_to_the_pixel(truth):
    """Rough objects whose phase wraps: the motion is found, though no interpolation is exact at edges."""
    gauge = Gauge(0.5j, (2 / SIZE, -3 / SIZE), (2.6, -1.3))
    aligned, found = align(apply_gauge(truth, gauge), truth, interior(24))
    np.testing.assert_allclose(found.shift_px, (-2.6, 1.3), atol=2e-3)
    np.testing.assert_allclose(np.array(found.ramp_rad_per_px) * SIZE, (-2, 3), atol=5e-3)
    assert distance(aligned, truth, interior(24)) < 1e-3 * distance(0 * truth, truth, interior(24))


def test_what_lies_outside_the_scan_does_not_matter():
    truth, mask = smooth_object(), np.hypot(*(np.indices((SIZE, SIZE)) - SIZE / 2)) < SIZE / 3
    wide = np.hypot(*(np.indices((SIZE, SIZE)) - SIZE / 2)) < SIZE / 3 + 12
    rng = np.random.default_rng(0)
    obj = np.where(wide, ramp(1, -2) * smooth_object(1.3, 0.4), complex_noise(rng, truth.shape, 1.0))
    _, gauge = align(obj, truth, mask)
    np.testing.assert_allclose(gauge.shift_px, (-1.3, -0.4), atol=0.02)
    np.testing.assert_allclose(np.array(gauge.ramp_rad_per_px) * SIZE, (-1, 2), atol=0.02)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(5, 5), (3, 9), (33, 40), (130, 140)]), st.floats(0, 1))
def test_never_worse_than_scale_alone(seed, shape, share):
    """Whatever the reconstruction: noise, half noise, tiny, not square."""
    rng = np.random.default_rng(seed)
    truth = complex_noise(rng, shape, 1.0)
    obj = share * np.roll(truth, 1, 0) + (1 - share) * complex_noise(rng, shape, 1.0)
    mask = rng.random(shape) < 0.7
    mask[0, 0] = True
    plain = distance(scale_alone(obj, truth, mask), truth, mask)
    assert distance(remove_gauge(obj, truth, mask), truth, mask) <= plain * (1 + 1e-9) + 1e-12


def test_flat_object_has_no_shift_to_find():
    truth = np.ones((40, 40), dtype=complex)
    np.testing.assert_allclose(remove_gauge(2j * truth, truth, truth.real > 0), truth, atol=1e-12)


@pytest.mark.parametrize("fill", [np.nan, np.inf, 0.0])
def test_nothing_to_align(fill):
    truth = smooth_object(size=32)
    obj = np.full(truth.shape, fill, dtype=complex)
    aligned, gauge = align(obj, truth, np.ones(truth.shape, dtype=bool))
    np.testing.assert_array_equal(aligned, obj)
    assert gauge == Gauge()
    assert align(truth, truth, np.zeros(truth.shape, dtype=bool))[1] == Gauge()


def test_arguments_stay_as_they_were():
    obj, truth, mask = ramp(1, 1).astype(np.complex64), smooth_object(), interior()
    for array in (obj, truth, mask):
        array.flags.writeable = False
    assert remove_gauge(obj, truth, mask).dtype == np.complex128
    apply_gauge(obj, Gauge(2.0, (0.1, 0.2), (0.5, 0.5)))
