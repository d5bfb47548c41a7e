"""The truth in the gauge of a state, and the operator that goes there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.errors import StudyError
from ptychosuite.fastforward.drift import nearest_gauge
from ptychosuite.fastforward.features import views
from ptychosuite.fastforward.operator import Snapshot
from ptychosuite.fastforward.truth import Truth, truth_in_gauge_of
from ptychosuite.metrics.gauge import Gauge, apply_gauge
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.problems.objects import Texture
from ptychosuite.problems.probes import Gaussian

from tests.conftest import small_problem


def smooth_problem(gauge: Gauge):
    """A blind problem without noise, and its truth in another gauge: (problem, state)."""
    problem = small_problem(object_size=64, probe_size=32, step=8)
    truth = Texture(size=64, exponent=4).make()
    probe = Gaussian(size=32, fwhm_px=8, curvature=0.5).make()
    from ptychosuite.physics.forward import detector_waves

    waves = detector_waves(truth, probe, problem.scan_positions_px)
    assert problem.reference is not None
    problem = replace(
        problem,
        probe=probe,
        probe_known=False,
        diffraction_amplitude=np.abs(waves),
        reference=replace(problem.reference, object=truth, probe=probe),
    )
    undone = Gauge(1 / gauge.scale, tuple(-k for k in gauge.ramp_rad_per_px), gauge.shift_px)
    moved = apply_gauge(probe, undone) * np.exp(0.3j)
    return problem, Snapshot(apply_gauge(truth, gauge), moved, 50)


def distance(a: Snapshot, b: Snapshot, weight: np.ndarray) -> float:
    """Relative squared distance over object and probe, their phases free."""
    total = 0.0
    for one, other, w in ((a.object, b.object, weight), (a.probe, b.probe, np.ones(a.probe.shape))):
        overlap = np.abs(np.sum(w * one.conj() * other))
        powers = [np.sum(w * np.abs(x) ** 2) for x in (one, other)]
        total += float((powers[0] + powers[1] - 2 * overlap) / powers[0])
    return total


def test_truth_goes_to_the_gauge_of_a_state():
    """Scale, ramp and translation are found, and the moved truth explains the data as the truth does."""
    problem, state = smooth_problem(Gauge(1.3 * np.exp(1j), (0.02, -0.01), (0.7, -1.2)))
    assert problem.reference is not None
    moved = truth_in_gauge_of(state, problem, problem.reference)
    weight = views(problem, state, None).object.channels[-1] ** 2
    truth = Snapshot(problem.reference.object, problem.reference.probe, 0)
    assert distance(moved, state, weight) < 0.02 * distance(truth, state, weight)
    constants = DataConstants.of(problem)
    residual = misfit_metrics(problem, moved.object, moved.probe, constants)["residual"]
    assert residual < 1e-3 * misfit_metrics(problem, np.ones((64, 64)), truth.probe, constants)["residual"]


def test_small_drift_is_taken_out():
    """Of a drift within the gauge nothing is left to learn, to first order."""
    problem, state = smooth_problem(Gauge(1.05 * np.exp(0.1j), (0.002, -0.001), (0.1, -0.15)))
    assert problem.reference is not None
    truth = Snapshot(problem.reference.object, problem.reference.probe, 0)
    weight = views(problem, state, None).object.channels[-1] ** 2
    near = nearest_gauge(truth, state, weight)
    assert distance(near, state, weight) < 0.05 * distance(truth, state, weight)


def test_operator_goes_to_the_truth():
    """Nothing is left of the way, and half of it for a share of one half; the data are then explained."""
    problem, state = smooth_problem(Gauge(1.05 * np.exp(0.1j), (0.002, -0.001), (0.1, -0.15)))
    rng = np.random.default_rng(0)
    obj = state.object * (1 + 0.1 * rng.standard_normal(state.object.shape))
    now = Snapshot(obj, state.probe * 1.1, 50)
    whole = Snapshot(*Truth().advance(problem, now, None), 50)
    half = Snapshot(*Truth(share=0.5).advance(problem, now, None), 50)
    np.testing.assert_allclose(half.object, (now.object + whole.object) / 2, rtol=1e-12)
    np.testing.assert_allclose(half.probe, (now.probe + whole.probe) / 2, rtol=1e-12)
    constants = DataConstants.of(problem)
    residuals = [misfit_metrics(problem, s.object, s.probe, constants)["residual"] for s in (whole, now)]
    assert residuals[0] < 0.01 * residuals[1]


def test_operator_in_every_library(each_backend):
    """Library and precision are those of the state; a known probe stays, and a phase is no distance."""
    problem = small_problem(each_backend, "complex64", flat_start=False)
    now = Snapshot(problem.start_object, problem.probe, 20)
    obj, probe = Truth().advance(problem, now, None)
    assert (type(obj), obj.dtype) == (type(now.object), now.object.dtype)
    np.testing.assert_array_equal(to_numpy(probe), to_numpy(now.probe))
    assert problem.reference is not None
    weight = views(problem, now, None).object.channels[-1]
    turned = Snapshot(problem.reference.object, problem.reference.probe, 0)
    reached = Snapshot(to_numpy(obj), to_numpy(probe), 20)
    assert distance(reached, turned, to_numpy(weight) ** 2) < 1e-6


def test_measured_data_have_no_truth():
    """The message says so."""
    problem = replace(small_problem(), reference=None)
    with pytest.raises(StudyError, match="only a simulation knows the truth"):
        Truth().advance(problem, Snapshot(problem.start_object, problem.probe, 0), None)
