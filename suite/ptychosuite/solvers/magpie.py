"""MAGPIE: multilevel-adaptive-guided ptychographic iterative engine, known probe.

B. Zhang, Q. Li, Z. Di, "MAGPIE: Multilevel-Adaptive-Guided Solver for Ptychographic Phase Retrieval",
arXiv 2504.10118, section 4. At every scan position the quadratic surrogate is minimised by one V-cycle over
``levels`` coarse levels instead of rPIE's single step:

    z_k <- z_k + V(conj(Q) * chi_k)                                                              (a)

with the symbols of :mod:`ptychosuite.solvers.pie`. V is in :mod:`ptychosuite.solvers.multigrid`; without
coarse levels it divides by |Q|^2 + u, and ``levels`` = 0 is rPIE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from ptychosuite.solvers.multigrid import Hierarchy, check_levels, corrected, hierarchy
from ptychosuite.solvers.pie import regularisation
from ptychosuite.solvers.solver import LocalProbes, Patches
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

    alpha: Annotated[float, Gt(0), Le(1)] = 0.05
    levels: Annotated[int, Ge(0)] = 5

    def check(self, probe_size: int) -> None:
        check_levels(self.levels, probe_size)

    def object_weights(self, Q: LocalProbes) -> Hierarchy:
        _, u = regularisation(Q, self.alpha)
        return hierarchy(Q, u, self.levels)

    def new_patches(self, z: Patches, g: Patches, weights: Hierarchy) -> Patches:
        return corrected(z, g, weights)  # (a)
