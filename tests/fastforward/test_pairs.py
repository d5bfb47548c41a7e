"""The truth in the gauge of a state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from suite.fastforward.features import views
from suite.fastforward.operator import Snapshot
from suite.fastforward.pairs import nearest_gauge, truth_in_gauge_of
from suite.metrics.gauge import Gauge, apply_gauge
from suite.metrics.misfit import DataConstants, misfit_metrics
from suite.problems.objects import Texture
from suite.problems.probes import Gaussian
from tests.conftest import small_problem


def smooth_problem(gauge: Gauge):
    """A blind problem without noise, and its truth in another gauge: (problem, state)."""
    problem = small_problem(object_size=64, probe_size=32, step=8)
    truth = Texture(size=64, exponent=4).make()
    probe = Gaussian(size=32, fwhm_px=8, curvature=0.5).make()
    from suite.physics.forward import detector_waves

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
