"""Recorded sweeps are those of the plain form, on the CPU as well, where a recording is carried out anew."""

import gc
from dataclasses import replace

import numpy as np
import pytest
from ptychosuite.backends.arrays import backend, to_numpy
from ptychosuite.core.problem import Found, ProbeVariation
from ptychosuite.registry.lookup import build
from ptychosuite.solvers import recorded_sweep
from ptychosuite.solvers import sweep as sweep_module
from ptychosuite.solvers.recorded_sweep import RecordedSweep, _of_solver, are_the_same, filled_up, repeated
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


@pytest.fixture
def recorded(monkeypatch):
    """The recorded sweeps that were made, in runs that go as on a GPU."""
    made = []

    class Counted(RecordedSweep):
        def __init__(self, stack):
            super().__init__(stack)
            made.append(self)

    monkeypatch.setattr(sweep_module, "is_on_gpu", lambda x: True)
    monkeypatch.setattr(recorded_sweep, "can_be_recorded", lambda *arrays: True)
    monkeypatch.setattr(recorded_sweep, "RecordedSweep", Counted)
    return made


def run(solver, problem, iterations, **more):
    state, rng = replace(solver.init(problem), **more), np.random.default_rng(0)
    for _ in range(iterations):
        state = solver.step(problem, state, rng)
    return state


@pytest.mark.parametrize("known", [True, False])
def test_a_stage_is_recorded_once(recorded, known):
    """Its problem is made anew for every iteration, with the probe that the stage began with."""
    stages = [{"name": "epie", "iterations": 2}, {"name": "rpie", "iterations": 6}]
    problem = replace(small_problem(noise=0.5, flat_start=False), probe_known=known)
    run(build("solvers", {"name": "staged", "stages": stages}), problem, 8)
    assert len(recorded) == 2


def test_positions_that_stay_where_they_were_found(recorded):
    problem = small_problem(noise=0.5)
    solver = build("solvers", {"name": "rpie"})
    run(solver, problem, 5, found=Found(problem.positions_px + 0.1))
    assert len(recorded) == 1


def test_a_part_and_the_whole_take_turns(recorded):
    """Two are kept of a solver, those that were used last."""
    problem, solver = small_problem(noise=0.5), build("solvers", {"name": "rpie"})
    parts = [problem.part(slice(n)) for n in (4, 5)]
    for chosen in (problem, parts[0], problem, parts[0], problem, parts[1], problem, parts[1]):
        run(solver, chosen, 2)
    assert len(recorded) == 3
    assert [each.stack.problems[0].n_positions for each in _of_solver[id(solver)]] == [problem.n_positions, 5]


def changes(chosen, problem):
    """What a sweep may not go on with where it has changed, field by field."""
    pixels = np.random.default_rng(2).random((problem.n_positions, 16, 16)) > 0.3
    return {
        "diffraction_amplitude": 1.5 * problem.diffraction_amplitude,
        "scan_positions_px": problem.scan_positions_px[::-1],
        "subpixel_shifts_px": -problem.subpixel_shifts_px,
        "detector_mask": chosen.asarray(1.0 * pixels[0]),
        "fitted_pixels": chosen.asarray(pixels),
        "valid_pixels": chosen.asarray(pixels[::-1]),
        "probe": 1.1 * problem.probe,
        "start_object": chosen.asarray(np.ones((48, 44)), "complex128"),
    }


CHANGES = list(changes(backend("numpy"), fractional_problem()))


@pytest.mark.parametrize("field", [*CHANGES, "no shifts"])
def test_nothing_is_taken_from_another_problem(each_backend, field):
    """Two problems that differ in one thing take turns, each with a probe that stays and one that moves."""
    problem, solver = fractional_problem(each_backend, noise=0.5, flat_start=False), SOLVERS["rpie, blind"][0]
    change = {**changes(each_backend, problem), "no shifts": None}[field]
    other = replace(problem, **{"subpixel_shifts_px" if field == "no shifts" else field: change})
    assert not are_the_same([problem], [other])
    batches = [np.array([k]) for k in np.random.default_rng(1).permutation(problem.n_positions)]
    for moves_probe in (False, True):
        for each in (problem, other) * 3:
            start = each.start_object[None], each.probe[None]
            plain = sweep_stack(solver, RunStack.of([each]), *start, batches, moves_probe)
            found = RecordedSweep.of(solver, [each]).swept(solver, *start, batches, moves_probe)
            are_close(found, plain)
    assert len(_of_solver[id(solver)]) == 2


def test_what_is_the_same():
    """Equal positions, another start and another truth; all else counts, as a solver is told of it."""
    problem = fractional_problem(noise=0.5)
    again = replace(
        problem,
        start_object=2 * problem.start_object,
        scan_positions_px=problem.scan_positions_px.copy(),
        subpixel_shifts_px=problem.subpixel_shifts_px.copy(),
        reference=None,
    )
    assert are_the_same([problem, again], [again, problem])
    assert not are_the_same([problem], [problem, problem])
    varying = ProbeVariation(np.ones(problem.n_positions))
    for change in ({"noise": 0.4}, {"probe_known": False}, {"variation": varying}):
        assert not are_the_same([problem], [replace(problem, **change)])


RPIE_BLIND = SOLVERS["rpie, blind"][0]


def are_close(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), rtol=0, atol=1e-11)
