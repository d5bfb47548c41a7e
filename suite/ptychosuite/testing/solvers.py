"""Checks of solvers and of fast-forward operators."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ptychosuite.backends.arrays import Backend, backend, to_numpy
from ptychosuite.core.problem import Problem
from ptychosuite.fastforward.operator import Snapshot
from ptychosuite.solvers.pie import RPIE
from ptychosuite.testing.common import ROUNDING, check_alike, noun_of, small_problem, truth_of, watched


def check_solver(
    solver: Any,
    *,
    backends: Sequence[str] = ("numpy",),
    dtypes: Sequence[str] = ("complex64", "complex128"),
    keeps_truth: bool = True,
) -> None:
    """Check what every solver promises, on small problems.

    It is a frozen dataclass; the first state is the problem's start; ``init`` and ``step`` write into no
    argument and repeat bit for bit; object and probe keep shape, precision, library and device, and stay
    finite.

    Parameters
    ----------
    solver
        A frozen dataclass with ``init`` and ``step``.
    backends, dtypes
        What it is tried on.
    keeps_truth
        Whether noiseless data with the true object are a fixed point, as for any consistent method.

    Raises
    ------
    AssertionError
        Something does not hold; the message says what.
    """
    solver = noun_of("solvers", solver)
    for name in backends:
        for dtype in dtypes:
            _check_steps(solver, small_problem(backend(name), dtype, noise=0.5))
            if keeps_truth:
                _check_fixed_point(solver, backend(name), dtype)


def check_operator(
    operator: Any,
    *,
    backends: Sequence[str] = ("numpy",),
    dtypes: Sequence[str] = ("complex64", "complex128"),
) -> None:
    """Check what every fast-forward operator promises, on small problems with known and unknown probe.

    It is a frozen dataclass; ``advance`` writes into no argument and repeats bit for bit; object and probe
    have shape, precision, library and device of the state that it is shown, and finite values.

    Parameters
    ----------
    operator
        A frozen dataclass with ``advance``.
    backends, dtypes
        What it is tried on.

    Raises
    ------
    AssertionError
        Something does not hold; the message says what.
    """
    operator = noun_of("operators", operator)
    for name in backends:
        for dtype in dtypes:
            problem = small_problem(backend(name), dtype, noise=0.5)
            for known in (True, False):
                _check_proposals(operator, dataclasses.replace(problem, probe_known=known))


def _check_steps(solver: Any, problem: Problem) -> None:
    with watched("init", problem):
        state = solver.init(problem)
    for name, start in (("object", problem.start_object), ("probe", problem.probe)):
        same = np.array_equal(to_numpy(getattr(state, name)), to_numpy(start))
        assert same, f"the first state's {name} is not what the problem starts from"
    for iteration in range(3):
        with watched("step", problem, state, (state.object, state.probe)):
            after, again = (solver.step(problem, state, np.random.default_rng(iteration)) for _ in range(2))
        for name, start in (("object", problem.start_object), ("probe", problem.probe)):
            check_alike(f"{name} after step {iteration + 1}", getattr(after, name), start)
            same = np.array_equal(to_numpy(getattr(after, name)), to_numpy(getattr(again, name)))
            assert same, f"two steps from one state with one random order differ in the {name}"
        state = after


def _check_fixed_point(solver: Any, chosen: Backend, dtype: str) -> None:
    problem = small_problem(chosen, dtype)
    truth = chosen.asarray(truth_of(problem).object, dtype)
    state = solver.init(dataclasses.replace(problem, start_object=truth))
    for iteration in range(3):
        state = solver.step(problem, state, np.random.default_rng(iteration))
    moved = float(np.abs(to_numpy(state.object) - to_numpy(truth)).max())
    assert moved < 20 * ROUNDING[dtype], f"from the true object on noiseless data it moves by {moved:.1e}"


def _check_proposals(operator: Any, problem: Problem) -> None:
    solver = RPIE(alpha=0.1)
    start = solver.init(problem)
    after = solver.step(problem, start, np.random.default_rng(0))
    before, now = Snapshot(start.object, start.probe, 0), Snapshot(after.object, after.probe, 1)
    with watched("advance", problem, before, now):
        one, other = (operator.advance(problem, now, before) for _ in range(2))
    for what, a, b, shown in zip(("object", "probe"), one, other, (now.object, now.probe), strict=True):
        check_alike(f"the proposed {what}", a, shown)
        assert np.array_equal(to_numpy(a), to_numpy(b)), f"two proposals differ in the {what}"
