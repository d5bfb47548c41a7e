"""Positions and modes against the true ones: what no data can tell has no part in it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ptychosuite.analysis.in_gauge import Scene
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.core.problem import Found, Problem, Reference
from ptychosuite.core.runs import RunRecord, RunSpec, Status
from ptychosuite.metrics.evaluation import Evaluation, ProblemConstants
from ptychosuite.metrics.gauge import Gauge, apply_gauge, probe_in_gauge
from ptychosuite.metrics.image import scanned_area
from ptychosuite.metrics.metric import metrics_of_run
from ptychosuite.metrics.modes import mode_overlap, powers
from ptychosuite.metrics.of_data import NormalisedMisfit
from ptychosuite.metrics.of_found import ModeOverlap, PositionError, PositionJitter
from ptychosuite.metrics.positions import jitter_px, position_errors_px, rms_px
from ptychosuite.physics.forward import diffraction_intensity
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.pie import RPIE
from scipy.ndimage import gaussian_filter

from tests.conftest import small_problem

RNG = np.random.default_rng(7)
TRUE = RNG.uniform(0, 60, (200, 2))


# Positions


@pytest.mark.parametrize("shift", [(0, 0), (3.2, -7)])
def test_the_rms_of_normal_errors_is_their_deviation(shift):
    """Along either axis; a common shift of all positions is none."""
    found = TRUE + 1.5 * RNG.standard_normal(TRUE.shape) + shift
    assert rms_px(position_errors_px(found, TRUE)) == pytest.approx(1.5, rel=0.15)
    assert rms_px(position_errors_px(TRUE + shift, TRUE)) == pytest.approx(0, abs=1e-12)


def test_jitter_is_what_no_affine_map_explains():
    """A stretch, a turn and a shear leave none; what is added to them stays."""
    stretched = TRUE @ np.array([[1.02, 0.01], [-0.03, 0.99]]) + (5, 1)
    assert rms_px(jitter_px(stretched, TRUE)) == pytest.approx(0, abs=1e-10)
    assert rms_px(position_errors_px(stretched, TRUE)) > 0.3
    noise = 0.2 * RNG.standard_normal(TRUE.shape)
    assert rms_px(jitter_px(stretched + noise, TRUE)) == pytest.approx(0.2, rel=0.1)
    assert np.isfinite(jitter_px(TRUE[:2] + noise[:2], TRUE[:2])).all()


# Modes


def test_overlap_of_modes():
    """The share of the power that is in the space of the found modes, however they are mixed and scaled."""
    true = np.linalg.qr(RNG.standard_normal((64, 3)) + 1j * RNG.standard_normal((64, 3)))[0].T
    true = (np.sqrt([0.8, 0.15, 0.05])[:, None] * true).reshape(3, 8, 8)
    np.testing.assert_allclose(powers(true), [0.8, 0.15, 0.05])
    mixture = np.linalg.qr(RNG.standard_normal((3, 3)) + 1j * RNG.standard_normal((3, 3)))[0]
    assert mode_overlap(7 * np.tensordot(mixture, true, 1), true) == pytest.approx(1)
    assert mode_overlap(true[0], true) == pytest.approx(0.8)
    assert mode_overlap(true[1:] * 9, true) == pytest.approx(0.2)
    assert mode_overlap(np.zeros((2, 8, 8)), true) == 0
    assert mode_overlap(np.concatenate([true[:1], true[:1]]), true) == pytest.approx(0.8)
    assert np.isnan(mode_overlap(true * np.nan, true))


# One gauge of object, probe and positions


def experiment():
    """A smooth object under two modes, true positions between pixels, and given ones beside them."""
    obj = gaussian_filter(build("objects", {"kind": "texture", "size": 80}).make(), 1.0)
    y, x = np.indices((24, 24)) - 12
    first = 10 * np.exp(-(y**2 + x**2) / 30 + 0.03j * (y**2 + x**2))
    second = first * x
    modes = np.stack([np.sqrt(0.8) * first, np.sqrt(0.2 / powers(second) * powers(first)) * second])
    given = 4.0 + 6 * np.indices((9, 9)).reshape(2, -1).T
    errors = np.random.default_rng(0).normal(0, 0.8, given.shape).clip(-2, 2)
    true = given + errors - errors.mean(axis=0)
    return Problem(
        diffraction_amplitude=np.sqrt(sum(_intensity(obj, mode, true) for mode in modes)),
        scan_positions_px=given.astype(int),
        probe=first * np.exp(0.05j * y),
        start_object=np.ones(obj.shape, complex),
        noise=0.0,
        probe_known=False,
        reference=Reference(obj, modes[0], true, probe_modes=modes, given_positions_px=given),
    )


def _intensity(obj, probe, positions):
    from ptychosuite.physics.shift import shift_phases

    whole = np.rint(positions).astype(int)
    return diffraction_intensity(obj, probe, whole, shift_phases(len(probe), positions - whole, probe))


def evaluated(problem, obj, probe, positions=None):
    return Evaluation(ProblemConstants(problem), obj, probe, found=Found(positions))


def gauged(problem, gauge, shift=(0.0, 0.0)):
    """The truth in another gauge, and with all positions moved: to the data the same."""
    truth = problem.reference
    obj = apply_gauge(apply_gauge(truth.object, gauge), Gauge(shift_px=shift))
    return obj, probe_in_gauge(truth.probe_modes, gauge), truth.scan_positions_px + shift


@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.4, -0.7)])
def test_the_truth_in_another_gauge_is_the_truth(shift):
    """A ramp, a scale and a translation of both, and a common shift of the positions, change no metric."""
    problem = experiment()
    obj, probe, positions = gauged(problem, Gauge(1.3 * np.exp(0.4j), (0.03, -0.02), (0.6, -0.4)), shift)
    found = evaluated(problem, obj, probe, positions)
    box = found.truth.box
    error = np.abs(found.aligned_object - problem.reference.object)[box][4:-4, 4:-4]
    assert error.max() < 0.05
    assert ModeOverlap().value(found) > 0.999
    assert PositionError().value(found) == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(np.abs(found.aligned_probe), np.abs(problem.reference.probe_modes), atol=0.05)


def test_only_the_positions_are_moved_of_a_known_probe():
    """All positions off by as much: the object comes back by that, the probe stays."""
    problem = dataclasses.replace(experiment(), probe_known=True)
    obj, probe, positions = gauged(problem, Gauge(), (1.4, -0.7))
    found = evaluated(problem, obj, probe, positions)
    inside = np.s_[8:-8, 8:-8]
    np.testing.assert_allclose(found.aligned_object[inside], problem.reference.object[inside], atol=0.02)
    np.testing.assert_array_equal(found.aligned_probe, problem.reference.probe_modes)


def test_given_positions_are_judged_where_none_are_found():
    problem = experiment()
    found = evaluated(problem, problem.start_object, problem.probe)
    expected = np.std(problem.reference.given_positions_px - problem.reference.scan_positions_px)
    assert PositionError().value(found) == pytest.approx(expected)
    assert PositionJitter().value(found) < expected


def run_of(solver, problem, iterations):
    state, rng = solver.init(problem), np.random.default_rng(0)
    for _ in range(iterations):
        state = solver.step(problem, state, rng)
    return state


def figures_after(problem, **settings):
    solver = RPIE(alpha=0.05, probe_modes=2, positions_start=2, **settings)
    state = run_of(solver, problem, 50)
    evaluation = Evaluation(ProblemConstants(problem), state.object, state.probe, found=Found.by(state))
    return {m.name: m.value(evaluation) for m in metrics_of_run((), problem, solver=solver)}


def test_a_run_that_corrects_positions_of_known_modes():
    """Positions are found to a sixth of a pixel from 0.8, and the object is the better for it."""
    unknown = experiment()
    problem = dataclasses.replace(unknown, probe_known=True, probe_modes=unknown.reference.probe_modes)
    found, given = (figures_after(problem, positions=method) for method in ("gradient", None))
    assert given["position_error_px"] > 0.6
    assert found["position_jitter_px"] < found["position_error_px"] < 0.2
    assert found["phase_rmse_rad"] < 0.5 * given["phase_rmse_rad"]


def test_a_run_that_corrects_positions_and_finds_the_modes():
    """From one wrong mode: object, modes and positions are in one gauge, that of the truth."""
    found = figures_after(experiment(), positions="gradient")
    assert found["position_error_px"] < 0.45
    assert found["phase_rmse_rad"] < 0.05
    assert found["mode_overlap"] > 0.99
    assert found["first_mode_share"] == pytest.approx(0.8, abs=0.03)


def test_pictures_have_the_gauge_of_the_metrics():
    """What a figure is drawn from is what the metrics compare: object, strongest mode and all modes."""
    problem = experiment()
    obj, probe, positions = gauged(problem, Gauge(1.3, (0.03, -0.02), (0.6, -0.4)), (1.4, -0.7))
    spec = RunSpec(problem={"kind": "simulated", "start_probe": {}}, solver={"name": "rpie"}, stop={})
    record = RunRecord(
        "x",
        spec,
        Status.COMPLETED,
        object=obj,
        probe=probe[0],
        probe_modes=probe,
        scan_positions_px=positions,
    )
    scene = Scene(problem.reference, probe_known=False)
    shown, found = scene.show(record), evaluated(problem, obj, probe, positions)
    ratio = np.vdot(found.scanned_object, shown.object[found.truth.scanned])
    np.testing.assert_allclose(np.abs(shown.object), np.abs(found.aligned_object), atol=1e-9)
    np.testing.assert_allclose(np.abs(shown.modes), np.abs(found.aligned_probe), atol=1e-9)
    np.testing.assert_array_equal(shown.probe, shown.modes[0])
    assert abs(ratio) > 0
    assert scene.truth.modes.shape == probe.shape


# Where they are taken, and the rest


def names_of(problem, **settings):
    solver = build("solvers", {"name": "rpie", **settings})
    return {metric.name for metric in metrics_of_run((), problem, solver=solver)}


def test_where_they_are_taken():
    """Positions where they are wrong or corrected, modes where there are such; else runs are as ever."""
    of_positions = {"position_error_px", "position_jitter_px"}
    plain = small_problem()
    assert not names_of(plain) & {*of_positions, "mode_overlap", "first_mode_share", "held_out_deviance"}
    assert of_positions <= names_of(plain, positions="gradient")
    assert of_positions <= names_of(experiment())
    assert "first_mode_share" in names_of(plain, probe_modes=2)
    assert "mode_overlap" in names_of(experiment())
    blind = dataclasses.replace(plain, reference=None)
    assert not names_of(blind, positions="gradient") & of_positions


def test_illumination_is_that_of_all_modes_and_stays_inside():
    """A second mode beside the first lights pixels of its own; a position beyond the edge breaks nothing."""
    problem = small_problem()
    probe = np.zeros((16, 16))
    probe[:, :8] = 1
    truth = dataclasses.replace(problem.reference, probe=probe)
    both = dataclasses.replace(truth, probe_modes=np.stack([probe, 0.5 * (1 - probe)]))
    assert scanned_area(both).sum() > scanned_area(truth).sum()
    beyond = dataclasses.replace(truth, scan_positions_px=truth.scan_positions_px - 0.7)
    assert scanned_area(beyond).any()


def test_normalised_misfit(each_backend):
    """4 mean (sqrt(n) - sqrt(lambda))^2, written out; near 1 for the truth where pixels are bright."""
    problem = small_problem(each_backend, noise=1e-4)
    obj = each_backend.asarray(problem.reference.object, "complex128")
    found = NormalisedMisfit().value(Evaluation(ProblemConstants(problem), obj, problem.probe))
    intensity = diffraction_intensity(
        problem.reference.object, problem.reference.probe, problem.reference.scan_positions_px
    )
    counts = to_numpy(problem.diffraction_amplitude) ** 2 / problem.noise
    expected = 4 * np.mean((np.sqrt(counts) - np.sqrt(intensity / problem.noise)) ** 2)
    assert found == pytest.approx(expected, rel=1e-8)
    assert found == pytest.approx(1, abs=0.1)
