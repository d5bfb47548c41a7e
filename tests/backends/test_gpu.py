"""What only a GPU has: memory of its own, streams, and a host that it need not wait for."""

import warnings

import numpy as np
import pytest
from ptychosuite.backends.arrays import GPU_BACKENDS, backend, namespace, to_numpy
from ptychosuite.errors import BackendError
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.solver import SweepState
from ptychosuite.solvers.stack import RunStack

from tests.conftest import small_problem

pytestmark = pytest.mark.gpu
SOLVERS = {
    "rpie": {"name": "rpie", "alpha": 0.05},
    "rpie-colours": {"name": "rpie", "alpha": 0.05, "sweep": "colour-groups"},
    "magpie": {"name": "magpie", "alpha": 0.05, "levels": 3},
    "emagpie": {"name": "emagpie", "levels": 3, "update_probe": True},
}


@pytest.fixture(params=GPU_BACKENDS)
def gpu(request):
    try:
        return backend(request.param)
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture(params=SOLVERS)
def solver(request):
    return build("solvers", SOLVERS[request.param])


def other_stream(gpu):
    """A stream that is not the default one, as a context."""
    if gpu.name == "cupy":
        return gpu.library.cuda.Stream(non_blocking=True)
    import torch

    return torch.cuda.stream(torch.cuda.Stream())


def stepped(solver, problem, iterations):
    state, rng = solver.init(problem), np.random.default_rng(0)
    for _ in range(iterations):
        state = solver.step(problem, state, rng)
    return state


def test_device_says_what_it_is(gpu):
    """Model, identifier and CUDA are known, and its memory is that of a GPU."""
    told = gpu.device_description()
    assert all(told[key] for key in ("gpu_model", "gpu_uuid", "cuda_version"))
    assert gpu.memory_bytes() > 2**30


def test_another_stream_gives_the_same(gpu, solver):
    """A run that is begun and waited for on a stream of its own is that of the default stream, to the bit."""
    expected = to_numpy(stepped(solver, small_problem(gpu, noise=0.5, flat_start=False), 3).object)
    with other_stream(gpu):
        found = stepped(solver, small_problem(gpu, noise=0.5, flat_start=False), 3).object
        gpu.synchronise()
        found = to_numpy(found)
    np.testing.assert_array_equal(found, expected)


def test_memory_of_an_iteration(gpu, solver):
    """One pattern at a time takes less than three objects beside the data, and more iterations no more."""
    problem = small_problem(gpu, "complex64", noise=0.5, object_size=1024, probe_size=64, step=64)
    one_object = 8 * 1024**2
    taken = []
    for iterations in (1, 4):
        state, rng = stepped(solver, problem, 1), np.random.default_rng(0)  # what is made once only
        gpu.synchronise()
        gpu.reset_peak_memory()
        before = gpu.peak_memory_bytes()
        for _ in range(iterations):
            state = solver.step(problem, state, rng)
        gpu.synchronise()
        taken.append(gpu.peak_memory_bytes() - before)
    assert taken[1] < taken[0] + 2 * one_object  # the first iteration's start is still held
    if getattr(solver, "sweep", "") == "sequential":
        assert taken[0] < 3 * one_object


def test_runs_of_a_stack_share_the_data(gpu):
    """16 runs of one problem hold its patterns once."""
    problem = small_problem(gpu, "complex64", noise=0.5, flat_start=False)
    stack = RunStack.of([problem] * 16)
    assert len(stack.amplitude) == problem.n_positions
    solver, xp = build("solvers", SOLVERS["rpie"]), namespace(problem.probe)
    state = SweepState(xp.stack([problem.start_object] * 16), xp.stack([problem.probe] * 16))
    after = solver.step_stack(stack, state, [np.random.default_rng(0) for _ in range(16)])
    alone = to_numpy(solver.step(problem, solver.init(problem), np.random.default_rng(0)).object)
    for found in to_numpy(after.object):
        assert np.abs(found - alone).max() < 1e-4


def test_a_sweep_does_not_wait_for_the_device(solver):
    """torch counts the calls that wait: a sweep of 36 positions has no more of them than one of 16."""
    try:
        chosen = backend("torch-cuda")
    except BackendError as error:
        pytest.skip(str(error))
    few, many = (waits(solver, small_problem(chosen, noise=0.5, object_size=size)) for size in (40, 56))
    assert few == many


def waits(solver, problem):
    """Calls that wait for the device in one iteration, when all that is done once is done."""
    import torch

    state = stepped(solver, problem, 2)
    for _ in range(2):
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                solver.step(problem, state, np.random.default_rng(0))
            finally:
                torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(warning.message) for warning in said)
