"""eMAGPIE (GM-MAGPIE): MAGPIE for an unknown probe, by phase-aligned geometric means.

"eMAGPIE", arXiv 2511.01793. At every position both factors of the exit wave are moved at once, from the same
residual: the object by MAGPIE's V-cycle with the probe as counterpart, the probe by an rPIE step with the
object patch as counterpart. Each is then replaced by its phase-aligned geometric mean with the current value:

    z_k <- z_k o (z_k + V(conj(Q) * chi_k))                                                      (a)
    Q   <- Q o (Q + conj(z_k) * chi_k / (|z_k|^2 + v))               unknown probe only          (b)

    a o b = sqrt(|a| |b|) * exp(i arg a) * sqrt( (b / |b|) / (a / |a|) )                         (c)

the root on the shorter arc, 0 where either is 0: half a step in modulus and in phase for each factor, so that
their product makes a whole one. Symbols as in :mod:`ptychosuite.solvers.pie`, V as in
:mod:`ptychosuite.solvers.multigrid`. ``levels`` = 0 is GM-rPIE.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le
from jaxtyping import Complex, Float

from ptychosuite.backends.arrays import Array, divide, modulus, namespace
from ptychosuite.backends.compiled import accelerated
from ptychosuite.physics.forward import total_amplitude
from ptychosuite.solvers.multigrid import Hierarchy, check_levels, corrected, hierarchy, hierarchy_of_modes
from ptychosuite.solvers.pie import regularisation, stepped_along
from ptychosuite.solvers.solver import LocalProbes, ObjectPatches, Patches
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
    typical_cost: ClassVar[float] = 2.6

    alpha: Annotated[float, Gt(0), Le(1)] = 0.1
    beta: Annotated[float, Gt(0), Le(1)] = 0.5
    levels: Annotated[int, Ge(0)] = 4

    def check(self, probe_size: int) -> None:
        check_levels(self.levels, probe_size)

    def object_weights(self, Q: LocalProbes) -> Hierarchy:
        _, u = regularisation(Q, self.alpha)
        return hierarchy(Q, u, self.levels)

    def modes_weights(self, Q: LocalProbes) -> Hierarchy:
        _, u = regularisation(total_amplitude(Q), self.alpha)
        return hierarchy_of_modes(Q, u, self.levels)

    def new_patches(self, z: Patches, g: Patches, weights: Hierarchy) -> Patches:
        return geometric_mean(z, corrected(z, g, weights))  # (a)

    def new_probes(self, Q: LocalProbes, z: ObjectPatches, chi: Patches) -> Patches:
        return halfway_along(Q, z, chi, self.beta)  # (b)


@accelerated
def geometric_mean(a: Complex[Array, "*#n m m"], b: Complex[Array, "*n m m"]) -> Complex[Array, "*n m m"]:
    """a o b, (c): half way from ``a`` to ``b`` in modulus (geometric) and in phase (shorter arc).

    Where the two have opposite phases there is no shorter arc, and the result is 0.
    """
    xp = namespace(a, b)
    a_modulus, b_modulus = modulus(a), modulus(b)
    between = a + b * divide(a_modulus, b_modulus)  # along the bisector of the two phases
    return divide(between, modulus(between)) * xp.sqrt(a_modulus * b_modulus)


@accelerated
def halfway_along(
    Q: LocalProbes, z: ObjectPatches, chi: Patches, alpha: float | Float[Array, "#R 1 1"]
) -> Patches:
    """Q o (Q + conj(z) * chi / (|z|^2 + v)), half of rPIE's step."""
    return geometric_mean(Q, stepped_along(Q, z, chi, alpha))
