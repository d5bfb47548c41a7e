"""What every registered solver promises, on every backend and in both precisions."""

import dataclasses

import numpy as np
import pytest
from ptychosuite.backends.arrays import backend, to_numpy
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.registry.lookup import GROUPS, build, names
from ptychosuite.solvers.adam import Adam
from ptychosuite.testing import check_solver, small_problem
from ptychosuite.testing.common import arrays_of

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
    "adam": {"name": "adam", "learning_rate": 0.1, "batch": 4, "update_probe": True},
    "adam-known": {"name": "adam", "likelihood": "amplitude", "learning_rate": 0.1, "batch": 16},
    "staged": {
        "name": "staged",
        "stages": [
            {"name": "rpie", "alpha": 0.05, "iterations": 1},
            {"name": "emagpie", "levels": 2, "update_probe": True, "iterations": 2},
            {"name": "lbfgs", "iterations": None},
        ],
    },
}
PEERS = {
    "ptychi",
    "cdtools",
    "ptylab",
}  # not pure, and with the starts of their packages: tests/solvers/peers
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


def largest_difference(a, b):
    return np.abs(to_numpy(a) - to_numpy(b)).max()


def test_what_every_solver_promises(solver, each_backend, dtype):
    """Starts where the problem does, repeats, writes nothing, keeps shape, precision, place and the truth."""
    keeps_truth = not isinstance(solver, Adam)  # whose steps are as long as ever: tests/solvers/test_adam.py
    check_solver(solver, backends=[each_backend.name], dtypes=[dtype], keeps_truth=keeps_truth)


def test_all_of_a_state_is_in_one_precision(solver, each_backend, dtype):
    """What it remembers beside object and probe too; and passes are counted."""
    states = iterate(solver, small_problem(each_backend, dtype, noise=0.5), 2)
    for state in states:
        found = {to_numpy(a).dtype for a in arrays_of(state)}
        assert found <= {np.dtype(dtype), np.dtype(dtype).type(0).real.dtype}
    passes = [solver.data_passes(state, iterations) for iterations, state in enumerate(states)]
    assert passes[0] <= 1
    assert np.all(np.diff(passes) >= 1)


def test_counts_go_on_over_a_restart(solver):
    """A state that is made in the middle of a run has the passes of the run, and is else as it was made."""
    problem = small_problem(noise=0.5)
    past, first = iterate(solver, problem, 3)[-1], solver.init(problem)
    resumed, _ = solver.carried(problem, past, first.object, first.probe)
    assert solver.data_passes(resumed, 3) == solver.data_passes(past, 3) >= 3
    assert resumed.object is first.object


@pytest.mark.parametrize("phase", [np.pi / 2, 2.0])
def test_global_phase_passes_through(solver, each_backend, phase):
    """The data do not know the global phase: exp(i a) times the start gives exp(i a) times the result."""
    if isinstance(solver, Adam) and phase != np.pi / 2:
        pytest.skip("Adam, whose unknowns are real and imaginary parts, passes quarter turns alone")
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
    """Object pixels outside every patch keep their starting value, but for the scale of object and probe."""
    problem = small_problem(noise=0.5, object_size=43)
    moved = iterate(solver, problem, 3)[-1].object
    updates_probe = any(getattr(part, "update_probe", False) for part in solver.constituents)
    scale = moved[-1, -1] if updates_probe else 1
    np.testing.assert_array_equal(moved[40:], scale * problem.start_object[40:])
    np.testing.assert_array_equal(moved[:, 40:], scale * problem.start_object[:, 40:])
