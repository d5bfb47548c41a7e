"""Recorded sweeps are those of the plain form, on the CPU as well, where a recording is carried out anew."""

import gc

import numpy as np
import pytest
from ptychosuite.backends.arrays import backend, to_numpy
from ptychosuite.solvers.recorded_sweep import RecordedSweep, _of_solver, filled_up, repeated
from ptychosuite.solvers.stack import RunStack, merged
from ptychosuite.solvers.stacked_sweep import COUNTS, places, sweep_stack
from ptychosuite.solvers.sweep import cut_into_batches

from tests.conftest import small_problem
from tests.physics.test_forward import fractional_problem
from tests.solvers.test_stack import SOLVERS, problems, stacked_state

SWEEPING = [name for name in SOLVERS if "adam" not in name]


@pytest.mark.parametrize("positions", [small_problem, fractional_problem])
@pytest.mark.parametrize("name", SWEEPING)
def test_stacks(each_backend, name, positions):
    """Four sweeps of three runs, each from where the last one has ended."""
    runs = problems(positions, each_backend, "complex128")
    stack, solver = RunStack.of(runs), merged(SOLVERS[name], runs[0].probe)
    state = stacked_state(SOLVERS[name], runs)
    moves_probe = solver.moves_probe(runs[0], state)
    rng = np.random.default_rng(0)
    plain = found = state.object, state.probe
    for _ in range(4):
        orders = list(np.stack([rng.permutation(runs[0].n_positions) for _ in runs], axis=1))
        plain = sweep_stack(solver, stack, *plain, orders, moves_probe)
        found = RecordedSweep.of(solver, runs, stack).swept(solver, *found, orders, moves_probe)
    are_close(found, plain)


@pytest.mark.parametrize("positions", [small_problem, fractional_problem])
@pytest.mark.parametrize("name", SWEEPING)
def test_colour_groups(each_backend, name, positions):
    """Batches of several sizes, and arguments that stay as they are."""
    solver, problem = SOLVERS[name][0], positions(each_backend, noise=0.5, flat_start=False)
    state, rng = solver.init(problem), np.random.default_rng(5)
    moves_probe, stack = solver.moves_probe(problem, state), RunStack.of([problem])
    plain = found = state.object[None], state.probe[None]
    before = to_numpy(state.object).copy()
    for _ in range(4):
        kind = "colour-groups", problem.scan_positions_px, problem.probe_size, 9
        batches = list(cut_into_batches(*kind, rng))
        plain = sweep_stack(solver, stack, *plain, batches, moves_probe)
        found = RecordedSweep.of(solver, [problem]).swept(solver, *found, batches, moves_probe)
    are_close(found, plain)
    np.testing.assert_array_equal(to_numpy(state.object), before)


def test_batches_are_filled_up():
    """To the next of 1, 2, 3, 4, 6, 8, 12, ..., by their last visit, which does not count again."""
    allowed = sorted({2**k for k in range(9)} | {3 * 2**k for k in range(8)})
    sizes = np.arange(1, 257)
    assert filled_up(sizes).tolist() == [min(size for size in allowed if size >= n) for n in sizes]
    visits = np.arange(48).reshape(8, 6)
    found = repeated(visits, np.array([5, 1, 2]), np.array([6, 1, 3]))
    assert found[:, 0].tolist() == visits[[0, 1, 2, 3, 4, 4, 5, 6, 7, 7], 0].tolist()
    assert found[:, COUNTS].tolist() == [1, 1, 1, 1, 1, 0, 1, 1, 1, 0]


def test_where_visits_go():
    """One run's batches of several sizes, and those of three runs with a position each, as written out."""
    runs = problems(small_problem, backend("numpy"), "complex128")
    orders = [np.array([2, 0, 5]), np.array([1, 1, 4])]
    for stack, batches in ((RunStack.of(runs), orders), (RunStack.of(runs[:1]), [*orders, np.array([3])])):
        written_out = []
        for batch in batches:
            each = len(batch) // len(stack)
            for number, position in enumerate(batch.tolist()):
                run = number // each
                row, column = stack.problems[run].scan_positions_px[position]
                pattern = stack.first_pattern[run] + position
                written_out.append([run, row, column, pattern, run * runs[0].n_positions + position, 1])
        assert places(stack, batches).tolist() == written_out


def test_another_probe(each_backend):
    """A known probe that was replaced, or moved meanwhile, is the one that is used."""
    problem = small_problem(each_backend, noise=0.5)
    stack, batches = RunStack.of([problem]), [np.array([k]) for k in range(problem.n_positions)]
    probe = problem.probe[None]
    for used, moves_probe in ((probe, False), (1.1 * probe, False), (probe, True), (1.1 * probe, False)):
        start = problem.start_object[None], used
        plain = sweep_stack(RPIE_BLIND, stack, *start, batches, moves_probe)
        for _ in range(3):
            found = RecordedSweep.of(RPIE_BLIND, [problem]).swept(RPIE_BLIND, *start, batches, moves_probe)
            are_close(found, plain)


def test_goes_with_its_solver(each_backend):
    """Equal solvers have each their own, and nothing is kept of a run that has ended."""
    problem = small_problem(each_backend, noise=0.5)
    one, other = (type(RPIE_BLIND)(alpha=0.3) for _ in range(2))
    assert RecordedSweep.of(one, [problem]) is RecordedSweep.of(one, [problem])
    assert RecordedSweep.of(one, [problem]) is not RecordedSweep.of(other, [problem])
    kept = len(_of_solver)
    del one, other
    gc.collect()
    assert len(_of_solver) == kept - 2


RPIE_BLIND = SOLVERS["rpie, blind"][0]


def are_close(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=0, atol=1e-11)
