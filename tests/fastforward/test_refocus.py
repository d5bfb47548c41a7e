"""The search for the focus: on curves with known lowest points, on probes bent on purpose, and in a run."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from suite.core.arrays import Backend, backend, real_dtype, to_numpy
from suite.core.problem import Problem, Reference
from suite.errors import StudyError
from suite.execute.loop import reconstruct
from suite.fastforward import apply
from suite.fastforward.apply import FastForward
from suite.fastforward.controls import Identity
from suite.fastforward.features import from_pupil, pupil
from suite.fastforward.refocus import POSITIONS, lowest, middle_of, refocused
from suite.fastforward.state import jump_metrics, rejections
from suite.problems.synthetic import measure, simulated_reference
from suite.solvers.pie import EPIE
from tests.execute.test_loop import STOP
from tests.study.small import plan_text

NUMPY = backend("numpy")
SEARCH = {"refocus": 2, "warm_up": 5, "jumps": 1, "look_ahead": 4}


class Counted:
    def __init__(self, f) -> None:
        self.f, self.calls = f, 0

    def __call__(self, x: float) -> float:
        self.calls += 1
        return self.f(x)


@pytest.mark.parametrize("at", [-4.4, -1.2, 0.5, 2.0, 3.7])
def test_lowest_point_of_a_parabola(at):
    """It is found exactly, with one call a step and one more between them."""
    f = Counted(lambda x: 1 + (x - at) ** 2)
    assert lowest(f, 6) == pytest.approx(at)
    assert f.calls <= 5 + abs(at)


def test_lowest_point_stays_where_little_is_gained():
    """A flat curve, one whose lowest point is 0, and a gain of less than five per cent."""
    assert lowest(lambda x: 1.0, 6) == 0
    assert lowest(lambda x: 1 + x**2, 6) == 0
    assert lowest(lambda x: 1 - 0.04 * (x == 1), 6) == 0


def test_search_has_an_end():
    """Downhill for ever, it stops as far away as it may go."""
    f = Counted(lambda x: np.exp(-x))
    assert lowest(f, 6) == 6
    assert f.calls == 8


def test_search_survives_what_is_no_number():
    """Where the deviance is not a number, nothing is found."""
    assert lowest(lambda x: float("nan") if x else 1.0, 6) == 0
    assert lowest(lambda x: float("nan"), 6) == 0


def bent(probe: np.ndarray, angle_rad: float) -> np.ndarray:
    """The probe further from its focus, written out."""
    seen, size = pupil(probe), len(probe)
    row, column = np.mgrid[:size, :size] - size // 2
    square = row**2 + column**2
    mean_square = np.average(square, weights=np.abs(seen) ** 2)
    return from_pupil(seen * np.exp(1j * angle_rad * square / mean_square))


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("angle", [-2.5, 1.0, 1.8])
def test_a_bent_probe_is_straightened(angle, dtype, each_backend):
    """The angle is found to a third of a radian, in the library and precision of the problem."""
    problem = defocused(0.0, each_backend, dtype)
    true = to_numpy(problem.probe)
    wrong = each_backend.asarray(bent(true, angle), dtype)
    found, back, passes = refocused(middle_of(problem), wrong)
    assert back == pytest.approx(-angle, abs=0.35)
    assert type(found) is type(problem.probe)
    assert found.dtype == problem.probe.dtype
    np.testing.assert_allclose(to_numpy(found), bent(true, angle + back), atol=2e-5 * np.abs(true).max())
    assert passes >= 8


def test_a_probe_in_focus_stays():
    """The true probe comes back as it is."""
    problem = defocused(0.0)
    found, angle, _ = refocused(problem, problem.probe)
    assert found is problem.probe
    assert angle == 0


def test_middle_of_a_scan():
    """The nearest positions, in their order; all of a small scan."""
    problem = defocused(0.0)
    part = middle_of(problem)
    assert part.n_positions == POSITIONS < problem.n_positions
    away = np.hypot(*(problem.positions_px - problem.positions_px.mean(axis=0)).T)
    chosen = np.sort(np.argsort(away)[:POSITIONS])
    np.testing.assert_array_equal(part.scan_positions_px, problem.scan_positions_px[chosen])
    np.testing.assert_array_equal(part.diffraction_amplitude[:], problem.diffraction_amplitude[chosen])
    few = problem.part(slice(0, 9))
    assert middle_of(few).n_positions == 9


@cache
def measured() -> tuple[Reference, np.ndarray]:
    """A Gaussian beam over leaves, and the amplitudes of its patterns."""
    parts = {
        "object": {"kind": "dead-leaves", "size": 80, "leaves": 300},
        "probe": {"kind": "gaussian", "size": 32, "fwhm_px": 11, "curvature": 1.0},
        "scan": {"kind": "jittered-raster", "overlap": 0.8, "jitter_px": 1},
    }
    rng = np.random.default_rng(0)
    reference = simulated_reference(parts, rng)
    return reference, measure(reference, 0.5, rng, "float64")[:]


def defocused(angle_rad: float, chosen: Backend = NUMPY, dtype: str = "complex128") -> Problem:
    """A problem whose probe starts away from its focus."""
    reference, amplitude = measured()
    return Problem(
        diffraction_amplitude=chosen.asarray(amplitude, real_dtype(dtype)),
        scan_positions_px=np.rint(reference.scan_positions_px).astype(np.int64),
        probe=chosen.asarray(bent(reference.probe, angle_rad), dtype),
        start_object=chosen.asarray(np.ones(reference.object.shape), dtype),
        noise=0.5,
        probe_known=not angle_rad,
        reference=reference,
    )


def run(problem, operator=None, solver=None, iterations=14):
    solver = solver or EPIE()
    if operator is not None:
        solver = FastForward(solver, operator, NUMPY)
    stop = {**STOP, "iterations": iterations}
    return reconstruct(problem, solver, stop, np.random.default_rng(0), NUMPY)


@pytest.mark.parametrize("safeguard", [True, False])
def test_a_run_is_brought_into_focus(safeguard):
    """It ends far better than the plain one; what was found and what it cost are on record."""
    problem = defocused(1.2)
    plain, found = run(problem), run(problem, Identity(**SEARCH, safeguard=safeguard))
    assert found.metrics["poisson_deviance"] < 0.5 * plain.metrics["poisson_deviance"]
    metrics = jump_metrics(found.state)
    assert -3 < metrics["ff_focus_rad"] < -0.5  # it goes by the probe as the solver has moved it
    assert metrics["ff_seconds_refocus"] > 0
    assert found.metrics["data_passes"] > plain.metrics["data_passes"] + 3


def test_a_focus_that_does_harm_is_given_up(monkeypatch):
    """What the run's own solver does not confirm changes nothing; without the safeguard it stands."""
    problem = defocused(1.0)
    monkeypatch.setattr(apply, "refocused", lambda part, probe: (bent(probe, 4.0), 4.0, 10))
    plain = run(problem)
    kept = run(problem, Identity(**SEARCH))
    np.testing.assert_array_equal(kept.state.object, plain.state.object)
    assert jump_metrics(kept.state)["ff_focus_rad"] == 0
    spoilt = run(problem, Identity(**SEARCH, safeguard=False))
    assert jump_metrics(spoilt.state)["ff_focus_rad"] == 4
    assert spoilt.metrics["poisson_deviance"] > plain.metrics["poisson_deviance"]


def test_a_search_that_fails_is_told(monkeypatch):
    """The run goes on as the plain one, and its message says why nothing was searched."""

    def broken(part, probe):
        raise FloatingPointError("no focus\nhere")

    problem = defocused(1.0)
    monkeypatch.setattr(apply, "refocused", broken)
    plain, kept = run(problem), run(problem, Identity(**SEARCH))
    np.testing.assert_array_equal(kept.state.object, plain.state.object)
    assert rejections(kept.state) == "; search for the focus failed: FloatingPointError: no focus"


@pytest.mark.parametrize("solver", [EPIE(update_probe=False), EPIE(probe_start=4)])
def test_a_probe_that_the_solver_has_not_moved_stays(solver):
    """Known to it, or not yet its turn: nothing is searched, and the run is the plain one."""
    problem = defocused(2.0)
    plain, found = run(problem, solver=solver), run(problem, Identity(**SEARCH), solver)
    np.testing.assert_array_equal(found.state.object, plain.state.object)
    assert jump_metrics(found.state)["ff_focus_rad"] == 0


def test_the_search_comes_before_the_jumps(tmp_path):
    """A study that says otherwise is refused."""
    with pytest.raises(StudyError, match=r"refocus: found 5; expected an iteration before the first jump, 5"):
        plan_text(tmp_path, "fast_forward: {kind: identity, warm_up: 5, jumps: 1, refocus: 5}\n")
