"""Reconstructions of two halves of a scan: their ring correlation needs no truth."""

from __future__ import annotations

import numpy as np

from ptychosuite.backends.arrays import to_numpy
from ptychosuite.core.problem import Problem
from ptychosuite.core.runs import RunSpec
from ptychosuite.solvers.solver import Solver, State


def half_scan_objects(
    spec: RunSpec, problem: Problem, solver: Solver, iterations: int
) -> tuple[np.ndarray, np.ndarray]:
    """Objects (H, W) complex from the even and from the odd scan positions, on the host."""
    even, odd = (_reconstructed(spec, problem, solver, iterations, first) for first in (0, 1))
    return even, odd


def _reconstructed(
    spec: RunSpec, problem: Problem, solver: Solver, iterations: int, first: int
) -> np.ndarray:
    half = problem.part(slice(first, None, 2))
    state: State = solver.init(half)
    rng = spec.rng(f"half {first}")
    for _ in range(iterations):
        state = solver.step(half, state, rng)
    return to_numpy(state.object)
