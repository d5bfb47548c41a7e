"""Image metrics."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychosuite.core.problem import Reference
from ptychosuite.metrics.evaluation import Evaluation, ProblemConstants
from ptychosuite.metrics.image import SCANNED_SHARE, phase_artefact_rad, phase_rmse_rad, scanned_area
from ptychosuite.metrics.metric import metrics_of_run

from tests.conftest import small_problem

REFERENCE = small_problem().reference

ASKED_FOR = ("whole_phase_rmse_rad", "phase_artefact_rad")


def of(obj, reference=REFERENCE):
    problem = dataclasses.replace(
        small_problem(), reference=reference, scan_positions_px=reference.scan_positions_px
    )
    evaluation = Evaluation(ProblemConstants(problem), obj, problem.probe)
    metrics = [m for m in metrics_of_run(ASKED_FOR, problem) if m.needs == "truth" and m.on_the_way]
    return {metric.name: metric.value(evaluation) for metric in metrics}


def test_truth_has_no_error():
    """The truth itself scores 0, in single precision nearly so."""
    assert of(REFERENCE.object) == pytest.approx(dict.fromkeys(of(REFERENCE.object), 0.0), abs=1e-7)
    single = of(REFERENCE.object.astype("complex64"))
    assert max(single.values()) < 1e-5


def test_error_is_the_papers():
    """|| |z| - |z*| ||_2 over all pixels, and relative to || |z*| ||_2."""
    rng = np.random.default_rng(0)
    obj = rng.standard_normal(REFERENCE.object.shape) + 1j
    expected = np.sqrt(np.sum((np.abs(obj) - np.abs(REFERENCE.object)) ** 2))
    assert of(obj)["error"] == pytest.approx(expected)
    norm = np.sqrt(np.sum(np.abs(REFERENCE.object) ** 2))
    assert of(obj)["relative_error"] == pytest.approx(expected / norm)
    assert of(1.1 * REFERENCE.object)["relative_error"] == pytest.approx(0.1)


@settings(max_examples=20, deadline=None)
@given(st.floats(-10, 10), st.integers(0, 2**32 - 1))
def test_global_phase_does_not_count(angle, seed):
    """No figure changes when the object is turned as a whole."""
    rng = np.random.default_rng(seed)
    obj = REFERENCE.object * np.exp(0.3j * rng.standard_normal(REFERENCE.object.shape))
    assert of(obj * np.exp(1j * angle)) == pytest.approx(of(obj), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("amplitude", [0.01, 0.5, 1.5])
def test_phase_rmse_of_alternating_errors(amplitude):
    """Half the pixels +a, half -a off, of equal weight: the RMSE is a."""
    truth = np.full((8, 8), 2 * np.exp(0.4j))
    sign = np.where(np.arange(64).reshape(8, 8) % 2, 1, -1)
    assert phase_rmse_rad(truth * np.exp(1j * (amplitude * sign + 0.9)), truth) == pytest.approx(amplitude)


def test_phase_rmse_is_weighted():
    """Weights are |z*|^2; one pixel of weight 3 against one of weight 1, and the object's magnitude counts
    only in finding the common phase."""
    truth = np.array([np.sqrt(3.0), 1.0])
    obj = truth * np.exp(1j * np.array([0.0, 0.6]))
    common = np.angle(3 + np.exp(0.6j))
    expected = np.sqrt((3 * common**2 + (0.6 - common) ** 2) / 4)
    assert phase_rmse_rad(obj, truth) == pytest.approx(expected)


def test_phase_rmse_of_pixels_without_a_phase():
    """Zeros are neither right nor wrong: half of an object that is wiped out leaves the error of the rest."""
    truth = np.exp(1j * np.random.default_rng(0).uniform(-0.5, 0.5, (64, 64)))
    wiped = np.ones_like(truth)
    wiped[:, :32] = 0
    assert phase_rmse_rad(wiped, truth) == pytest.approx(phase_rmse_rad(wiped[:, 32:], truth[:, 32:]))


def test_phase_rmse_of_an_object_of_zeros():
    """An object that shows nothing has no phase: it must not pass for a perfect one."""
    truth = np.exp(1j * np.linspace(0, 1, 9))
    assert phase_rmse_rad(np.zeros(9, complex), truth) != 0


def test_scanned_area():
    """Pixels whose summed illumination exceeds the share of the maximum; phases elsewhere do not count."""
    probe = np.full((4, 4), 1.0 + 0j)
    probe[0] = np.sqrt(0.5 * SCANNED_SHARE)
    reference = Reference(np.ones((12, 12), complex), probe, np.array([[0, 0], [0, 2]]))
    area = scanned_area(reference)
    expected = np.zeros((12, 12), bool)
    expected[1:4, 0:6] = True
    np.testing.assert_array_equal(area, expected)
    unseen = np.where(expected, 1, np.exp(2j))
    assert of(unseen, reference)["phase_rmse_rad"] == pytest.approx(0, abs=1e-12)
    share = expected.mean()  # of two phases, 2 rad apart, about that of their sum
    parts = np.angle(np.exp(1j * np.array([0, 2])) * np.exp(-1j * np.angle(share + (1 - share) * np.exp(2j))))
    whole = np.sqrt(share * parts[0] ** 2 + (1 - share) * parts[1] ** 2)
    assert of(unseen, reference)["whole_phase_rmse_rad"] == pytest.approx(whole)


SCANNED = np.pad(np.ones((96, 96), bool), 8)
FLAT = np.exp(0.7j) * np.ones(SCANNED.shape)


def of_rmse(error, rmse):
    """``error`` times what gives it that RMS over the scanned area, its mean taken off."""
    error = np.where(SCANNED, error - error[SCANNED].mean(), 0)
    return error * rmse / np.sqrt(np.mean(error[SCANNED] ** 2))


def test_artefacts_are_what_noise_does_not_make():
    """Of equal RMSE, white noise falls five times and a blob stays; the percentile is that of the normal."""
    noise = of_rmse(np.random.default_rng(0).standard_normal(SCANNED.shape), 0.1)
    rows, columns = np.mgrid[: SCANNED.shape[0], : SCANNED.shape[1]]
    blob = of_rmse(np.exp(-((rows - 50) ** 2 + (columns - 40) ** 2) / 128), 0.1)
    found = [phase_artefact_rad(FLAT * np.exp(1j * error), FLAT, SCANNED) for error in (noise, blob)]
    rmse = [phase_rmse_rad((FLAT * np.exp(1j * error))[SCANNED], FLAT[SCANNED]) for error in (noise, blob)]
    assert rmse == pytest.approx([0.1, 0.1], rel=0.01)
    assert found[0] == pytest.approx(2.576 * 0.1 / 5, rel=0.1)
    assert found[1] == pytest.approx(np.quantile(np.abs(blob[SCANNED]), 0.99), rel=0.1)
    assert found[1] > 8 * found[0]


def test_artefacts_window_by_window():
    """The mean phasor of each whole window, written out, of which 99 % of the truth's power are no larger."""
    rng = np.random.default_rng(1)
    truth = (0.2 + rng.random((24, 20))) * np.exp(1j * rng.random((24, 20)))
    obj = truth * (0.5 + rng.random(truth.shape)) * np.exp(3j * rng.standard_normal(truth.shape))
    scanned = np.zeros(truth.shape, bool)
    scanned[3:20, 2:17] = True
    common = np.sum(obj[scanned] * truth[scanned].conj())
    sizes, weights = [], []
    for row in range(2, 22):
        for column in range(2, 18):
            place = slice(row - 2, row + 3), slice(column - 2, column + 3)
            if scanned[place].all():
                error = np.angle(obj[place] * truth[place].conj() * common.conj())
                mean = np.sum(np.abs(truth[place]) ** 2 * np.exp(1j * error))
                sizes.append(abs(np.angle(mean)))
                weights.append(np.sum(np.abs(truth[place]) ** 2))
    below = [sum(w for s, w in zip(sizes, weights, strict=True) if s <= size) for size in sizes]
    enough = [s for s, w in zip(sizes, below, strict=True) if w >= 0.99 * sum(weights)]
    assert phase_artefact_rad(obj, truth, scanned) == pytest.approx(min(enough))


def test_artefacts_do_not_count_in_the_dark():
    """A tenth of the object that is a thousandth as bright may have any phase."""
    dark = np.ones_like(FLAT)
    dark[10:20] = 1e-3
    assert phase_artefact_rad(dark * np.where(dark.real < 1, 1j, 1), dark, SCANNED) < 0.01


def test_artefacts_of_nothing():
    """No phase, no number, no window."""
    assert np.isnan(phase_artefact_rad(0 * FLAT, FLAT, SCANNED))
    assert np.isnan(phase_artefact_rad(np.nan * FLAT, FLAT, SCANNED))
    narrow = np.zeros_like(SCANNED)
    narrow[20:24] = True
    assert np.isnan(phase_artefact_rad(FLAT, FLAT, narrow))
