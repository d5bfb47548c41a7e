"""Sub-pixel translation and its adjoint."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.physics.shift import fourier_shift, fourier_unshift, shift_phases
from ptychosuite.testing import dot_test


def complex_random(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 4))
def test_dot_test(seed, size, n):
    """<S x, y> = <x, S* y> for complex x and y, odd and even sizes."""
    rng = np.random.default_rng(seed)
    shape = (n, size, size)
    phases = shift_phases(size, rng.uniform(-3, 3, (n, 2)), np.zeros(shape, complex))
    dot_test(
        lambda x: fourier_shift(x, phases), lambda y: fourier_unshift(y, phases), shape, shape, seed=seed
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_inverse(seed, size):
    rng = np.random.default_rng(seed)
    x = complex_random(rng, 3, size, size)
    phases = shift_phases(size, rng.uniform(-3, 3, (3, 2)), x)
    np.testing.assert_allclose(fourier_unshift(fourier_shift(x, phases), phases), x, atol=1e-13)


@pytest.mark.parametrize("size", [7, 8])
def test_whole_pixels_roll(size):
    """One image moved to several places: content goes to larger rows and columns for positive shifts."""
    x, shifts = complex_random(np.random.default_rng(0), size, size), np.array([[1, 2], [-3, 0], [0, 0]])
    moved = fourier_shift(x, shift_phases(size, shifts, x))
    expected = np.stack([np.roll(x, shift, (0, 1)) for shift in shifts.tolist()])
    np.testing.assert_allclose(moved, expected, atol=1e-13)


def test_fraction_of_a_pixel_is_the_band_limited_translate():
    size, (dy, dx) = 16, (0.3, -1.45)
    y, x = np.mgrid[:size, :size] * 2 * np.pi / size

    def wave(y, x):
        return np.exp(1j * (3 * y - 2 * x)) + 0.5 * np.exp(-1j * (y + 5 * x))

    moved = fourier_shift(wave(y, x), shift_phases(size, np.array([[dy, dx]]), y))
    step = 2 * np.pi / size
    np.testing.assert_allclose(moved[0], wave(y - dy * step, x - dx * step), atol=1e-13)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_same_on_every_backend_in_its_precision(each_backend, dtype):
    rng = np.random.default_rng(0)
    x, shifts = complex_random(rng, 8, 8), np.array([[0.5, -1.2], [2.0, 0.25]])
    held = each_backend.asarray(x, dtype)
    phases = shift_phases(8, shifts, held)
    moved = fourier_shift(held, phases)
    back = fourier_unshift(moved, phases)
    assert phases.dtype == moved.dtype == back.dtype == held.dtype
    expected = fourier_shift(x, shift_phases(8, shifts, x))
    tolerance = 1e-5 if dtype == "complex64" else 1e-13
    np.testing.assert_allclose(to_numpy(moved), expected, atol=tolerance)
    np.testing.assert_allclose(to_numpy(back), np.stack([x, x]), atol=tolerance)
    np.testing.assert_array_equal(to_numpy(held), x.astype(dtype))


@pytest.mark.parametrize(("real", "complex_"), [("float32", "complex64"), ("float64", "complex128")])
def test_phases_take_the_precision_of_a_real_array(each_backend, real, complex_):
    like = each_backend.asarray(np.zeros((4, 4)), real)
    assert to_numpy(shift_phases(4, np.zeros((1, 2)), like)).dtype == complex_
