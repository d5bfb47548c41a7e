"""A run that begins a rounding error aside: what becomes of it shows how far rounding carries it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from jaxtyping import Complex

from ptychosuite.backends.arrays import Array, asarray_like, real_dtype
from ptychosuite.core.problem import Problem
from ptychosuite.core.runs import RunRecord, RunSpec
from ptychosuite.execute.one_run import execute


def nudged(spec: RunSpec, number: int) -> RunRecord:
    """Carry out ``spec`` with another last digit in starting object and probe; ``number`` draws which.

    Raises
    ------
    BackendError, DataFileError
        It cannot be carried out here.
    """
    rng = np.random.default_rng(number)
    record, _ = execute(spec, change=partial(nudge, dtype=spec.dtype, rng=rng))
    return record


def nudge(problem: Problem, dtype: str, rng: np.random.Generator) -> Problem:
    """``problem`` with the pixels of starting object and probe a rounding error of ``dtype`` off."""
    epsilon = float(np.finfo(real_dtype(dtype)).eps)

    def moved(x: Complex[Array, "*d"]) -> Complex[Array, "*d"]:
        return x * asarray_like(1 + epsilon * rng.integers(-1, 2, x.shape), x.real)

    return replace(problem, start_object=moved(problem.start_object), probe=moved(problem.probe))
