"""What every registered solver promises, on every backend and in both precisions."""

import dataclasses

import numpy as np
import pytest
from ptychosuite.backends.arrays import backend, to_numpy
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.registry.lookup import GROUPS, build, names

from tests.conftest import small_problem

SOLVERS = {
    "epie": {"name": "epie"},
    "rpie": {"name": "rpie", "alpha": 0.05},
    "mpie": {"name": "mpie", "interval": 5},
    "magpie-0": {"name": "magpie", "alpha": 0.05, "levels": 0},
    "magpie-2": {"name": "magpie", "alpha": 0.05, "levels": 2},
    "magpie-4": {"name": "magpie", "alpha": 0.05, "levels": 4},
    "lbfgs": {"name": "lbfgs"},
    "epie-blind": {"name": "epie", "update_probe": True},
    "rpie-blind": {"name": "rpie", "alpha": 0.1, "update_probe": True},
    "rpie-minibatch": {"name": "rpie", "alpha": 0.1, "sweep": "minibatch", "batch": 4, "update_probe": True},
    "magpie-colours": {"name": "magpie", "alpha": 0.05, "levels": 4, "sweep": "colour-groups"},
    "emagpie": {"name": "emagpie", "levels": 3, "update_probe": True},
    "emagpie-known": {"name": "emagpie", "levels": 0},
    "lsqml": {"name": "lsqml", "batch": 4, "update_probe": True},
    "lsqml-known": {"name": "lsqml", "batch": 4},
    "lsqml-poisson": {"name": "lsqml", "likelihood": "poisson", "batch": 4, "update_probe": True},
}
PEERS = {"ptychi", "cdtools"}  # not pure, and with the starts of their packages: tests/solvers/peers
EPSILON = {"complex64": 1e-5, "complex128": 1e-12}


def test_every_solver_is_tested():
    """A solver that is registered without a line above would be registered untested."""
    assert {settings["name"] for settings in SOLVERS.values()} == set(GROUPS["solvers"].built_in) - PEERS
    assert set(GROUPS["solvers"].built_in) <= set(names("solvers"))


@pytest.fixture(params=SOLVERS)
def solver(request):
    return build("solvers", SOLVERS[request.param])


@pytest.fixture(params=["complex64", "complex128"])
def dtype(request):
    return request.param


def iterate(solver, problem, iterations, seed=0):
    """States 0 ... iterations."""
    states, rng = [solver.init(problem)], np.random.default_rng(seed)
    for _ in range(iterations):
        states.append(solver.step(problem, states[-1], rng))
    return states


def arrays_of(value):
    """Every array inside nested dataclasses and tuples."""
    if dataclasses.is_dataclass(value):
        return [a for f in dataclasses.fields(value) for a in arrays_of(getattr(value, f.name))]
    if isinstance(value, tuple):
        return [a for item in value for a in arrays_of(item)]
    return [value] if hasattr(value, "shape") and hasattr(value, "dtype") else []


def largest_difference(a, b):
    return np.abs(to_numpy(a) - to_numpy(b)).max()


def test_arguments_are_not_written(solver, each_backend, dtype):
    """Neither problem nor state changes in init or step.

    For NumPy they are read-only too, in one precision: compiled loops are compiled anew for that.
    """
    problem = small_problem(each_backend, dtype, noise=0.5)
    state = solver.init(problem)
    for iteration in range(3):
        held = [*arrays_of(problem), *arrays_of(state)]
        for array in held:
            if isinstance(array, np.ndarray) and dtype == "complex128":
                array.setflags(write=False)
        before = [to_numpy(array).copy() for array in held]
        after = solver.step(problem, state, np.random.default_rng(iteration))
        for array, kept in zip(held, before, strict=True):
            np.testing.assert_array_equal(to_numpy(array), kept)
        state = after


def test_steps_are_repeatable(solver, each_backend, dtype):
    """The same problem, state and generator give the same next state, bit for bit."""
    problem = small_problem(each_backend, dtype, noise=0.5)
    one, other = (iterate(solver, problem, 3, seed=7)[-1] for _ in range(2))
    for a, b in zip(arrays_of(one), arrays_of(other), strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b))
    again = solver.step(problem, one, np.random.default_rng(1))
    np.testing.assert_array_equal(
        to_numpy(again.object), to_numpy(solver.step(problem, one, np.random.default_rng(1)).object)
    )


def test_precision_and_place_are_kept(solver, each_backend, dtype):
    """Shape, dtype, library and device of object and probe stay those of the problem; passes are counted."""
    problem = small_problem(each_backend, dtype, noise=0.5)
    states = iterate(solver, problem, 2)
    for state in states:
        assert state.object.dtype == problem.start_object.dtype
        assert state.probe.dtype == problem.probe.dtype
        assert type(state.object) is type(problem.start_object)
        assert state.object.device == problem.start_object.device
        assert state.object.shape == problem.start_object.shape
        real_or_complex = {to_numpy(a).dtype for a in arrays_of(state)}
        assert real_or_complex <= {np.dtype(dtype), np.dtype(dtype).type(0).real.dtype}
    passes = [solver.data_passes(state, iterations) for iterations, state in enumerate(states)]
    assert passes[0] <= 1
    assert np.all(np.diff(passes) >= 1)


def test_counts_go_on_over_a_restart(solver):
    """A state that is made in the middle of a run has the passes of the run, and is else as it was made."""
    problem = small_problem(noise=0.5)
    past, first = iterate(solver, problem, 3)[-1], solver.init(problem)
    resumed = solver.resumed(first, past)
    assert solver.data_passes(resumed, 3) == solver.data_passes(past, 3) >= 3
    assert resumed.object is first.object


def test_start_is_the_starting_object(solver, each_backend):
    """The first state holds the problem's starting object and probe."""
    problem = small_problem(each_backend)
    state = solver.init(problem)
    np.testing.assert_array_equal(to_numpy(state.object), to_numpy(problem.start_object))
    np.testing.assert_array_equal(to_numpy(state.probe), to_numpy(problem.probe))


def test_truth_is_a_fixed_point(solver, each_backend, dtype):
    """Started at the true object on noiseless data, nothing moves beyond rounding."""
    problem = small_problem(each_backend, dtype)
    truth = each_backend.asarray(problem.reference.object, dtype)
    problem = dataclasses.replace(problem, start_object=truth)
    assert largest_difference(iterate(solver, problem, 3)[-1].object, truth) < 20 * EPSILON[dtype]


@pytest.mark.parametrize("phase", [np.pi / 2, 2.0])
def test_global_phase_passes_through(solver, each_backend, phase):
    """The data do not know the global phase: exp(i a) times the start gives exp(i a) times the result."""
    problem = small_problem(each_backend, noise=0.5, flat_start=False)
    turned = dataclasses.replace(problem, start_object=problem.start_object * complex(np.exp(1j * phase)))
    plain, rotated = (to_numpy(iterate(solver, p, 4)[-1].object) for p in (problem, turned))
    np.testing.assert_allclose(rotated, np.exp(1j * phase) * plain, rtol=0, atol=1e-9)


@pytest.mark.parametrize("noise", [0, 0.2])
def test_residual_falls(solver, each_backend, dtype, noise):
    """Five iterations from a flat object at least halve the residual."""
    problem = small_problem(each_backend, dtype, noise=noise)
    constants = DataConstants.of(problem)
    first, *_, last = iterate(solver, problem, 5)
    residual = [misfit_metrics(problem, s.object, s.probe, constants)["residual"] for s in (first, last)]
    assert residual[1] < 0.5 * residual[0]


def test_backends_agree(solver, each_backend, dtype):
    """Five iterations on any backend are NumPy's, to rounding."""
    expected = iterate(solver, small_problem(backend("numpy"), dtype, noise=0.5, flat_start=False), 5)[
        -1
    ].object
    found = iterate(solver, small_problem(each_backend, dtype, noise=0.5, flat_start=False), 5)[-1].object
    assert largest_difference(found, expected) < 50 * EPSILON[dtype]


def test_precisions_agree(solver):
    """Single precision follows double precision over five iterations."""
    single, double = (
        to_numpy(iterate(solver, small_problem(dtype=dtype, noise=0.5, flat_start=False), 5)[-1].object)
        for dtype in ("complex64", "complex128")
    )
    assert np.abs(single - double).max() < 50 * EPSILON["complex64"]


def test_scan_order_matters_where_it_should(solver):
    """Sweeps in another order differ; L-BFGS, which has no order, does not."""
    problem = small_problem(noise=0.5)
    one, other = (iterate(solver, problem, 2, seed=seed)[-1].object for seed in (0, 1))
    assert np.array_equal(one, other) == hasattr(solver, "history")


def test_pixels_never_seen_stay(solver):
    """Object pixels outside every patch keep their starting value."""
    problem = small_problem(noise=0.5, object_size=43)
    moved = iterate(solver, problem, 3)[-1].object
    np.testing.assert_array_equal(moved[40:], problem.start_object[40:])
    np.testing.assert_array_equal(moved[:, 40:], problem.start_object[:, 40:])
