"""The fast-forward around a solver: what it keeps, what it costs, and that it never does harm."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ptychosuite.backends.arrays import backend, numerical_errors, to_numpy
from ptychosuite.core.jumps import Jump, Schedule, Snapshot, figures_of, rejections_of
from ptychosuite.core.problem import Found
from ptychosuite.core.runs import Status
from ptychosuite.errors import DataFileError
from ptychosuite.execute.loop import reconstruct
from ptychosuite.fastforward import verdict
from ptychosuite.fastforward.apply import FastForward, FastForwardState
from ptychosuite.fastforward.operator import Extrapolation, Identity, ProbeRefit
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics, poisson_deviance
from ptychosuite.registry.lookup import GROUPS, build, class_of
from ptychosuite.solvers.pie import EPIE, RPIE
from ptychosuite.solvers.solver import SweepState

from tests.conftest import small_problem
from tests.execute.test_loop import STOP, Scaling
from tests.solvers.experiment import suffering_problem
from tests.solvers.test_contract import SOLVERS

NUMPY = backend("numpy")
PLAN = {"warm_up": 4, "jumps": 2, "spacing": 5, "look_ahead": 3}


def toy(name):
    """An operator of ``tests.fastforward.operators`` as a study gets it."""
    return class_of("operators", f"tests.fastforward.operators:{name}")


Beyond, Bright, Noise, Stale, Truth, Watcher = map(
    toy, ("Beyond", "Bright", "Noise", "Stale", "Truth", "Watcher")
)
OURS = {
    name: settings
    for name, settings in SOLVERS.items()
    if not GROUPS["solvers"].built_in[settings["name"]].startswith("ptychosuite.solvers.peers")
    and name in ("epie", "rpie-blind", "rpie-minibatch", "mpie", "magpie-2", "lbfgs", "emagpie", "lsqml")
}


def run(solver, operator=None, problem=None, iterations=12, chosen=NUMPY):
    problem = problem or small_problem(chosen, noise=0.2)
    solver = solver if operator is None else operator.carrying(solver, problem, chosen)
    stop = {**STOP, "iterations": iterations}
    return reconstruct(problem, solver, stop, np.random.default_rng(0), chosen)


def blind(**settings):
    """A problem whose probe starts wide of the truth."""
    problem = small_problem(noise=0.2, **settings)
    return dataclasses.replace(problem, probe=abs(problem.probe) + 0.05 + 0j, probe_known=False)


def figures(outcome):
    """What a run tells of its jumps."""
    return figures_of(outcome.state.jumps)


def same(one, other):
    np.testing.assert_array_equal(to_numpy(one.state.object), to_numpy(other.state.object))
    np.testing.assert_array_equal(to_numpy(one.state.probe), to_numpy(other.state.probe))
    np.testing.assert_array_equal(one.curves["residual"], other.curves["residual"])


@pytest.mark.parametrize("solver", OURS.values(), ids=OURS)
def test_identity_costs_a_restart(solver, each_backend):
    """Without the safeguard the run is, bit for bit, the solver's with restarts: nothing else is touched."""
    solver = build("solvers", solver)
    problem = small_problem(each_backend, noise=0.2)
    found = run(solver, Identity(**PLAN, safeguard=False), problem, chosen=each_backend)
    rng, state = np.random.default_rng(0), solver.init(problem)
    for iteration in range(12):
        if iteration in (4, 9):
            here = dataclasses.replace(problem, start_object=state.object, probe=state.probe)
            state = solver.resumed(solver.init(here), state)
        state = solver.step(problem, state, rng)
    np.testing.assert_array_equal(to_numpy(found.state.object), to_numpy(state.object))
    np.testing.assert_array_equal(to_numpy(found.state.probe), to_numpy(state.probe))


@pytest.mark.parametrize("problem", [small_problem(noise=0.2), blind()], ids=["known", "blind"])
@pytest.mark.parametrize("solver", [RPIE(alpha=0.1), EPIE(), RPIE(alpha=0.1, probe_start=6)])
@pytest.mark.parametrize("safeguard", [True, False])
def test_identity_is_the_plain_run(solver, problem, safeguard):
    """A solver without memory goes on as if nothing had happened, curves and all."""
    plain = run(solver, problem=problem)
    found = run(solver, Identity(**PLAN, safeguard=safeguard), problem)
    same(found, plain)
    for jump in found.state.jumps:  # what is no better is in doubt, and the solver alone stands
        assert jump.step == (1 if np.isnan(jump.deviance_plain) else 0)
        assert safeguard or jump.step == 1
    assert len(found.curves["data_passes"]) == 13
    assert len(found.curves["seconds"]) == 13


@pytest.mark.parametrize("solver", OURS.values(), ids=OURS)
@pytest.mark.parametrize("operator", ["Noise", "GivesUp"])
def test_harmful_operators_change_nothing(solver, operator, each_backend):
    """What is worse than the solver alone, no state at all, or an error, leaves the solver's own iterates."""
    solver = build("solvers", solver)
    problem = small_problem(each_backend, noise=0.2)
    plain, found = (
        run(solver, chosen_operator, problem, 11, each_backend)
        for chosen_operator in (None, toy(operator)(**PLAN))
    )
    metrics = figures(found)
    assert found.metrics["poisson_nll"] <= plain.metrics["poisson_nll"] * 1.001
    assert found.status is Status.COMPLETED
    assert metrics["ff_jumps"] == 2
    if metrics["ff_rejected"] == 2:
        same(found, plain)


@pytest.mark.parametrize(
    ("operator", "reason"),
    [
        ("Stale", "deviance "),
        ("Noise", "CannotAdvance: out of range: deviance "),
        ("Huge", "CannotAdvance: the proposal is out of range: it changes the object, of norm "),
        ("NotANumber", "CannotAdvance: the proposal has values that are not finite"),
        ("GivesUp", "CannotAdvance: no way ahead"),
        ("Vandal", "CannotAdvance: what was shown is spoilt"),
        ("Singular", "LinAlgError: Singular matrix"),
        ("Overflows", "OverflowError: "),
        ("Divides", "ZeroDivisionError: "),
    ],
)
def test_rejections_are_told(operator, reason):
    """What numerics can do is rejected; the message says after which iteration, and why in one line."""
    found = run(RPIE(alpha=0.1), toy(operator)(**PLAN))
    assert figures(found)["ff_rejected"] == 2
    assert [jump.step for jump in found.state.jumps] == [0, 0]
    for jump in found.state.jumps:
        assert jump.reason.startswith(reason)
    told = rejections_of(found.state.jumps)
    assert told.startswith(f"; jump after 4 rejected: {found.state.jumps[0].reason}; jump")
    assert "\n" not in told
    same(found, run(RPIE(alpha=0.1)))


def test_errors_of_torch_are_numerics_too():
    """A matrix that torch cannot invert rejects the jump as NumPy's does."""
    torch = pytest.importorskip("torch")
    with pytest.raises(numerical_errors()):
        torch.linalg.inv(torch.zeros(2, 2))


FAULTS = {
    "WrongShape": (TypeError, r"object is ndarray \(39, 40\) complex128; expected ndarray \(40, 40\)"),
    "WrongType": (TypeError, "object is ndarray .* complex64; expected ndarray .* complex128"),
    "Nothing": (TypeError, "unpack"),
    "Misspelt": (AttributeError, "objekt"),
    "BadValue": (ValueError, "an argument is wrong"),
    "OutOfMemory": (MemoryError, "out of memory"),
}


@pytest.mark.parametrize("operator", FAULTS)
def test_a_fault_is_no_rejection(operator):
    """An error of the program, a proposal that does not fit and lack of memory end the run."""
    kind, message = FAULTS[operator]
    with pytest.raises(kind, match=message):
        run(RPIE(alpha=0.1), toy(operator)(**PLAN))


def test_operators_are_not_asked_about_states_that_are_not_finite():
    """A run that is lost already is not failed by an operator that cannot take it."""
    seen: list = []
    problem = small_problem()
    solver = Watcher(**PLAN, seen=seen).carrying(Scaling(), problem, NUMPY)
    state, rng = solver.init(problem), np.random.default_rng(0)
    lost = dataclasses.replace(state.inner, object=problem.start_object * np.nan)
    seen.clear()
    after = solver.step(problem, dataclasses.replace(state, inner=lost, iteration=4), rng)
    assert seen == []
    assert after.jumps[0].reason == "CannotAdvance: the state has values that are not finite"


@pytest.mark.parametrize("solver", OURS.values(), ids=OURS)
def test_a_good_jump_is_kept(solver, each_backend):
    """The answer itself beats every solver; the curve has one entry an iteration, and is faster down."""
    solver = build("solvers", solver)
    problem = small_problem(each_backend, noise=0.2)
    plain, found = (
        run(solver, operator, problem, 9, each_backend) for operator in (None, Truth(**PLAN | {"jumps": 1}))
    )
    (jump,) = found.state.jumps
    assert jump.step == 1
    assert jump.deviance_jumped <= jump.deviance_plain
    assert found.metrics["iterations"] == 9
    np.testing.assert_array_equal(found.curves["residual"][:5], plain.curves["residual"][:5])
    assert found.curves["poisson_deviance"][7] == pytest.approx(jump.deviance_jumped)
    assert found.curves["poisson_deviance"][4] == pytest.approx(jump.deviance_before)
    assert plain.curves["poisson_deviance"][7] == pytest.approx(jump.deviance_plain, rel=1e-6)
    assert (np.diff(found.curves["seconds"]) >= 0).all()
    assert figures(found)["ff_deviance_jumped_1"] == jump.deviance_jumped


def test_half_a_step_is_tried():
    """Where the whole change is too much, half of it may be right."""
    found = run(RPIE(alpha=0.1), Beyond(**PLAN | {"jumps": 1, "look_ahead": 1}), iterations=7)
    (jump,) = found.state.jumps
    assert jump.step == 0.5
    assert jump.reason == ""
    truth = run(RPIE(alpha=0.1), Truth(**PLAN | {"jumps": 1, "look_ahead": 1}), iterations=7)
    np.testing.assert_allclose(found.state.object, truth.state.object, atol=1e-9)


def test_cost_of_a_rejection():
    """Two look-aheads of passes beside the run's own, and the deviances that were compared."""
    solver, problem = RPIE(alpha=0.1), small_problem(noise=0.2)
    plain, found = run(solver, problem=problem), run(solver, Stale(**PLAN), problem)
    assert figures(found)["ff_rejected"] == 2
    passes = found.curves["data_passes"] - plain.curves["data_passes"]
    each = (
        2 * (1 + 3 + 1) + 3
    )  # two steps: look-ahead between two deviances; those before, at the start, without
    pace = 1  # the deviance five iterations before the second jump, from which its pace is known
    np.testing.assert_array_equal(passes, [0] * 5 + [each] * 5 + [2 * each + pace] * 3)


def test_cost_of_what_is_out_of_range():
    """No iteration is done from there, nor without it: four deviances, the second time five."""
    solver, problem = RPIE(alpha=0.1), small_problem(noise=0.2)
    plain, found = run(solver, problem=problem), run(solver, Noise(**PLAN), problem)
    passes = found.curves["data_passes"] - plain.curves["data_passes"]
    np.testing.assert_array_equal(passes, [0] * 5 + [4] * 5 + [9] * 3)
    assert np.isnan(found.state.jumps[0].deviance_plain)


def test_a_clear_gain_stands_unopposed(monkeypatch):
    """The solver alone is not run where the jump beats what it could have come to; nothing else differs."""
    schedule = {"warm_up": 6, "jumps": 1, "look_ahead": 3}
    problem = small_problem(noise=0.2)
    found = run(RPIE(alpha=0.1), Truth(**schedule), problem, iterations=14)
    monkeypatch.setattr(verdict, "PACE", 1e6)
    opposed = run(RPIE(alpha=0.1), Truth(**schedule), problem, iterations=14)
    (jump,), (other,) = found.state.jumps, opposed.state.jumps
    assert jump.step == other.step == 1
    assert np.isnan(jump.deviance_plain)
    assert other.deviance_plain > jump.deviance_jumped
    passes = opposed.curves["data_passes"] - found.curves["data_passes"]
    np.testing.assert_array_equal(passes, [0] * 7 + [3 + 1] * 8)
    np.testing.assert_array_equal(found.state.object, opposed.state.object)


def test_all_that_is_tried_is_on_the_clock(monkeypatch):
    """Seconds of inference and look-ahead are parts of the run's seconds."""
    import time

    operator = Noise(**PLAN)
    advance = Noise.advance
    monkeypatch.setattr(Noise, "advance", lambda *a: time.sleep(0.02) or advance(*a))
    found = run(RPIE(alpha=0.1), operator)
    metrics = figures(found)
    assert metrics["ff_seconds_inference"] >= 0.04
    assert metrics["ff_seconds_look_ahead"] > 0
    assert found.metrics["seconds"] >= metrics["ff_seconds_inference"] + metrics["ff_seconds_look_ahead"]
    jumped_at = np.flatnonzero(np.diff(found.curves["seconds"]) >= 0.02)
    assert {4, 9} <= set(jumped_at.tolist())


def test_probe_moves_where_the_solver_moves_it():
    """A known probe stays whatever the operator says; one that has not begun to move yet stays as well."""
    known = run(RPIE(alpha=0.1), Beyond(**PLAN, safeguard=False))
    np.testing.assert_array_equal(known.state.probe, small_problem().probe)
    problem = blind()
    late = run(RPIE(alpha=0.1, probe_start=6), Beyond(**PLAN, safeguard=False), problem, iterations=6)
    np.testing.assert_array_equal(late.state.probe, problem.probe)
    moved = run(RPIE(alpha=0.1), Truth(**PLAN | {"jumps": 1}, safeguard=False, refits=0), problem, 5)
    assert np.abs(moved.state.probe - problem.reference.probe).max() < 0.12 * np.abs(problem.probe).max()


def test_refits_follow_the_jump():
    """An unknown probe is refitted to the jumped object before the solver goes on."""
    problem = blind()
    with_, without = (
        run(RPIE(alpha=0.1), ProbeRefit(**PLAN | {"jumps": 1}, refits=n), problem, 8).state.jumps[0]
        for n in (5, 0)
    )
    assert with_.deviance_inserted < with_.deviance_before
    assert without.deviance_inserted == without.deviance_before


def test_what_operators_are_shown():
    """The state now and ``memory`` iterations earlier; none across a jump."""
    seen: list = []
    plain, states = [], RPIE(alpha=0.1)
    problem, rng = small_problem(noise=0.2), np.random.default_rng(0)
    plain.append(states.init(problem))
    for _ in range(30):
        plain.append(states.step(problem, plain[-1], rng))
    operator = Watcher(warm_up=11, jumps=3, spacing=6, safeguard=False, seen=seen)
    run(RPIE(alpha=0.1), operator, problem, 30)
    assert [(now.iteration, before and before.iteration) for now, before in seen] == [
        (0, 0),  # before the clock starts
        (11, 1),
        (17, None),
        (23, None),
    ]
    np.testing.assert_array_equal(seen[1][1].object, plain[1].object)
    np.testing.assert_array_equal(seen[1][0].object, plain[11].object)
    seen.clear()
    run(RPIE(alpha=0.1), Watcher(warm_up=9, jumps=2, spacing=12, safeguard=False, seen=seen), problem, 30)
    assert [(now.iteration, before and before.iteration) for now, before in seen] == [
        (0, 0),
        (9, None),
        (21, 11),
    ]


def test_passes_of_the_solver_go_on():
    """A restart does not reset what ``probe_start`` counts."""
    problem = blind()
    plain = run(RPIE(alpha=0.1, probe_start=6), None, problem)
    same(run(RPIE(alpha=0.1, probe_start=6), Identity(**PLAN, safeguard=False), problem), plain)


def test_arguments_are_not_written(each_backend):
    """Problem, state and what the operator was shown are as they were."""
    problem = small_problem(each_backend, noise=0.2)
    operator = Extrapolation(warm_up=10, jumps=1, look_ahead=2)
    solver = operator.carrying(RPIE(alpha=0.1), problem, each_backend)
    rng, state = np.random.default_rng(0), solver.init(problem)
    for _ in range(14):
        kept = to_numpy(state.object).copy(), to_numpy(state.probe).copy(), len(state.ahead)
        after = solver.step(problem, state, rng)
        np.testing.assert_array_equal(to_numpy(state.object), kept[0])
        np.testing.assert_array_equal(to_numpy(state.probe), kept[1])
        assert len(state.ahead) == kept[2]
        state = after
    assert len(state.jumps) == 1


def test_deviance_is_the_metric():
    """The safeguard's number is the metric of that name."""
    problem = small_problem(noise=0.2)
    mask = np.ones((16, 16))
    mask[3, 4] = 0
    for chosen in (problem, dataclasses.replace(problem, detector_mask=mask), small_problem()):
        figures = misfit_metrics(chosen, chosen.start_object, chosen.probe, DataConstants.of(chosen))
        found = poisson_deviance(chosen, chosen.start_object, chosen.probe)
        assert found == pytest.approx(figures["poisson_deviance"], rel=1e-12)


def test_solvers_alone_tell_of_no_jumps():
    """What a solver tells beside the metrics is empty by default."""
    solver = RPIE()
    state = solver.init(small_problem())
    assert (solver.figures(state), solver.remarks(state)) == ({}, "")


def test_what_an_operator_lacks_is_said_before_the_start(tmp_path):
    """A checkpoint that has changed or gone is the user's to put right: it is no rejected jump."""
    pytest.importorskip("ptychosuite.fastforward.network")
    settings = {"kind": "network", "checkpoint": str(tmp_path / "gone.safetensors"), "checkpoint_sha256": "1"}
    with pytest.raises(DataFileError, match=r"gone\.safetensors"):
        build("operators", settings).carrying(RPIE(), small_problem(), NUMPY)


@dataclasses.dataclass(frozen=True)
class Stumbles(Scaling):
    """Raises ``error`` over an object that is too bright."""

    error: type[Exception] = ZeroDivisionError

    def step(self, problem, state, rng):
        if np.abs(state.object).max() > 1.5:
            raise self.error("too bright")
        return super().step(problem, state, rng)


def test_a_solver_that_stumbles_over_the_jump():
    """An error of numerics in the iterations after a jump rejects it; the plain ones stand."""
    found = run(Stumbles(), Bright(**PLAN), iterations=12)
    assert found.status is Status.COMPLETED
    assert figures(found)["ff_rejected"] == 2
    assert found.state.jumps[0].reason == "ZeroDivisionError: too bright"


def test_a_solver_that_is_wrong_after_the_jump():
    """Any other error there is a fault."""
    with pytest.raises(TypeError, match="too bright"):
        run(Stumbles(error=TypeError), Bright(**PLAN), iterations=12)


@dataclasses.dataclass(frozen=True)
class BareState:
    object: np.ndarray
    probe: np.ndarray


@dataclasses.dataclass(frozen=True)
class Bare:
    """A solver that derives from nothing of ours and whose state has an object and a probe alone."""

    def init(self, problem):
        return BareState(problem.start_object, problem.probe)

    def step(self, problem, state, rng):
        after = RPIE(alpha=0.1).step(problem, SweepState(state.object, state.probe), rng)
        return BareState(after.object, after.probe)


@pytest.mark.parametrize("safeguard", [True, False])
@pytest.mark.parametrize("operator", ["Noise", "Truth"])
def test_bare_solvers_are_carried_ahead(operator, safeguard):
    """The run of a solver that counts no passes is that of one that does, passes included."""
    plan = {**PLAN, "safeguard": safeguard}
    bare = class_of("solvers", f"{__name__}:Bare")()
    found, counted = (run(solver, toy(operator)(**plan)) for solver in (bare, RPIE(alpha=0.1)))
    same(found, counted)
    np.testing.assert_array_equal(found.curves["data_passes"], counted.curves["data_passes"])


def test_corrected_positions_are_judged_where_they_are():
    """A jump is compared at the positions that the solver has found; the identity's goes on with them."""
    problem = suffering_problem(error_px=0.8, noise=1.0)
    solver = EPIE(positions="gradient", positions_start=1)
    found = run(solver, Identity(warm_up=6, jumps=1, look_ahead=2), problem, iterations=10)
    (jump,) = found.state.jumps
    rng, state = np.random.default_rng(0), solver.init(problem)
    for _ in range(6):
        state = solver.step(problem, state, rng)
    seen = state.found.applied_to(problem)
    assert jump.deviance_before == pytest.approx(poisson_deviance(seen, state.object, state.probe))
    assert jump.deviance_before < 0.9 * poisson_deviance(problem, state.object, state.probe)
    assert np.abs(found.state.found.positions_px - problem.positions_px).max() > 0.1


def told_wrong_positions():
    """A problem at its truth, told positions that are off, and a state that has found the true ones."""
    exact = small_problem()
    found = exact.positions_px
    told = found + np.random.default_rng(4).uniform(-0.7, 0.7, found.shape)
    problem = dataclasses.replace(exact.at(told), probe_known=False, probe=1.01 * exact.probe)
    state = SweepState(exact.reference.object.copy(), exact.reference.probe.copy(), found=Found(found))
    return problem, state


def test_the_operator_sees_the_positions_that_were_found():
    """What it is shown explains the data, though the problem is told others."""
    problem, state = told_wrong_positions()
    shown = []

    def advance(problem, now, before):
        shown.append(poisson_deviance(problem, now.object, now.probe))
        return now.object, now.probe

    solver = FastForward(EPIE(positions="gradient"), Schedule(warm_up=1), advance, NUMPY)
    solver._proposal(problem, FastForwardState(state, 1), Jump(1))
    assert poisson_deviance(problem, state.object, state.probe) > 0.01
    assert shown == [pytest.approx(0, abs=1e-12)]


def test_the_probe_is_refitted_where_patterns_were_found():
    """A probe that meets the data there stays."""
    problem, state = told_wrong_positions()
    proposal = Snapshot(state.object, state.probe, 1)
    after, passes = verdict.restarted(EPIE(positions="gradient"), 5, problem, state, proposal, 1.0)
    assert passes == 5
    np.testing.assert_allclose(after.probe, state.probe, rtol=0, atol=1e-9 * np.abs(state.probe).max())
