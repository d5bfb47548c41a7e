"""How low a deviance can be: what noise leaves of a model, and of the truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.stats
from ptychosuite.backends.arrays import backend, to_numpy
from ptychosuite.core.problem import Problem
from ptychosuite.metrics.evaluation import Evaluation, ProblemConstants
from ptychosuite.metrics.metric import metrics_of_run
from ptychosuite.metrics.noise_limit import expected_deviance, expected_pixel_deviance, truth_deviance
from ptychosuite.problems.build import build_problem
from scipy.special import xlogy

from tests.conftest import small_problem
from tests.study.small import plan_text

RATES = [0.0, 1e-30, 1e-9, 0.99e-8, 1.01e-8, 1e-4, 0.03, 0.5, 1, 2.5, 7, 20, 49.9, 50.1, 100, 1e4]


def literal(rate):
    """The deviance of every count times its probability."""
    counts = np.arange(int(rate + 40 * np.sqrt(rate)) + 60)
    deviances = 2 * (xlogy(counts, counts) - xlogy(counts, rate) - counts + rate)
    return float(np.sum(scipy.stats.poisson.pmf(counts, rate) * np.nan_to_num(deviances)))


def test_expectation_is_the_sum_over_the_poisson_distribution():
    """Below, in and above the table, and at both its ends."""
    found = expected_pixel_deviance(np.array(RATES))
    np.testing.assert_allclose(found, [literal(rate) for rate in RATES], rtol=1e-5)
    np.testing.assert_array_equal(expected_pixel_deviance(np.array([np.nan, np.inf])), [np.nan, 1.0])


def test_expectation_is_below_one_where_it_is_dark_only():
    """From nothing to its largest value, which is above 1, and from there down to 1."""
    found = expected_pixel_deviance(np.geomspace(1e-6, 1e6, 4000))
    highest = int(np.argmax(found))
    assert (np.diff(found[: highest + 1]) > 0).all()
    assert (np.diff(found[highest:]) <= 1e-7).all()
    assert found[0] < 1e-4 < 1 < found[highest] < 1.2
    assert found[-1] == pytest.approx(1, abs=1e-6)


def drawn_again(problem, rng) -> Problem:
    """``problem`` with other counts of the same rates, those of the truth."""
    size, (obj, probe) = problem.probe_size, (problem.reference.object, problem.reference.probe)
    patches = [obj[r : r + size, c : c + size] for r, c in problem.scan_positions_px]
    rates = np.abs(np.fft.fft2(probe * np.array(patches))) ** 2 / problem.noise
    return dataclasses.replace(problem, diffraction_amplitude=np.sqrt(problem.noise * rng.poisson(rates)))


@pytest.mark.parametrize("noise", [0.05, 5.0, 50.0])
def test_the_truth_has_its_expectation_in_the_mean(noise):
    """Over many draws of the counts, far below 1 where they are few."""
    problem = small_problem(noise=noise)
    rng = np.random.default_rng(0)
    drawn = [truth_deviance(drawn_again(problem, rng)) for _ in range(60)]
    expected = expected_deviance(problem, problem.reference.object, problem.reference.probe)
    error = np.std(drawn) / np.sqrt(len(drawn))
    assert np.mean(drawn) == pytest.approx(expected, abs=4 * error)
    assert error < 0.01
    assert (expected < 0.8) == (noise == 50)


def test_on_every_backend(each_backend):
    """In single precision, of the pixels that are fitted, batch by batch."""
    problem = small_problem(each_backend, "complex64", noise=0.5)
    host = small_problem(noise=0.5)
    for own in (problem, host):
        assert expected_deviance(own, own.start_object, own.probe) == pytest.approx(
            expected_deviance(host, host.start_object, host.probe), rel=1e-5
        )
        assert truth_deviance(own) == pytest.approx(truth_deviance(host), rel=1e-4)


def test_pixels_that_are_not_fitted_do_not_count():
    """Bad pixels are no part of the mean."""
    problem = small_problem(noise=1.0)
    mask = np.zeros((problem.probe_size, problem.probe_size))
    mask[0, 0] = 1.0  # the brightest, alone
    alone = dataclasses.replace(problem, detector_mask=mask)
    found = expected_deviance(alone, problem.start_object, problem.probe)
    rate = np.abs(np.sum(to_numpy(problem.probe))) ** 2 / problem.noise
    assert found == pytest.approx(literal(rate), rel=1e-5)


EXPERIMENT = (
    "problem.coherence={powers: [0.6, 0.4]}",
    "problem.illumination={intensity_rms: 0.3, variation: 0.1}",
    "problem.position_errors={random_px: 1.5}",
    "problem.object.size=64",
    "problem.margin_px=6",
    "problem.noise=0.02",
)


def test_the_truth_of_an_experiment(tmp_path):
    """Modes, an unstable beam and positions that nobody is told: the truth knows them, the start does not."""
    problem = build_problem(plan_text(tmp_path, "", *EXPERIMENT).runs[0], backend("numpy"))
    truth = problem.reference
    assert {"probe_modes", "intensity", "given_positions_px", "probe_variation"} <= set(truth.arrays)
    assert truth_deviance(problem) == pytest.approx(1.0, abs=0.1)
    told = dataclasses.replace(
        problem, reference=dataclasses.replace(truth, scan_positions_px=truth.told_positions_px)
    )
    even = dataclasses.replace(problem, reference=dataclasses.replace(truth, intensity=None))
    coherent = dataclasses.replace(problem, reference=dataclasses.replace(truth, probe_modes=None))
    assert min(map(truth_deviance, (told, even, coherent))) > 1.2


def test_which_runs_have_them():
    """Who asks: the truth's where there is one, and neither of data without noise."""
    asked = ("expected_deviance", "truth_deviance")

    def names(problem):
        return {metric.name for metric in metrics_of_run(asked, problem)} & set(asked)

    problem = small_problem(noise=0.5)
    assert names(problem) == set(asked)
    assert names(dataclasses.replace(problem, reference=None)) == {"expected_deviance"}
    assert names(small_problem(noise=0.0)) == set()
    state = Evaluation(ProblemConstants(problem), problem.start_object, problem.probe)
    values = {metric.name: metric.value(state) for metric in metrics_of_run(asked, problem)}
    assert values["truth_deviance"] == truth_deviance(problem)
    assert values["expected_deviance"] == expected_deviance(problem, problem.start_object, problem.probe)
