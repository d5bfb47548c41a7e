"""The reconstruction loop: curves, clock and stopping."""

import dataclasses
import types
from dataclasses import dataclass

import numpy as np
import pytest
from ptychosuite.backends.arrays import backend
from ptychosuite.core.runs import Status
from ptychosuite.execute import loop
from ptychosuite.execute.loop import Curves, Track, has_diverged, met_tolerances, reconstruct, verdict
from ptychosuite.metrics import evaluation
from ptychosuite.physics import laid_probe
from ptychosuite.solvers.pie import RPIE
from ptychosuite.solvers.solver import Solver

from tests.conftest import small_problem
from tests.physics.test_forward import fractional_problem

NUMPY = backend("numpy")
STOP = {
    "iterations": 6,
    "gradient": None,
    "residual": None,
    "seconds": None,
    "check_every": 1,
    "continue_past_tolerance": False,
}


def run(solver=None, problem=None, **stop):
    solver, problem = solver or RPIE(alpha=0.05), problem or small_problem(noise=0.2)
    return reconstruct(problem, solver, {**STOP, **stop}, np.random.default_rng(0), NUMPY)


@dataclass(frozen=True)
class FakeState:
    object: np.ndarray
    probe: np.ndarray
    data_passes: int = 0


@dataclass(frozen=True)
class Scaling(Solver):
    """A solver that multiplies the object by ``factor``."""

    factor: complex = 1.0

    def init(self, problem):
        return FakeState(problem.start_object, problem.probe)

    def step(self, problem, state, rng):
        return FakeState(self.factor * state.object, state.probe, state.data_passes + 2)

    def data_passes(self, state, iterations):
        return state.data_passes


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves only as told: a step takes 1 s, the metrics 100 s."""
    now = types.SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(loop, "time", types.SimpleNamespace(perf_counter=lambda: now.seconds))
    step, misfit = Scaling.step, evaluation.misfit_metrics

    def timed_step(self, problem, state, rng):
        now.seconds += 1
        return step(self, problem, state, rng)

    def timed_misfit(*arguments):
        now.seconds += 100
        return misfit(*arguments)

    monkeypatch.setattr(Scaling, "step", timed_step)
    monkeypatch.setattr(evaluation, "misfit_metrics", timed_misfit)
    return now


def test_curves_begin_before_the_first_iteration():
    """One entry an iteration, the starting point first, cumulative clock and passes."""
    problem = small_problem(noise=0.2)
    outcome = run(problem=problem)
    assert outcome.status is Status.COMPLETED
    assert outcome.message == "all iterations done"
    assert {len(curve) for curve in outcome.curves.values()} == {7}
    start = Track(problem, RPIE(), STOP, RPIE().init(problem)).latest
    assert {name: outcome.curves[name][0] for name in start} == start
    assert outcome.curves["seconds"][0] == 0
    assert (np.diff(outcome.curves["seconds"]) > 0).all()
    np.testing.assert_array_equal(outcome.curves["data_passes"], np.arange(7))
    for name in start:
        assert outcome.metrics[name] == outcome.curves[name][-1]
    assert outcome.metrics["iterations"] == 6
    assert "iterations_to_tol" not in outcome.metrics


def test_curves_are_the_solvers():
    """The loop adds nothing to the iterates: the last state is that of plain steps."""
    problem, solver = small_problem(noise=0.2), RPIE(alpha=0.05)
    rng, state = np.random.default_rng(0), solver.init(problem)
    for _ in range(6):
        state = solver.step(problem, state, rng)
    np.testing.assert_array_equal(run(solver, problem).state.object, state.object)


@pytest.mark.parametrize(("every", "computed"), [(1, range(8)), (3, [0, 3, 6, 7]), (10, [0, 7])])
def test_check_every(every, computed):
    """Metrics every n-th iteration and at the end; NaN between; the clock always."""
    outcome = run(iterations=7, check_every=every)
    found = np.flatnonzero(~np.isnan(outcome.curves["residual"]))
    assert found.tolist() == list(computed)
    assert np.isfinite(outcome.curves["seconds"]).all()
    assert np.isfinite(outcome.curves["data_passes"]).all()
    assert all(np.isfinite(value) for value in outcome.metrics.values())


def test_metrics_by_default():
    """Without a tolerance at 1, 2, 5, 10 and every 25th iteration and at the end; with one at every one."""
    outcome = run(Scaling(), iterations=53, check_every=None)
    measured = np.flatnonzero(~np.isnan(outcome.curves["residual"]))
    assert measured.tolist() == [0, 1, 2, 5, 10, 25, 50, 53]
    outcome = run(Scaling(), iterations=7, check_every=None, residual=1e-30)
    assert np.isfinite(outcome.curves["residual"]).all()


@pytest.mark.parametrize(("rule", "curve"), [("residual", "residual"), ("gradient", "gradient_norm")])
def test_tolerances(rule, curve):
    """The run ends at the first iteration below the tolerance, and says which it was."""
    whole = run(iterations=12).curves[curve]
    tolerance = (whole[4] + whole[5]) / 2
    assert (whole[:5] > tolerance).all()
    outcome = run(iterations=12, **{rule: float(tolerance)})
    assert outcome.metrics["iterations"] == outcome.metrics["iterations_to_tol"] == 5
    assert outcome.message == f"tolerance on {rule} met"
    np.testing.assert_array_equal(outcome.curves[curve], whole[:6])
    on = run(iterations=12, continue_past_tolerance=True, **{rule: float(tolerance)})
    assert on.metrics["iterations"] == 12
    assert on.metrics["iterations_to_tol"] == 5
    np.testing.assert_array_equal(on.curves[curve], whole)
    coarse = run(iterations=12, check_every=4, **{rule: float(tolerance)})
    assert coarse.metrics["iterations_to_tol"] == coarse.metrics["iterations"] == 8


def test_tolerance_never_met():
    """iterations_to_tol is NaN then."""
    assert np.isnan(run(residual=1e-30).metrics["iterations_to_tol"])


def test_clock_knows_only_the_steps(clock):
    """Metrics are off the clock."""
    outcome = run(Scaling())
    np.testing.assert_array_equal(outcome.curves["seconds"], np.arange(7.0))
    assert outcome.metrics["seconds"] == 6
    assert outcome.metrics["seconds_per_iteration"] == 1
    assert clock.seconds == 6 + 7 * 100
    assert outcome.metrics["data_passes"] == 12


@pytest.mark.parametrize("every", [1, 2, 5, None])
def test_time_is_up(clock, every):
    """The run ends with the first iteration at or after the given solver time, whenever metrics are due."""
    outcome = run(Scaling(), iterations=50, seconds=2.5, check_every=every)
    assert outcome.message == "time is up"
    assert outcome.status is Status.COMPLETED
    assert outcome.metrics["iterations"] == 3
    assert np.isfinite(outcome.curves["residual"][-1])


def test_device_is_waited_for(monkeypatch):
    """The clock is read only after the device is done: around each step one wait before, one after."""
    events = []
    monkeypatch.setattr(type(NUMPY), "synchronise", lambda self: events.append("wait"))
    monkeypatch.setattr(
        loop, "time", types.SimpleNamespace(perf_counter=lambda: events.append("clock") or 0.0)
    )
    original = Scaling.step
    monkeypatch.setattr(Scaling, "step", lambda *a: events.append("step") or original(*a))
    run(Scaling(), iterations=2)
    assert events == ["wait", "clock", "step", "wait", "clock"] * 2


def test_first_iterations_do_not_count():
    """Time per iteration is the median without the warm-up, where anything is left."""
    assert loop._typical_step([0, 9, 18, 19, 21, 22]) == 1
    assert loop._typical_step([0, 4, 10]) == 5


@pytest.mark.parametrize("factor", [100.0, float("nan"), 1e200])
def test_divergence(factor):
    """A residual that explodes or is no number ends the run as diverged."""
    with np.errstate(all="ignore"):
        outcome = run(Scaling(factor), iterations=50)
    assert outcome.status is Status.DIVERGED
    assert outcome.metrics["iterations"] < 50
    assert outcome.message.startswith("residual")


def test_divergence_does_not_depend_on_the_start():
    """The residual is measured against that of an object of zeros, however good the start was."""
    assert not has_diverged({"residual": 90.0}, dark_residual=1.0)
    assert has_diverged({"residual": 110.0}, dark_residual=1.0)


def test_without_a_reference():
    """Without the truth there are no image metrics."""
    outcome = run(problem=dataclasses.replace(small_problem(noise=0.2), reference=None))
    assert "error" not in outcome.metrics
    assert "residual" in outcome.metrics


@pytest.mark.parametrize(
    ("stop", "iteration", "seconds", "residual", "expected"),
    [
        ({}, 3, 0, 1.0, None),
        ({}, 6, 0, 1.0, Status.COMPLETED),
        ({"seconds": 5}, 3, 5, 1.0, Status.COMPLETED),
        ({"seconds": 5}, 3, 4.9, 1.0, None),
        ({"residual": 1.1}, 3, 0, 1.0, Status.COMPLETED),
        ({"residual": 1.0}, 3, 0, 1.0, None),
        ({"residual": 1.1, "continue_past_tolerance": True}, 3, 0, 1.0, None),
        ({"gradient": 0.6}, 3, 0, 1.0, Status.COMPLETED),
        ({}, 3, 0, 9e2, None),
        ({}, 3, 0, 1.1e3, Status.DIVERGED),
        ({}, 6, 0, float("inf"), Status.DIVERGED),
        ({"residual": 1.1}, 3, 0, float("nan"), Status.DIVERGED),
    ],
)
def test_verdict(stop, iteration, seconds, residual, expected):
    """Every rule alone; divergence goes before all others."""
    metrics = {"residual": residual, "gradient_norm": 0.5}
    ended = verdict({**STOP, **stop}, iteration, seconds, metrics, dark_residual=10.0)
    assert (ended and ended[0]) is expected


def test_met_tolerances():
    """All tolerances that are met, by name."""
    stop = {**STOP, "gradient": 1.0, "residual": 1.0}
    assert met_tolerances(stop, {"gradient_norm": 0.5, "residual": 0.5}) == ["gradient", "residual"]
    assert met_tolerances(stop, {"gradient_norm": 1.0, "residual": 0.5}) == ["residual"]
    assert met_tolerances(STOP, {"gradient_norm": 0.0, "residual": 0.0}) == []


def test_curves_with_holes():
    """What is not given at an iteration is NaN there, also before its first value."""
    curves = Curves()
    curves.append(a=1.0)
    curves.append(a=2.0, b=5.0)
    curves.append(b=6.0)
    found = curves.arrays()
    np.testing.assert_array_equal(found["a"], [1, 2, np.nan])
    np.testing.assert_array_equal(found["b"], [np.nan, 5, 6])


def test_runs_side_by_side():
    """Runs of a stack stop by their own rules, and each has the curves it has alone."""
    problem = small_problem(noise=0.5, flat_start=False)
    other = small_problem(noise=0.1, flat_start=False)
    tolerance = float(run(RPIE(alpha=0.2), problem, iterations=9).curves["residual"][4]) * 1.0001
    cases = [
        (problem, RPIE(alpha=0.05), STOP | {"iterations": 9}, 0),
        (other, RPIE(alpha=0.05), STOP | {"iterations": 3, "check_every": 2}, 1),
        (problem, RPIE(alpha=0.2), STOP | {"iterations": 9, "residual": tolerance}, 0),
    ]
    problems, solvers, stops, seeds = zip(*cases, strict=True)
    rngs = [np.random.default_rng(seed) for seed in seeds]
    together = loop.reconstruct_stack(problems, solvers, stops, rngs, NUMPY)
    for (own, solver, stop, seed), found in zip(cases, together, strict=True):
        alone = loop.reconstruct(own, solver, stop, np.random.default_rng(seed), NUMPY)
        assert (found.status, found.message) == (alone.status, alone.message)
        assert found.metrics["iterations"] == alone.metrics["iterations"]
        np.testing.assert_allclose(found.state.object, alone.state.object, rtol=0, atol=1e-12)
        for name in set(alone.curves) - {"seconds"}:
            np.testing.assert_allclose(found.curves[name], alone.curves[name], rtol=1e-9)
    assert [outcome.metrics["iterations"] for outcome in together] == [9, 3, 4]


def test_a_stack_lays_no_known_probe_on_its_patterns(monkeypatch):
    """It would be used for the measurement at the start alone, and kept; the numbers are the same without."""
    problem, solver, stop = fractional_problem(noise=0.5), RPIE(), STOP | {"iterations": 2}
    with monkeypatch.context() as patch:
        patch.setattr(laid_probe, "_laid", None)
        (found, _) = loop.reconstruct_stack(
            [problem] * 2, [solver] * 2, [stop] * 2, list(map(np.random.default_rng, range(2))), NUMPY
        )
    alone = loop.reconstruct(problem, solver, stop, np.random.default_rng(0), NUMPY)
    for name in ("residual", "poisson_nll"):
        assert found.curves[name][0] == alone.curves[name][0]


@pytest.mark.parametrize(("factor", "ends_above"), [(1.2, True), (1.0, False), (0.98, False)])
def test_a_run_that_ends_above_its_start_says_so(factor, ends_above):
    """With the numbers, of a known probe too; the state that it began from is no worse than itself."""
    outcome = run(Scaling(factor=factor), small_problem(noise=0.2), iterations=3)
    first, last = outcome.curves["residual"][[0, -1]]
    assert outcome.status is Status.COMPLETED
    assert outcome.metrics["above_start"] == ends_above == (last > first)
    told = f"; ends above its start: residual {last:.3g} of {first:.3g}"
    assert (told in outcome.message) is ends_above
    assert outcome.message.startswith("all iterations done")


def test_rounding_is_not_above_the_start():
    """A run that begins at the truth of noiseless data ends there, with the rounding of its arithmetic."""
    problem = small_problem(noise=0.0)
    assert problem.reference is not None
    at_truth = dataclasses.replace(problem, start_object=problem.reference.object.astype(np.complex64))
    assert run(problem=at_truth).message == "all iterations done"


def test_a_run_that_ends_in_no_number_has_diverged():
    """Without a tolerance as well, and whatever it began from."""
    outcome = run(Scaling(factor=float("nan")), check_every=None)
    assert outcome.status is Status.DIVERGED


def test_no_tolerance_is_met_by_a_fading_probe():
    """A drift along z -> c z, Q -> Q / c leaves all that the data tell, and the tolerance, where they are."""
    problem = small_problem(noise=0.2)
    blind = dataclasses.replace(problem, probe_known=False)
    plain = run(Drifting(), blind, iterations=4, gradient=1e-30)
    still = run(Scaling(), blind, iterations=4, gradient=1e-30)
    assert plain.curves["residual"][-1] == pytest.approx(still.curves["residual"][-1], rel=1e-4)
    assert plain.curves["gradient_norm"][-1] == pytest.approx(still.curves["gradient_norm"][-1], rel=1e-4)
    known = run(Drifting(), problem, iterations=4)
    assert known.curves["gradient_norm"][-1] == pytest.approx(
        still.curves["gradient_norm"][-1] / 10**4, rel=1e-3
    )


@dataclass(frozen=True)
class Drifting(Solver):
    """A solver that moves along the gauge, the probe's modulus to a tenth in an iteration."""

    def init(self, problem):
        return FakeState(problem.start_object, problem.probe)

    def step(self, problem, state, rng):
        return FakeState(10 * state.object, state.probe / 10, state.data_passes + 1)
