"""What a run needs beside its data."""

import tracemalloc

import numpy as np
import pytest
from ptychosuite.core import problem as module
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.solvers.emagpie import EMAGPIE
from ptychosuite.solvers.magpie import MAGPIE
from ptychosuite.solvers.pie import EPIE, RPIE

from tests.conftest import small_problem

SOLVERS = [RPIE(), EPIE(update_probe=True), MAGPIE(levels=4), EMAGPIE(levels=4, update_probe=True)]


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_three_objects_and_six_batches(solver):
    """The start, the last and the next object, and six batches of the metrics' size, metrics included."""
    problem = small_problem(dtype="complex64", noise=0.5, object_size=640, probe_size=64, step=32)
    constants = DataConstants.of(problem)
    batch = 8 * module.BATCH_PIXELS
    one_object = problem.start_object.nbytes
    assert problem.diffraction_amplitude.nbytes > 10 * batch  # else the bound would say nothing

    def iterate(state):
        state = solver.step(problem, state, np.random.default_rng(0))
        misfit_metrics(problem, state.object, state.probe, constants)
        return state

    state = iterate(solver.init(problem))  # whatever is made once only
    tracemalloc.start()
    try:
        iterate(state)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak + 2 * one_object < 3 * one_object + 6 * batch
