"""Runs of equal shape side by side on one device: their data, their states and their settings as one.

They differ in seed, noise or step sizes alone, and are advanced together, each in its own random order
(:mod:`ptychosuite.solvers.stacked_sweep`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

import array_api_compat
import numpy as np
from jaxtyping import Float, Int, Shaped

from ptychosuite.backends.arrays import Array, namespace
from ptychosuite.core.patterns import Patterns
from ptychosuite.core.problem import Problem
from ptychosuite.solvers.solver import Solver


@dataclass(frozen=True)
class RunStack:
    """The data of R runs of equal shape; runs that share a problem share its data."""

    problems: tuple[Problem, ...]  # one a run
    amplitude: Float[Array, "P m m"] | Patterns  # the patterns of all different problems
    first_pattern: Int[np.ndarray, " R"]  # where a run's patterns begin
    detector_mask: Float[Array, "R m m"] | None
    fitted: Float[Array, "P m m"] | None = None  # where pixels are held out of the fit: 1 for the others

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> RunStack:
        different = list({id(problem): problem for problem in problems}.values())
        xp = namespace(different[0].probe)
        starts = np.cumsum([0, *(problem.n_positions for problem in different)])
        first = {id(problem): start for problem, start in zip(different, starts, strict=False)}
        amplitudes = [problem.diffraction_amplitude for problem in different]
        masks = [problem.detector_mask for problem in problems]
        fitted = [problem.mask(slice(None)) for problem in different if problem.mask_varies]
        return cls(
            tuple(problems),
            amplitudes[0] if len(amplitudes) == 1 else xp.concat([each[:] for each in amplitudes]),
            np.array([first[id(problem)] for problem in problems]),
            None if masks[0] is None else xp.stack(masks),
            xp.concat(fitted) if fitted else None,
        )

    def __len__(self) -> int:
        return len(self.problems)

    def part(self, runs: Sequence[int]) -> RunStack:
        """Some of the runs, on the same patterns."""
        mask = self.detector_mask
        return RunStack(
            tuple(self.problems[run] for run in runs),
            self.amplitude,
            self.first_pattern[list(runs)],
            None if mask is None else mask[list(runs)],
            self.fitted,
        )

    def mask(self, pattern: Int[Array, " n"], run: Int[Array, " n"]) -> Float[Array, "n m m"] | None:
        """1 for the detector pixels of some patterns of some runs that are fitted; None where all are."""
        if self.fitted is not None:
            return self.fitted[pattern]
        return None if self.detector_mask is None else self.detector_mask[run]


def can_stack(one: Solver, other: Solver) -> bool:
    """Whether two runs of these solvers can be advanced together: alike but for step sizes.

    Only sweeps of one position at a time are: colour groups and minibatches differ in length from run to run.
    """
    a, b = (
        {k: v for k, v in vars(s).items() if k in s.same_in_stack or not isinstance(v, float)}
        for s in (one, other)
    )
    return one.stackable and type(one) is type(other) and a == b


def merged(solvers: Sequence[Any], like: Shaped[Array, "*_"]) -> Any:
    """One solver for all runs of a stack; step sizes that differ become arrays (R, 1, 1)."""
    different = {}
    for name, value in vars(solvers[0]).items():
        values = [getattr(solver, name) for solver in solvers]
        if any(other != value for other in values):
            different[name] = _column(values, like)
    return replace(solvers[0], **different)


def joined(states: Sequence[Any]) -> Any:
    """The states of R runs as one: arrays with an axis for the runs in front, other numbers as (R, 1, 1).

    What is the same in all of them, such as a count, stays as it is.
    """
    return _joined(states, like=states[0].probe)


def _joined(states: Sequence[Any], like: Array) -> Any:
    whole: dict[str, Any] = {}
    for name, value in vars(states[0]).items():
        values = [getattr(state, name) for state in states]
        if array_api_compat.is_array_api_obj(value):
            whole[name] = namespace(value).stack(values)
        elif is_dataclass(value):
            whole[name] = _joined(values, like)
        elif any(other != value for other in values):
            whole[name] = _column(values, like)
    return replace(states[0], **whole)


def taken(state: Any, which: int | Sequence[int]) -> Any:
    """Of a state as from :func:`joined`, that of one run, or of some."""
    parts: dict[str, Any] = {}
    for name, value in vars(state).items():
        if array_api_compat.is_array_api_obj(value):
            parts[name] = value[which]
        elif is_dataclass(value):
            parts[name] = taken(value, which)
    return replace(state, **parts)


def _column(values: Sequence[float], like: Array) -> Float[Array, "R 1 1"]:
    column = np.array(values)[:, None, None]
    return namespace(like).asarray(column, dtype=like.real.dtype, device=array_api_compat.device(like))
