"""Fourier ring correlation, its thresholds and its crossing."""

import numpy as np
import pytest
from ptychosuite.metrics.frc import (
    RingCorrelation,
    align_pair,
    crossing,
    half_bit_threshold,
    one_bit_threshold,
    resolution_px,
    ring_correlation,
)
from ptychosuite.metrics.gauge import Gauge, apply_gauge


def complex_random(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def low_passed(rng, size, cut_off):
    """White complex noise up to ``cut_off`` times Nyquist, nothing beyond; unit mean power."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size)) * 2
    x = np.fft.ifft2(np.fft.fft2(complex_random(rng, size, size)) * (frequency <= cut_off))
    return x / np.sqrt(np.mean(np.abs(x) ** 2))


@pytest.mark.parametrize("shape", [(8, 8), (9, 9), (7, 12)])
def test_ring_sums_by_the_definition(shape):
    """Pixel by pixel over the spectrum, as the formula reads."""
    rng = np.random.default_rng(0)
    a = complex_random(rng, *shape)
    b = a + complex_random(rng, *shape)
    found = ring_correlation(a, b, window=False)
    spectrum_a, spectrum_b, size = np.fft.fft2(a), np.fft.fft2(b), min(shape)
    for i, frequency in enumerate(found.frequency):
        cross = power_a = power_b = pixels = 0
        for row in range(shape[0]):
            for column in range(shape[1]):
                y = (row if row <= (shape[0] - 1) // 2 else row - shape[0]) / shape[0]
                x = (column if column <= (shape[1] - 1) // 2 else column - shape[1]) / shape[1]
                if round(size * (y**2 + x**2) ** 0.5) == i + 1:
                    p, q = spectrum_a[row, column], spectrum_b[row, column]
                    cross += (p * q.conjugate()).real
                    power_a += abs(p) ** 2
                    power_b += abs(q) ** 2
                    pixels += 1
        assert found.n_pixels[i] == pixels
        assert frequency == pytest.approx((i + 1) / (size / 2))
        assert found.correlation[i] == pytest.approx(cross / (power_a * power_b) ** 0.5)


@pytest.mark.parametrize("window", [False, True])
def test_identical_images_agree_to_the_last_ring(window):
    a = complex_random(np.random.default_rng(0), 64, 64) + 5
    found = ring_correlation(a, 3 * a, window)
    np.testing.assert_allclose(found.correlation, 1, atol=1e-12)
    assert found.frequency[-1] == 1
    assert crossing(found, half_bit_threshold(found.n_pixels)) == 1


def test_the_phase_between_two_images_counts():
    a = complex_random(np.random.default_rng(0), 32, 32)
    np.testing.assert_allclose(ring_correlation(a, np.exp(0.5j) * a).correlation, np.cos(0.5), atol=1e-12)


@pytest.mark.parametrize("window", [False, True])
def test_independent_noise_does_not_correlate(window):
    """The real part of the mean of n products of independent phasors scatters by 1 / sqrt(2 n)."""
    rng = np.random.default_rng(1)
    found = ring_correlation(complex_random(rng, 128, 128), complex_random(rng, 128, 128), window)
    share = 0.7 if window else 1.0  # of the ring's pixels that are independent
    sigmas = found.correlation * np.sqrt(2 * share * found.n_pixels)
    assert np.mean(np.abs(sigmas) < 3) > 0.97
    assert np.std(sigmas) == pytest.approx(1, abs=0.25)
    assert crossing(found, half_bit_threshold(found.n_pixels)) == 0


def test_white_signal_gives_its_signal_to_noise_ratio():
    """FRC = SNR / (1 + SNR) where both carry the same signal and independent noise."""
    rng = np.random.default_rng(2)
    signal = complex_random(rng, 128, 128)
    a, b = (signal + complex_random(rng, 128, 128) / np.sqrt(2) for _ in range(2))
    found = ring_correlation(a, b)
    wide = found.n_pixels > 100
    np.testing.assert_allclose(found.correlation[wide], 2 / 3, atol=0.12)
    assert np.mean(found.correlation[wide]) == pytest.approx(2 / 3, abs=0.01)


@pytest.mark.parametrize("cut_off", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("threshold", [half_bit_threshold, one_bit_threshold])
@pytest.mark.parametrize(("window", "rings"), [(False, 1.5), (True, 5)])
def test_known_cut_off(cut_off, threshold, window, rings):
    """Signal up to the cut-off, noise everywhere; the window smears the edge over a few rings."""
    rng = np.random.default_rng(3)
    signal = low_passed(rng, 128, cut_off)
    a, b = (signal + 0.2 * complex_random(rng, 128, 128) for _ in range(2))
    found = ring_correlation(a, b, window)
    assert crossing(found, threshold(found.n_pixels)) == pytest.approx(cut_off, abs=rings / 64)


def test_gauge_of_one_image_does_not_move_the_crossing():
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:160, :160] / 160
    signal = (1 + 0.3 * low_passed(rng, 160, 0.5)) * np.exp(2j * np.sin(5 * y + 3 * x))
    a, b = (signal + 0.05 * complex_random(rng, 160, 160) for _ in range(2))
    moved = apply_gauge(a, Gauge(1.5j, (0.02, -0.01), (1.4, -2.3)))
    mask = np.zeros(a.shape, dtype=bool)
    mask[8:-8, 8:-8] = True

    def place(a, b):
        found = ring_correlation(a[8:-8, 8:-8], b[8:-8, 8:-8])
        return crossing(found, half_bit_threshold(found.n_pixels))

    assert place(moved, b) < 0.8 * place(a, b)
    assert place(*align_pair(moved, b, mask)) == pytest.approx(place(a, b), abs=1 / 72)
    assert place(*align_pair(moved, b)) == pytest.approx(place(a, b), abs=1 / 72)


def test_thresholds():
    """The published constants; a ring of one pixel can never pass, a wide one needs SNR / (1 + SNR)."""
    n = np.array([1, 8, 100, 10**12])
    root = np.sqrt(n)
    np.testing.assert_allclose(
        half_bit_threshold(n), (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root), atol=1e-4
    )
    np.testing.assert_allclose(one_bit_threshold(n), (0.5 + 2.4142 / root) / (1.5 + 1.4142 / root), atol=1e-4)
    assert half_bit_threshold(n)[0] == one_bit_threshold(n)[0] == pytest.approx(1)
    assert one_bit_threshold(n)[-1] == pytest.approx(1 / 3, abs=1e-5)


@pytest.mark.parametrize(
    ("correlation", "expected"),
    [
        ([0.9, 0.8, 0.7, 0.6], 1.0),
        ([0.4, 0.3, 0.9, 0.9], 0.0),
        ([0.4, 0.9, 0.7, 0.3, 0.2], 0.7),  # a first ring below, alone, does not count
        ([0.9, 0.4, 0.8, 0.6, 0.3, 0.1], 0.72222222),
        ([0.9, 0.8, 0.7, 0.3], 1.0),  # the last ring has none after it to confirm the fall
    ],
)
def test_crossing(correlation, expected):
    n = len(correlation)
    curve = RingCorrelation(np.arange(1, n + 1) / n, np.array(correlation), np.ones(n, dtype=int))
    assert crossing(curve, np.full(n, 0.5)) == pytest.approx(expected)


def test_resolution_is_the_half_period():
    assert resolution_px(1.0) == 1
    assert resolution_px(0.25) == 4
    assert resolution_px(0.0) == np.inf


def test_dark_image_and_unequal_shapes():
    dark = np.zeros((16, 16), dtype=complex)
    np.testing.assert_array_equal(ring_correlation(dark, dark + 1).correlation, 0)
    with pytest.raises(ValueError, match=r"\(16, 16\) and \(8, 8\)"):
        ring_correlation(dark, dark[:8, :8])
