"""Runs side by side give what each gives alone."""

import dataclasses

import numpy as np
import pytest
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.solvers.adam import Adam
from ptychosuite.solvers.emagpie import EMAGPIE
from ptychosuite.solvers.lsqml import LSQML
from ptychosuite.solvers.magpie import MAGPIE
from ptychosuite.solvers.mpie import MPIE
from ptychosuite.solvers.pie import EPIE, RPIE
from ptychosuite.solvers.stack import RunStack, can_stack, joined, merged, taken
from ptychosuite.solvers.stacked_sweep import sweep_stack
from ptychosuite.solvers.sweep import cut_into_batches, sweep

from tests.conftest import small_problem
from tests.physics.test_forward import fractional_problem

SOLVERS = {
    "rpie": [RPIE(alpha=0.05), RPIE(alpha=0.2), RPIE(alpha=1.0)],
    "epie, blind": [EPIE(update_probe=True)] * 3,
    "rpie, blind": [RPIE(alpha=0.1, beta=b, update_probe=True) for b in (0.5, 0.9, 1.0)],
    "magpie": [MAGPIE(alpha=0.05, levels=3), MAGPIE(alpha=0.5, levels=3), MAGPIE(alpha=0.05, levels=3)],
    "emagpie": [EMAGPIE(alpha=a, levels=2, update_probe=True) for a in (0.1, 0.2, 0.3)],
    "adam": [Adam(learning_rate=rate, batch=7) for rate in (0.01, 0.02, 0.05)],
    "adam, blind": [Adam(likelihood="amplitude", batch=7, update_probe=True)] * 3,
}  # fmt: skip


def problems(kind, chosen, dtype):
    """Three runs: two of different noise and object start, the third on the first one's data."""
    first, second = (kind(chosen, dtype, noise=noise, flat_start=False) for noise in (0.5, 0.1))
    return [first, second, first]


def stacked_state(solvers, runs):
    return joined([solver.init(problem) for solver, problem in zip(solvers, runs, strict=True)])


@pytest.mark.parametrize("positions", [small_problem, fractional_problem])
@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_runs_side_by_side(each_backend, name, positions, dtype):
    """Different data, orders and step sizes: three iterations of the stack are those of each run alone."""
    solvers, runs = SOLVERS[name], problems(positions, each_backend, dtype)
    stack = RunStack.of(runs)
    assert len(stack.amplitude) == 2 * runs[0].n_positions  # shared data lie there once
    together, state = merged(solvers, runs[0].probe), stacked_state(solvers, runs)
    before = to_numpy(state.object).copy()
    rngs = [np.random.default_rng(seed) for seed in range(3)]
    start = state
    for _ in range(3):
        state = together.step_stack(stack, state, rngs)
    np.testing.assert_array_equal(to_numpy(start.object), before)  # nothing is written into
    tolerance = {"complex64": 2e-4, "complex128": 1e-11}[dtype]
    for r, (solver, problem) in enumerate(zip(solvers, runs, strict=True)):
        alone, rng = solver.init(problem), np.random.default_rng(r)
        for _ in range(3):
            alone = solver.step(problem, alone, rng)
        for found, expected in ((state.object[r], alone.object), (state.probe[r], alone.probe)):
            found, expected = to_numpy(found), to_numpy(expected)
            assert found.dtype == dtype
            assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()
    assert state.data_passes == 3


@pytest.mark.parametrize("positions", [small_problem, fractional_problem])
@pytest.mark.parametrize("name", [name for name in SOLVERS if "adam" not in name])
def test_colour_groups_by_index(each_backend, name, positions):
    """One run's colour groups by index arrays, as on a GPU, are those by slices."""
    solver, problem = SOLVERS[name][0], positions(each_backend, noise=0.5, flat_start=False)
    state = solver.init(problem)
    rng = np.random.default_rng(5)
    batches = list(cut_into_batches("colour-groups", problem.scan_positions_px, problem.probe_size, 9, rng))
    moves_probe, stack = solver.moves_probe(problem, state), RunStack.of([problem])
    expected = sweep(solver, problem, state.object, state.probe, batches, moves_probe)
    found = sweep_stack(solver, stack, state.object[None], state.probe[None], batches, moves_probe)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(to_numpy(one[0]), to_numpy(other), rtol=0, atol=1e-11)


def test_detector_mask(each_backend):
    """Each run has its own bad pixels."""
    rng = np.random.default_rng(0)
    runs = [
        dataclasses.replace(problem, detector_mask=each_backend.asarray((rng.random((16, 16)) > 0.2) * 1.0))
        for problem in problems(small_problem, each_backend, "complex128")
    ]
    solver = RPIE(alpha=0.1)
    state = stacked_state([solver] * 3, runs)
    rngs = [np.random.default_rng(seed) for seed in range(3)]
    state = solver.step_stack(RunStack.of(runs), state, rngs)
    for r, problem in enumerate(runs):
        alone = solver.step(problem, solver.init(problem), np.random.default_rng(r))
        np.testing.assert_allclose(to_numpy(state.object[r]), to_numpy(alone.object), rtol=0, atol=1e-11)


def test_what_can_be_stacked():
    """Alike but for step sizes, one position at a time, and a sweep at all."""
    assert can_stack(RPIE(alpha=0.1), RPIE(alpha=0.2, beta=0.7))
    assert can_stack(EMAGPIE(alpha=0.1), EMAGPIE(alpha=0.2))
    assert not can_stack(MAGPIE(levels=3), MAGPIE(levels=4))
    assert not can_stack(RPIE(), EPIE())
    assert not can_stack(RPIE(sweep="colour-groups"), RPIE(sweep="colour-groups"))
    assert not can_stack(RPIE(update_probe=True), RPIE(update_probe=False))
    assert can_stack(Adam(learning_rate=0.1), Adam(learning_rate=0.2))
    assert not can_stack(Adam(schedule="plateau"), Adam(schedule="plateau"))
    assert can_stack(Adam(beta_2=0.9), Adam(beta_2=0.9, learning_rate=0.2))
    assert not can_stack(Adam(beta_2=0.9), Adam())
    assert not can_stack(MPIE(), MPIE())
    assert not can_stack(LSQML(sweep="sequential"), LSQML(sweep="sequential"))


def test_states_come_and_go():
    """A run that leaves a stack takes its own state along, moments included, and the others keep theirs."""
    runs = problems(small_problem, None, "complex128")
    solver = Adam(batch=7, update_probe=True)
    states = [solver.step(problem, solver.init(problem), np.random.default_rng(0)) for problem in runs]
    together = joined(states)
    for place, state in enumerate(states):
        own = taken(together, place)
        np.testing.assert_array_equal(own.object_moments.second, state.object_moments.second)
        assert np.squeeze(own.probe_scale) == state.probe_scale
        assert own.object_moments.steps == state.object_moments.steps
    left = taken(together, [0, 2])
    np.testing.assert_array_equal(left.probe_moments.first[1], states[2].probe_moments.first)
