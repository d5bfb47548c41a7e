"""Partial coherence: modes with their powers, a source of some size, the detector's point spread."""

from __future__ import annotations

import numpy as np
import pytest
from ptychosuite.problems.coherence import FWHM_PER_SIGMA, Coherence, orthogonal_multiples, source_modes

from tests.problems.faulty import intensities, light, literal, made, truth

PROBE = made().reference.probe


def gram(modes):
    flat = modes.reshape(len(modes), -1)
    return flat.conj() @ flat.T


def test_modes_have_their_powers():
    """Orthogonal, as strong as was said, as much light as before in all; the first is the probe."""
    reference = truth(coherence={"powers": [16, 3, 1]})
    power = np.sum(np.abs(PROBE) ** 2)
    expected = power * np.diag([0.8, 0.15, 0.05])
    np.testing.assert_allclose(gram(reference.probe_modes), expected, atol=1e-9 * power)
    np.testing.assert_allclose(reference.probe_modes[0], np.sqrt(0.8) * PROBE, atol=1e-12 * np.sqrt(power))
    np.testing.assert_array_equal(reference.probe, reference.probe_modes[0])


def test_multiples_are_those_of_x_and_y():
    """Of a Gaussian beam at its waist they are Hermite-Gauss modes, along columns before rows."""
    axis = np.arange(48) - 24
    beam = np.exp(-np.add.outer(axis**2, axis**2) / 50.0) + 0j
    _, along_columns, along_rows, _ = modes = orthogonal_multiples(beam, 4)
    for found, factor in ((along_columns, axis[None, :]), (along_rows, axis[:, None])):
        expected = beam * factor
        np.testing.assert_allclose(
            found, expected * np.linalg.norm(beam) / np.linalg.norm(expected), atol=1e-10
        )
    second = beam * (axis[None, :] ** 2 - 12.5)  # H2: x^2 less its mean square
    overlap = np.vdot(modes[3], second) / np.linalg.norm(modes[3]) / np.linalg.norm(second)
    assert overlap == pytest.approx(1, abs=1e-9)


def test_patterns_are_those_of_all_modes():
    """Intensities add."""
    reference = truth(coherence={"powers": [0.8, 0.15, 0.05]})
    expected = sum(literal(reference, mode) for mode in reference.probe_modes)
    np.testing.assert_allclose(intensities(coherence={"powers": [0.8, 0.15, 0.05]}), expected, rtol=1e-10)


def test_known_modes_are_those_of_the_problem():
    """Solvers get the modes, and the strongest at the power of all; with a start of the study's, neither."""
    problem = made(coherence={"powers": [0.7, 0.3]})
    np.testing.assert_array_equal(problem.probe_modes, problem.reference.probe_modes)
    np.testing.assert_allclose(problem.probe, PROBE, atol=1e-12)
    started = made(
        coherence={"powers": [0.7, 0.3]}, start_probe={"kind": "disk", "size": 32, "diameter_px": 9.0}
    )
    assert started.probe_modes is None
    assert not started.probe_known
    assert made(coherence={"powers": [1.0]}).probe_modes is None


@pytest.mark.parametrize("fwhm", [1.0, 2.0])
def test_source_is_an_average_over_shifts(fwhm):
    """Patterns of the coherent modes are those of the probe shifted over the source's image, averaged."""
    sigma = fwhm / FWHM_PER_SIGMA
    reference = truth(coherence={"source_fwhm_px": fwhm, "n_modes": 40})
    places, weights = np.polynomial.hermite_e.hermegauss(9)
    weights = weights / weights.sum()
    cycles = np.fft.fftfreq(32)
    averaged = 0
    for dy, wy in zip(sigma * places, weights, strict=True):
        for dx, wx in zip(sigma * places, weights, strict=True):
            turn = np.exp(-2j * np.pi * np.add.outer(cycles * dy, cycles * dx))
            averaged = averaged + wy * wx * literal(reference, np.fft.ifft2(np.fft.fft2(PROBE) * turn))
    difference = np.abs(light(reference) - averaged).sum() / averaged.sum()
    assert difference < 5e-4
    coherent = np.abs(literal(reference, PROBE) - averaged).sum() / averaged.sum()
    assert coherent > 10 * difference
    assert len(truth(coherence={"source_fwhm_px": fwhm}).probe_modes) < 12


def test_source_modes_are_orthogonal_and_hold_the_power():
    """Strongest first; as many as are asked for."""
    modes = source_modes(PROBE, 1.0, None)
    products, power = gram(modes), np.sum(np.abs(PROBE) ** 2)
    powers = np.diag(products).real
    np.testing.assert_allclose(products, np.diag(powers), atol=1e-8 * power)
    assert (np.diff(powers) <= 1e-9 * power).all()
    assert powers.sum() == pytest.approx(power, rel=1e-12)
    assert len(source_modes(PROBE, 1.0, 3)) == 3
    overlap = abs(np.vdot(modes[0], PROBE)) / np.sqrt(powers[0] * power)
    assert 0.9 < overlap < 1  # of a small source the first mode is nearly the probe


def test_point_spread_is_a_gaussian():
    """One bright pixel becomes a Gaussian of its width, across the edges of the window; no light is lost."""
    image = np.zeros((1, 64, 64))
    image[0, 0, 0] = 1.0
    spread = Coherence(detector_psf_px=4.0).blurred(image)[0]
    axis = np.fft.fftfreq(64, 1 / 64)
    expected = np.exp(-4 * np.log(2) * np.add.outer(axis**2, axis**2) / 4**2)
    np.testing.assert_allclose(spread / spread[0, 0], expected, atol=1e-6)
    assert spread.sum() == pytest.approx(1)
    assert spread[2, 0] == pytest.approx(spread[0, 0] / 2)


def test_point_spread_smooths_patterns():
    """Patterns have less contrast and the same light; the truth is the same."""
    sharp, smooth = intensities(), intensities(coherence={"detector_psf_px": 1.5})
    np.testing.assert_allclose(smooth.sum(axis=(1, 2)), sharp.sum(axis=(1, 2)), rtol=1e-10)
    assert (smooth.std(axis=(1, 2)) < sharp.std(axis=(1, 2))).all()
    assert truth(coherence={"detector_psf_px": 1.5}).name == truth().name
