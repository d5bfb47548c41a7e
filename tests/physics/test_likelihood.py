"""Forward model and amplitude misfit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.core.problem import batches
from ptychosuite.physics.forward import detector_waves, diffraction_intensity
from ptychosuite.physics.likelihood import exit_wave_correction, wave_correction


def complex_random(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def test_forward_model(each_backend):
    """|F(Q z_k)|^2 with the unnormalised DFT, zero frequency at [0, 0]."""
    rng = np.random.default_rng(0)
    obj, probe, positions = complex_random(rng, 12, 12), complex_random(rng, 6, 6), np.array([[0, 3], [6, 6]])
    on_device = each_backend.asarray(obj), each_backend.asarray(probe)
    waves = to_numpy(detector_waves(*on_device, positions))
    n = np.arange(6)
    dft = np.exp(-2j * np.pi * np.outer(n, n) / 6)
    for wave, (row, column) in zip(waves, positions, strict=True):
        exit_wave = probe * obj[row : row + 6, column : column + 6]
        np.testing.assert_allclose(wave, dft @ exit_wave @ dft, rtol=0, atol=1e-12)
        assert wave[0, 0] == pytest.approx(exit_wave.sum())
    intensity = to_numpy(diffraction_intensity(*on_device, positions))
    np.testing.assert_allclose(intensity, np.abs(waves) ** 2, rtol=1e-12)


def test_energy():
    """Parseval: the intensity sums to m^2 times the power of the exit wave."""
    rng = np.random.default_rng(0)
    obj, probe = complex_random(rng, 8, 8), complex_random(rng, 8, 8)
    intensity = diffraction_intensity(obj, probe, np.array([[0, 0]]))
    assert intensity.sum() == pytest.approx(64 * np.sum(np.abs(obj * probe) ** 2), rel=1e-13)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_revised_wave_has_the_measured_modulus(each_backend, dtype):
    """F psi + correction keeps the phase, takes the modulus, and keeps the precision."""
    rng = np.random.default_rng(0)
    wave, amplitude = complex_random(rng, 3, 4, 4), rng.uniform(0, 5, (3, 4, 4))
    amplitude[0, 0, 0] = 0
    real = {"complex64": "float32", "complex128": "float64"}[dtype]
    found = wave_correction(each_backend.asarray(wave, dtype), each_backend.asarray(amplitude, real))
    assert to_numpy(found).dtype == dtype
    tolerance = 1e-5 if dtype == "complex64" else 1e-13
    np.testing.assert_allclose(
        to_numpy(found) + wave, amplitude * np.exp(1j * np.angle(wave)), rtol=0, atol=tolerance
    )


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_dark_detector_pixels(each_backend, dtype):
    """Where F psi = 0 the phase counts as 0: the correction is the amplitude, without a warning or NaN."""
    real = {"complex64": "float32", "complex128": "float64"}[dtype]
    amplitude = np.array([[0.0, 2.0], [3.0, 4.0]])
    wave = np.array([[0, 0], [3j, -0.0]])
    found = wave_correction(each_backend.asarray(wave, dtype), each_backend.asarray(amplitude, real))
    assert to_numpy(found).dtype == dtype
    np.testing.assert_allclose(to_numpy(found), [[0, 2], [0, 4]], rtol=0, atol=1e-6)


def test_nearly_dark_detector_pixels(each_backend):
    """A modulus far below the amplitude is still only scaled up."""
    wave, amplitude = np.full((2, 2), 1e-30 * (1 + 1j)), np.ones((2, 2))
    found = wave_correction(
        each_backend.asarray(wave, "complex64"), each_backend.asarray(amplitude, "float32")
    )
    np.testing.assert_allclose(to_numpy(found), np.exp(0.25j * np.pi), rtol=1e-5)


def test_exit_wave_correction(each_backend):
    """R(psi) - psi, and 0 where the modulus already fits."""
    rng = np.random.default_rng(0)
    wave, amplitude = complex_random(rng, 2, 6, 6), rng.uniform(0, 5, (2, 6, 6))
    spectrum = np.fft.fft2(wave)
    revised = np.fft.ifft2(amplitude * np.exp(1j * np.angle(spectrum)))
    on_device = each_backend.asarray(wave)
    found = exit_wave_correction(on_device, each_backend.asarray(amplitude))
    np.testing.assert_allclose(to_numpy(found), revised - wave, rtol=0, atol=1e-12)
    fits = exit_wave_correction(on_device, each_backend.asarray(np.abs(spectrum)))
    np.testing.assert_allclose(to_numpy(fits), 0, atol=1e-13)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_gradient_against_finite_differences(seed):
    """g = conj(Q) * (R - psi): -Re <g, d> is the slope of 1/2 ||psi - R(psi)||^2 along any complex d."""
    rng = np.random.default_rng(seed)
    probe, patch, direction = (complex_random(rng, 6, 6) for _ in range(3))
    amplitude = rng.uniform(0, 10, (6, 6))

    def misfit(z):
        return 0.5 * np.sum((np.abs(np.fft.fft2(probe * z)) - amplitude) ** 2) / 36

    h = 1e-6
    slope = (misfit(patch + h * direction) - misfit(patch - h * direction)) / (2 * h)
    g = np.conj(probe) * exit_wave_correction(probe * patch, amplitude)
    assert -np.vdot(g, direction).real == pytest.approx(slope, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(("n_positions", "probe_size"), [(0, 8), (1, 8), (49, 128), (100, 1024)])
def test_batches_cover_the_scan_once(n_positions, probe_size):
    """Consecutive slices, every position in exactly one, also where one pattern exceeds a batch."""
    covered = np.concatenate(
        [np.empty(0, int), *(np.arange(n_positions)[batch] for batch in batches(n_positions, probe_size))]
    )
    np.testing.assert_array_equal(covered, np.arange(n_positions))
