"""MAGPIE: multilevel-adaptive-guided ptychographic iterative engine, known probe.

B. Zhang, Q. Li, Z. Di, "MAGPIE: Multilevel-Adaptive-Guided Solver for Ptychographic Phase Retrieval",
arXiv 2504.10118, section 4. At every scan position the quadratic surrogate is minimised by one V-cycle over
``levels`` coarse levels instead of rPIE's single step; ``levels`` = 0 is rPIE. The V-cycle is in
:mod:`ptychosuite.solvers.multigrid`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from ptychosuite.backends.arrays import Array
from ptychosuite.core.problem import Problem
from ptychosuite.solvers.multigrid import check_levels, hierarchy, v_cycle
from ptychosuite.solvers.pie import regularisation
from ptychosuite.solvers.rules import Rules, Step
from ptychosuite.solvers.solver import SweepState
from ptychosuite.solvers.sweep import Sweeping


@dataclass(frozen=True, kw_only=True)
class MAGPIE(Sweeping):
    """MAGPIE for a known probe.

    Parameters
    ----------
    alpha
        Regularisation in (0, 1] of the finest level, as in rPIE; coarser levels follow from it.
    levels
        L, number of coarse levels, 0 ... log2(probe size).
    """

    label: ClassVar[str] = "MAGPIE"
    typical_cost: ClassVar[float] = 2.0

    alpha: Annotated[float, Gt(0), Le(1)] = 0.01
    levels: Annotated[int, Ge(0)] = 5

    def check(self, probe_size: int) -> None:
        check_levels(self.levels, probe_size)

    def rules(self, problem: Problem, state: SweepState) -> Rules:
        return Rules(object_step=lambda probe: multigrid_step(probe, self.alpha, self.levels))


def multigrid_step(probe: Array, alpha: float, levels: int) -> Step:
    """MAGPIE's step for the gradients of patches under ``probe``, (..., m, m) complex."""
    _, regulariser = regularisation(probe, alpha)
    coefficients = hierarchy(probe, regulariser, levels)
    return lambda gradient: v_cycle(gradient, coefficients)
