"""ePIE and rPIE: the (regularised) ptychographic iterative engine, with a known or an unknown probe.

A. Maiden, D. Johnson, P. Li, "Further improvements to the ptychographical iterative engine",
Optica 4, 736 (2017); in the notation of MAGPIE, arXiv 2504.10118, section 2.2:

    z_k    object patch            chi_k  R_k - psi_k, the correction of the exit wave
    Q      probe                   u      alpha * (max |Q|^2 - |Q|^2)

    z_k <- z_k + conj(Q) * chi_k / (|Q|^2 + u)                                                   (3)
    Q   <- Q + conj(z_k) * chi_k / (|z_k|^2 + v),  v = beta * (max |z_k|^2 - |z_k|^2)            (3')

(3') for an unknown probe only. alpha = beta = 1 is ePIE (A. Maiden, J. Rodenburg, Ultramicroscopy 109, 1256
(2009)), values in (0, 1) are rPIE. Both updates are made from the same z_k, Q and chi_k; the sweep over the
positions is in :mod:`ptychosuite.solvers.sweep`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Gt, Le
from jaxtyping import Complex, Float

from ptychosuite.backends.arrays import Array, namespace, squared_modulus
from ptychosuite.backends.compiled import accelerated
from ptychosuite.solvers.solver import LocalProbes, ObjectPatches, Patches
from ptychosuite.solvers.sweep import JointSweeping


@dataclass(frozen=True, kw_only=True)
class RPIE(JointSweeping):
    """Regularised PIE.

    Parameters
    ----------
    alpha
        Regularisation in (0, 1] of the object's step; small values trust dim places more, and may end above
        the start where the beam is smooth.
    beta
        Regularisation in (0, 1] of the probe's step.
    """

    label: ClassVar[str] = "rPIE"

    alpha: Annotated[float, Gt(0), Le(1)] = 0.05
    beta: Annotated[float, Gt(0), Le(1)] = 0.5

    def object_weights(self, Q: LocalProbes) -> Float[Array, "*n m m"]:
        return step_size(Q, self.alpha)  # 1 / (|Q|^2 + u)

    def new_patches(self, z: Patches, g: Patches, weights: Float[Array, "*#n m m"]) -> Patches:
        return stepped(z, g, weights)  # (3)

    def new_probes(self, Q: LocalProbes, z: ObjectPatches, chi: Patches) -> Patches:
        return stepped_along(Q, z, chi, self.beta)  # (3')


@dataclass(frozen=True, kw_only=True)
class EPIE(JointSweeping):
    """ePIE with unit steps: rPIE at alpha = beta = 1."""

    label: ClassVar[str] = "ePIE"

    def object_weights(self, Q: LocalProbes) -> Float[Array, "*n m m"]:
        return step_size(Q, 1.0)  # 1 / max |Q|^2

    def new_patches(self, z: Patches, g: Patches, weights: Float[Array, "*#n m m"]) -> Patches:
        return stepped(z, g, weights)  # (3)

    def new_probes(self, Q: LocalProbes, z: ObjectPatches, chi: Patches) -> Patches:
        return stepped_along(Q, z, chi, 1.0)  # (3')


@accelerated
def stepped(z: Patches, g: Patches, weights: Float[Array, "*#n m m"]) -> Patches:
    """z + g * weights."""
    return z + g * weights


@accelerated
def stepped_along(
    Q: LocalProbes, z: ObjectPatches, chi: Patches, alpha: float | Float[Array, "#R 1 1"]
) -> Patches:
    """Q + conj(z) * chi / (|z|^2 + u)."""
    return Q + namespace(z).conj(z) * chi * step_size(z, alpha)


@accelerated
def step_size(Q: Complex[Array, "*n m m"], alpha: float | Float[Array, "#R 1 1"]) -> Float[Array, "*n m m"]:
    """1 / (|Q|^2 + u). ``alpha`` may differ from image to image."""
    intensity, u = regularisation(Q, alpha)
    return 1 / (intensity + u)


@accelerated
def regularisation(
    Q: Complex[Array, "*n m m"], alpha: float | Float[Array, "#R 1 1"]
) -> tuple[Float[Array, "*n m m"], Float[Array, "*n m m"]]:
    """|Q|^2 and rPIE's regulariser u = alpha * (max |Q|^2 - |Q|^2)."""
    xp = namespace(Q)
    intensity = squared_modulus(Q)
    return intensity, alpha * (xp.max(intensity, axis=(-2, -1), keepdims=True) - intensity)
