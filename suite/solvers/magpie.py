"""MAGPIE: multilevel-adaptive-guided ptychographic iterative engine, known probe.

B. Zhang, Q. Li, Z. Di, "MAGPIE: Multilevel-Adaptive-Guided Solver for Ptychographic
Phase Retrieval", arXiv 2504.10118, section 4. At every scan position the quadratic surrogate is
minimised by one V-cycle over ``levels`` coarse levels instead of rPIE's single step; ``levels`` = 0 is
rPIE. The V-cycle is in :mod:`suite.solvers.multigrid`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le

from suite.core.arrays import Array, copy
from suite.core.problem import Problem
from suite.solvers.multigrid import Level, hierarchy, v_cycle
from suite.solvers.pie import probe_weights
from suite.solvers.protocol import SolverSettings
from suite.solvers.sweep import sweep_in_place


@dataclass(frozen=True)
class MagpieState:
    object: Array  # (H, W) complex
    probe: Array  # (m, m) complex
    levels: tuple[Level, ...]
    data_passes: int = 0


@dataclass(frozen=True)
class MAGPIE(SolverSettings):
    """MAGPIE, known probe, one patch at a time.

    Parameters
    ----------
    alpha
        Regularisation in (0, 1] of the finest level, as in rPIE; coarser levels follow from it.
    levels
        L, number of coarse levels, 0 ... log2(probe size).
    """

    alpha: Annotated[float, Gt(0), Le(1)] = 0.01
    levels: Annotated[int, Ge(0)] = 5

    def check(self, probe_size: int) -> None:
        if probe_size % 2**self.levels:
            deepest = (probe_size & -probe_size).bit_length() - 1
            raise ValueError(
                f"levels: found {self.levels}; a probe of {probe_size} x {probe_size} pixels can be halved "
                f"{deepest} times, so expected 0 to {deepest}"
            )

    def init(self, problem: Problem) -> MagpieState:
        _, regulariser = probe_weights(problem.probe, self.alpha)
        return MagpieState(
            problem.start_object, problem.probe, hierarchy(problem.probe, regulariser, self.levels)
        )

    def step(self, problem: Problem, state: MagpieState, rng: np.random.Generator) -> MagpieState:
        obj = copy(state.object)
        order = rng.permutation(problem.n_positions)
        sweep_in_place(obj, problem, state.probe, order, lambda g: v_cycle(g, state.levels))
        return replace(state, object=obj, data_passes=state.data_passes + 1)
