"""eMAGPIE (GM-MAGPIE): MAGPIE for an unknown probe, by phase-aligned geometric means.

"eMAGPIE", arXiv 2511.01793. At every position both factors of the exit wave are moved at once, from the same
residual: the object by MAGPIE's V-cycle with the probe as counterpart, the probe by an rPIE step with the
object patch as counterpart. Each is then replaced by its phase-aligned geometric mean with the current value,

    a o b = sqrt(|a| |b|) * exp(i arg a) * sqrt( (b / |b|) / (a / |a|) )

the root on the shorter arc, 0 where either is 0: half a step in modulus and in phase for each factor, so that
their product makes a whole one. ``levels`` = 0 is GM-rPIE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from ptychosuite.backends.arrays import Array, divide, modulus, namespace
from ptychosuite.backends.compiled import accelerated
from ptychosuite.core.problem import Problem
from ptychosuite.solvers.magpie import multigrid_step
from ptychosuite.solvers.multigrid import check_levels
from ptychosuite.solvers.pie import regularised_step
from ptychosuite.solvers.rules import Rules
from ptychosuite.solvers.solver import SweepState
from ptychosuite.solvers.sweep import JointSweeping


@dataclass(frozen=True, kw_only=True)
class EMAGPIE(JointSweeping):
    """GM-MAGPIE: object by multigrid, probe by rPIE, geometric means of both.

    Parameters
    ----------
    alpha
        Regularisation in (0, 1] of the object's step on the finest level.
    beta
        Regularisation in (0, 1] of the probe's step.
    levels
        Number of coarse levels, 0 (GM-rPIE) ... log2(probe size).
    """

    label: ClassVar[str] = "eMAGPIE"
    typical_cost: ClassVar[float] = 4.5

    alpha: Annotated[float, Gt(0), Le(1)] = 0.1
    beta: Annotated[float, Gt(0), Le(1)] = 0.5
    levels: Annotated[int, Ge(0)] = 4

    def check(self, probe_size: int) -> None:
        check_levels(self.levels, probe_size)

    def rules(self, problem: Problem, state: SweepState) -> Rules:
        moves_probe = self.moves_probe(problem, state)
        return Rules(
            object_step=lambda probe: multigrid_step(probe, self.alpha, self.levels),
            probe_step=(lambda patches: regularised_step(patches, self.beta)) if moves_probe else None,
            accept=geometric_mean,
        )


@accelerated
def geometric_mean(a: Array, b: Array) -> Array:
    """a o b: half way from ``a`` to ``b`` in modulus (geometric) and in phase (shorter arc).

    Where the two have opposite phases there is no shorter arc, and the result is 0.
    """
    xp = namespace(a, b)
    a_modulus, b_modulus = modulus(a), modulus(b)
    between = a + b * divide(a_modulus, b_modulus)  # along the bisector of the two phases
    return divide(between, modulus(between)) * xp.sqrt(a_modulus * b_modulus)
