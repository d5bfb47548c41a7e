"""An unstable beam, motion, dose, and what the detector makes of the light."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ptychosuite.backends.arrays import backend
from ptychosuite.core.problem import batches
from ptychosuite.physics.forward import diffraction_intensity
from ptychosuite.problems.build import build_problem
from ptychosuite.problems.detector import Detector
from ptychosuite.problems.fly_scan import FlyScan
from ptychosuite.problems.unstable_beam import UnstableBeam

from tests.problems.faulty import IDEAL, intensities, literal, made, spec, truth


def test_intensities_have_mean_one_and_their_rms():
    found = UnstableBeam(intensity_rms=0.3).intensities(20000, np.random.default_rng(2))
    assert found.mean() == pytest.approx(1)
    assert found.std() == pytest.approx(0.3, rel=0.03)
    assert found.min() > 0


def test_unstable_intensity_scales_patterns():
    """Each pattern by its own factor, which the truth has."""
    settings = {"illumination": {"intensity_rms": 0.2}}
    factors = truth(**settings).intensity
    np.testing.assert_allclose(intensities(**settings), factors[:, None, None] * intensities(), rtol=1e-12)
    assert factors.std() > 0.1


def test_beam_that_moves_is_an_error_of_the_positions():
    """The probe lies elsewhere on the sample than scanned, and the data show it."""
    settings = {"illumination": {"position_rms_px": 1.0}}
    reference = truth(**settings)
    moves = reference.scan_positions_px - reference.given_positions_px
    assert 0.7 < moves.std() < 1.3
    np.testing.assert_allclose(intensities(**settings), literal(reference, reference.probe), rtol=1e-10)
    both = truth(**settings, position_errors={"random_px": 1.0})
    assert (both.scan_positions_px - both.given_positions_px).std() == pytest.approx(np.sqrt(2), rel=0.25)


def test_variation_is_a_second_field_added_coherently():
    """Orthogonal to the probe, with its share of the mean power; the patterns are of the sums."""
    settings = {"illumination": {"variation": 0.1}}
    reference, power = truth(**settings), np.sum(np.abs(truth().probe) ** 2)
    (second,), weights = reference.probe_variation, reference.variation_weights
    assert abs(np.vdot(reference.probe, second)) < 1e-9 * power
    assert np.sum(np.abs(reference.probe) ** 2) == pytest.approx(0.9 * power)
    assert np.mean(weights**2) * np.sum(np.abs(second) ** 2) == pytest.approx(0.1 * power)
    assert weights.mean() == pytest.approx(0, abs=1e-12)
    probes = reference.probe + weights[:, :, None] * second
    np.testing.assert_allclose(intensities(**settings), literal(reference, probes), rtol=1e-10)
    np.testing.assert_allclose(made(**settings).probe, truth().probe, rtol=1e-12)  # at the power of all


def test_variation_of_several_modes_is_the_first_ones():
    settings = {"illumination": {"variation": 0.2}, "coherence": {"powers": [0.8, 0.2]}}
    reference = truth(**settings)
    first = reference.probe_modes[0] + reference.variation_weights[:, :, None] * reference.probe_variation[0]
    expected = literal(reference, first) + literal(reference, reference.probe_modes[1])
    np.testing.assert_allclose(intensities(**settings), expected, rtol=1e-10)
    assert np.sum(np.abs(reference.probe_modes[1]) ** 2) == pytest.approx(
        0.2 * np.sum(np.abs(truth().probe) ** 2)
    )


def test_fly_scan_is_an_average_along_the_columns():
    """Of intensities at the places of the way, about the middle of it."""
    settings = {"fly_scan": {"blur_px": 3.0, "samples": 3}}
    expected = sum(literal(truth(), truth().probe, (0, dx)) for dx in (-1, 0, 1)) / 3
    np.testing.assert_allclose(intensities(**settings), expected, rtol=1e-10)
    assert truth(**settings).name == truth().name
    many, usual = (intensities(fly_scan={"blur_px": 3.0, "samples": n}) for n in (40, None))
    assert np.abs(many - usual).sum() < 0.2 * np.abs(many - intensities()).sum()


def test_fly_scan_samples_by_default():
    """One every half pixel; a scan that stands still has one place."""
    np.testing.assert_allclose(FlyScan(blur_px=2.0).offsets_px()[:, 1], [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_array_equal(FlyScan(samples=7).offsets_px(), [[0, 0]])


@pytest.mark.parametrize("photons", [200.0, 50_000.0])
def test_photons_a_pattern(photons):
    """The mean pattern holds as many counts, and eta is the intensity of one."""
    settings = {"noise": None, "photons": photons, "coherence": {"powers": [0.8, 0.2]}}
    problem = made(**settings)
    counts = problem.diffraction_amplitude.values
    assert counts.dtype.kind == "u"
    total = counts.sum(dtype=float)
    assert total == pytest.approx(photons * len(counts), abs=4 * np.sqrt(photons * len(counts)))
    exact = intensities(coherence={"powers": [0.8, 0.2]})
    assert problem.noise == pytest.approx(exact.sum() / len(exact) / photons)


def test_dark_counts_add_to_the_photons():
    """Their number is Poisson's, on every pixel."""
    counts = made(noise=0.05, detector={"dark": 3.0}).diffraction_amplitude.values.astype(float)
    rates = intensities() / 0.05
    assert (counts - rates).mean() == pytest.approx(3, abs=5 * np.sqrt(counts.mean() / counts.size))
    dim = rates < 10
    assert np.mean((counts - rates - 3)[dim] ** 2 / (rates + 3)[dim]) == pytest.approx(1, rel=0.1)
    np.testing.assert_allclose(intensities(detector={"dark": 3.0}), intensities() + 3, rtol=1e-12)


def test_gain_changes_the_statistics_alone():
    """Recorded numbers are larger, intensities are not, and solvers are told what one count stands for."""
    plain, gained = made(noise=0.05), made(noise=0.05, detector={"gain": 4.0})
    assert gained.noise == gained.photon_scale == 0.05 / 4
    rates = intensities()
    counts = gained.diffraction_amplitude.values.astype(float)
    np.testing.assert_array_equal(counts % 4, 0)
    bright = rates > 5 * 0.05
    deviation = counts[bright] - 4 * rates[bright] / 0.05
    assert np.mean(deviation**2 / (4 * rates[bright] / 0.05)) == pytest.approx(4, rel=0.1)  # Poisson's is 1
    total = [np.sum(problem.diffraction_amplitude[:] ** 2) for problem in (plain, gained)]
    assert total[0] == pytest.approx(total[1], rel=0.01)


def test_read_noise_is_normal_and_counts_stay_whole():
    """Where there are many counts its variance adds up; none is below zero."""
    detector = Detector(read_noise=5.0)
    values = detector.recorded(np.full((40, 50, 50), 1000), True, np.random.default_rng(3))
    assert (values == np.rint(values)).all()
    assert values.mean() == pytest.approx(1000, abs=0.1)
    assert values.std() == pytest.approx(np.sqrt(25 + 1 / 12), rel=0.02)
    assert detector.recorded(np.zeros((2, 8, 8), int), True, np.random.default_rng(3)).min() == 0
    assert made(noise=0.05, detector={"read_noise": 2.0}).diffraction_amplitude.values.dtype.kind == "u"


def test_saturation_is_a_limit():
    """No count above it, the others as they were; its pixels are data, or masked in all patterns."""
    plain = made(noise=0.01).diffraction_amplitude.values
    limit = int(plain.max() // 4)
    settings = {"noise": 0.01, "detector": {"saturation": limit}}
    problem = made(**settings)
    assert problem.diffraction_amplitude.values.max() == limit
    assert problem.detector_mask is None
    masked = made(noise=0.01, detector={"saturation": limit, "mask_saturated": True})
    mask, values = masked.detector_mask, masked.diffraction_amplitude.values
    assert 0 < (mask == 0).sum() < mask.size / 2
    np.testing.assert_array_equal(values[:, mask == 0], 0)
    assert values.max() < limit


def test_dead_pixels_record_nothing_and_are_masked():
    """As many as were said, at places that the seed draws."""
    settings = {"noise": 0.05, "detector": {"dead_pixels": 0.1}}
    problem = made(**settings)
    mask = problem.detector_mask
    assert (mask == 0).sum() == round(0.1 * 32**2)
    assert problem.diffraction_amplitude.values[:, mask == 0].max() == 0
    np.testing.assert_array_equal(mask, made(**settings).detector_mask)
    assert not np.array_equal(mask, made(1, **settings).detector_mask)


def test_gaps_between_modules():
    """The middle module is around the beam; its neighbours stand a gap away."""
    mask = np.fft.fftshift(made(detector={"gap_px": 3, "module_px": 10}).detector_mask)
    row = "".join(str(int(good)) for good in mask[16])
    assert row == "11111111" + "000" + "1111111111" + "000" + "11111111"
    assert row[16 - 5 : 16 + 5] == 10 * "1"
    np.testing.assert_array_equal(mask, np.outer(mask[16], mask[16]))
    np.testing.assert_array_equal(mask, mask.T)


def test_no_fault_no_change():
    """Without faults the counts are, bit by bit, Poisson's of |F psi|^2 / eta from the data's generator."""
    problem, run = made(noise=0.05), spec(noise=0.05)
    reference, rng = problem.reference, run.rng("data")
    expected = np.concatenate(
        [
            rng.poisson(
                diffraction_intensity(reference.object, reference.probe, reference.scan_positions_px[batch])
                / 0.05
            )
            for batch in batches(problem.n_positions, 32)
        ]
    )
    np.testing.assert_array_equal(problem.diffraction_amplitude.values, expected)
    assert problem.diffraction_amplitude.values.dtype == np.min_scalar_type(int(expected.max()))
    assert set(reference.arrays) == {"object", "probe", "scan_positions_px"}


def test_faults_go_together():
    """All at once: finite whole counts, the photons that were asked for, a truth that says it all."""
    problem = made(
        noise=None,
        photons=2e4,
        rotation_deg=2.0,
        margin_px=16,
        position_errors={"random_px": 0.5, "drift_px": [1.0, 1.0]},
        coherence={"source_fwhm_px": 1.0, "n_modes": 3, "detector_psf_px": 1.0},
        illumination={"intensity_rms": 0.1, "position_rms_px": 0.3, "variation": 0.05},
        fly_scan={"blur_px": 1.0},
        detector={"dark": 0.1, "read_noise": 0.5, "dead_pixels": 0.01},
    )
    assert set(problem.reference.arrays) == {
        "object", "probe", "scan_positions_px", "probe_modes", "given_positions_px", "intensity",
        "probe_variation", "variation_weights",
    }  # fmt: skip
    values = problem.diffraction_amplitude.values
    assert values.dtype.kind == "u"
    light = values.sum(axis=(1, 2), dtype=float).mean()
    assert light == pytest.approx(2e4 * 0.99 + 0.1 * 32**2, rel=0.03)
    assert np.sum(np.abs(problem.probe) ** 2) == pytest.approx(np.sum(np.abs(truth().probe) ** 2))


def test_solver_does_not_change_the_truth():
    faulty = spec(position_errors={"random_px": 1.0}, illumination={"intensity_rms": 0.1}, noise=0.05)
    other = dataclasses.replace(faulty, solver={"name": "lbfgs"}, stop={"iterations": 9})
    one, two = (build_problem(run, backend("numpy")) for run in (faulty, other))
    assert one.reference.name == two.reference.name
    np.testing.assert_array_equal(one.diffraction_amplitude[:], two.diffraction_amplitude[:])
    assert IDEAL.problem_id != faulty.problem_id
