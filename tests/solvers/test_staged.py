"""Solvers one after the other in one run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.probe_modes import power
from ptychosuite.solvers.staged import Staged, in_one_mode

from tests.conftest import small_problem

RPIE = {"name": "rpie", "alpha": 0.1}
LBFGS = {"name": "lbfgs"}
MPIE = {"name": "mpie"}


def staged(*stages):
    return Staged(stages=[{**settings, "iterations": iterations} for settings, iterations in stages])


def stepped(solver, problem, iterations, rng=None):
    state, rng = solver.init(problem), rng or np.random.default_rng(0)
    for _ in range(iterations):
        state = solver.step(problem, state, rng)
    return state


def test_a_solver_without_memory_cannot_tell():
    """rPIE handed on to itself is rPIE, bit for bit."""
    problem = small_problem(noise=0.2)
    whole = stepped(build("solvers", RPIE), problem, 6)
    parts = stepped(staged((RPIE, 2), (RPIE, None)), problem, 6)
    np.testing.assert_array_equal(parts.object, whole.object)
    assert parts.stage == 1


@pytest.mark.parametrize("second", [LBFGS, MPIE])
def test_a_stage_begins_where_the_one_before_ended(second):
    """As the second solver would from such a start, at the place of the scan's order where it is."""
    problem, rng = small_problem(noise=0.2), np.random.default_rng(0)
    first = stepped(build("solvers", RPIE), problem, 3, rng)
    there = replace(problem, start_object=first.object, probe=first.probe)
    wanted = stepped(build("solvers", second), there, 4, rng)
    found = stepped(staged((RPIE, 3), (second, None)), problem, 7)
    np.testing.assert_array_equal(found.object, wanted.object)


@pytest.mark.parametrize("second", [{"name": "epie"}, LBFGS])
def test_the_probe_is_handed_on(second):
    """To a solver that takes it from its state, and to one that asks the problem."""
    problem = replace(small_problem(noise=0.2), probe_known=False)
    rng = np.random.default_rng(0)
    first = stepped(build("solvers", RPIE), problem, 3, rng)
    assert (first.probe != problem.probe).any()
    there = replace(problem, start_object=first.object, probe=first.probe)
    wanted = stepped(build("solvers", second), there, 2, rng)
    found = stepped(staged((RPIE, 3), (second, 2)), problem, 5)
    np.testing.assert_array_equal(found.probe, wanted.probe)
    np.testing.assert_array_equal(found.object, wanted.object)


def test_modes_are_handed_on():
    """All of them, or the strongest with the power of all."""
    problem = replace(small_problem(noise=0.2), probe_known=False)
    two = {**RPIE, "probe_modes": 2}
    first = stepped(staged((two, 3), (RPIE, None)), problem, 3)
    assert first.probe.shape == (2, 16, 16)
    for modes in (1, 2):
        solver = staged((two, 3), ({**RPIE, "probe_modes": modes, "update_probe": False}, None))
        probe = stepped(solver, problem, 4).probe
        assert power(probe) == pytest.approx(power(first.probe), rel=1e-6)
        strongest = first.probe if modes == 2 else in_one_mode(first.probe)
        np.testing.assert_allclose(probe, strongest, rtol=1e-5, atol=1e-8)


def test_what_was_found_is_handed_on():
    """To a solver that corrects positions itself, and to one that knows of none."""
    problem = small_problem(noise=0.2)
    wrong = problem.at(
        problem.positions_px + np.random.default_rng(1).uniform(-1, 1, (problem.n_positions, 2))
    )
    correcting = {**RPIE, "positions": "gradient", "positions_start": 0}
    rng = np.random.default_rng(0)
    first = stepped(build("solvers", correcting), wrong, 4, rng)
    assert first.found is not None
    there = replace(wrong.at(first.found.positions_px), start_object=first.object)
    wanted = stepped(build("solvers", LBFGS), there, 2, rng)
    state = stepped(staged((correcting, 4), (LBFGS, None)), wrong, 6)
    np.testing.assert_array_equal(state.found.positions_px, first.found.positions_px)
    np.testing.assert_array_equal(state.object, wanted.object)
    after = stepped(staged((correcting, 4), (RPIE, None)), wrong, 6)
    np.testing.assert_array_equal(after.found.positions_px, first.found.positions_px)


def test_the_last_stage_goes_on():
    """However many iterations it was said to take: the loop ends a run, not the solver."""
    problem = small_problem(noise=0.2)
    a, b = (stepped(staged((RPIE, 1), (MPIE, n)), problem, 5) for n in (2, None))
    np.testing.assert_array_equal(a.object, b.object)


def test_passes_over_the_data_go_on():
    """L-BFGS counts its evaluations, one of them before its first iteration."""
    problem = small_problem(noise=0.2)
    solver = staged((RPIE, 2), (LBFGS, 2), (RPIE, None))
    state, rng, passes = solver.init(problem), np.random.default_rng(0), []
    for iteration in range(6):
        passes.append(solver.data_passes(state, iteration))
        state = solver.step(problem, state, rng)
    assert passes[:3] == [0, 1, 2]
    assert passes[3] >= 4
    assert passes[5] == passes[4] + 1
    alone = stepped(
        build("solvers", LBFGS), replace(problem, start_object=stepped(solver, problem, 2).object), 2
    )
    assert passes[4] - passes[2] == alone.data_passes


def test_a_jump_stays_in_its_stage():
    """What a fast-forward starts anew is the solver of the stage, with its count; not the first one."""
    problem = small_problem(noise=0.2)
    solver = staged((RPIE, 2), (MPIE, 3), (LBFGS, None))
    before = stepped(solver, problem, 3)
    there = replace(problem, start_object=1.01 * before.object)
    resumed, passes = solver.carried(problem, before, there.start_object, there.probe)
    assert passes == 0
    np.testing.assert_array_equal(resumed.object, there.start_object)
    assert solver.data_passes(resumed, 3) == solver.data_passes(before, 3)
    after = solver.step(problem, resumed, np.random.default_rng(5))
    mpie = build("solvers", MPIE)
    alone = mpie.resumed(mpie.init(there), before.inner)
    np.testing.assert_array_equal(after.object, mpie.step(problem, alone, np.random.default_rng(5)).object)
    assert (after.stage, after.iterations) == (1, 2)


def test_what_it_can_is_what_all_can():
    slow = {"name": "emagpie", "levels": 2}
    solver = staged((RPIE, 10), (slow, 30))
    assert solver.can_go_back
    fast_cost, slow_cost = (build("solvers", each).typical_cost for each in (RPIE, slow))
    assert fast_cost < slow_cost
    assert solver.typical_cost == pytest.approx((10 * fast_cost + 30 * slow_cost) / 40)
    assert staged((RPIE, 10), (slow, None)).typical_cost == pytest.approx((fast_cost + slow_cost) / 2)
    assert not solver.stackable
    stays = staged((RPIE, 10), ({"name": "ptychi", "algorithm": "raar"}, None))
    assert not stays.can_go_back
    assert "exit wave of every pattern" in stays.stays_because


def test_it_says_which_stage_was_never_reached():
    problem = small_problem(noise=0.2)
    solver = staged((RPIE, 2), (LBFGS, 2), (MPIE, None))
    assert solver.remarks(stepped(solver, problem, 2)) == "; never came to lbfgs, 2; mpie"
    assert solver.remarks(stepped(solver, problem, 5)) == ""


def test_nothing_is_written_into_what_is_given():
    problem = small_problem(noise=0.2)
    solver = staged((RPIE, 1), (MPIE, None))
    state = stepped(solver, problem, 1)
    kept = state.object.copy()
    solver.step(problem, state, np.random.default_rng(0))
    np.testing.assert_array_equal(state.object, kept)
    assert state.stage == 0


def test_a_stage_of_several_modes_begins_from_the_probe_that_was_found():
    """In the place of the first of the modes that the problem begins from; the others stay."""
    problem = replace(small_problem(noise=0.2), probe_known=False)
    guess = np.stack([problem.probe, 0.3 * np.roll(problem.probe, 2, axis=0)])
    problem = replace(problem, probe=problem.probe * np.sqrt(1.09), probe_modes=guess)
    epie = {"name": "epie"}
    before = stepped(staged((epie, 4), ({**epie, "probe_modes": 2}, None)), problem, 4)
    solver = staged((epie, 4), ({**epie, "probe_modes": 2}, None))
    begun = solver._begun(problem, solver._stage_after(before))
    first = begun.probe[0]
    overlap = np.abs(np.vdot(first, before.probe)) / np.linalg.norm(first) / np.linalg.norm(before.probe)
    assert overlap == pytest.approx(1, abs=1e-12)
    assert power(begun.probe) == pytest.approx(power(before.probe))
    scale = np.linalg.norm(begun.probe[1]) / np.linalg.norm(guess[1])
    np.testing.assert_allclose(begun.probe[1], scale * guess[1], rtol=1e-12)
