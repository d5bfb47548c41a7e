"""ePIE and rPIE: the (regularised) ptychographic iterative engine, with a known or an unknown probe.

A. Maiden, D. Johnson, P. Li, "Further improvements to the ptychographical iterative engine",
Optica 4, 736 (2017); in the notation of MAGPIE, arXiv 2504.10118, section 2.2:

    z_k    object patch            chi_k  R_k - psi_k, the correction of the exit wave
    Q      probe                   u      alpha * (max |Q|^2 - |Q|^2)

    z_k <- z_k + conj(Q) chi_k / (|Q|^2 + u)                                                     (3)
    Q   <- Q + conj(z_k) chi_k / ((1 - beta) |z_k|^2 + beta max |z_k|^2)          unknown probe only

alpha = beta = 1 is ePIE (A. Maiden, J. Rodenburg, Ultramicroscopy 109, 1256 (2009)), values in (0, 1) are
rPIE. Both updates are made from the same z_k, Q and chi_k.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Gt, Le

from ptychosuite.backends.arrays import Array, namespace, squared_modulus
from ptychosuite.backends.compiled import accelerated
from ptychosuite.core.problem import Problem
from ptychosuite.solvers.rules import Rules, Step
from ptychosuite.solvers.solver import SweepState
from ptychosuite.solvers.sweep import JointSweeping


@dataclass(frozen=True, kw_only=True)
class RPIE(JointSweeping):
    """Regularised PIE.

    Parameters
    ----------
    alpha
        Regularisation in (0, 1] of the object's step; small values trust dim places more.
    beta
        Regularisation in (0, 1] of the probe's step.
    """

    label: ClassVar[str] = "rPIE"

    alpha: Annotated[float, Gt(0), Le(1)] = 0.01
    beta: Annotated[float, Gt(0), Le(1)] = 0.5

    def rules(self, problem: Problem, state: SweepState) -> Rules:
        return Rules(
            object_step=lambda probe: regularised_step(probe, self.alpha),
            probe_step=(lambda patches: regularised_step(patches, self.beta))
            if self.moves_probe(problem, state)
            else None,
        )


@dataclass(frozen=True, kw_only=True)
class EPIE(JointSweeping):
    """ePIE with unit steps: rPIE at alpha = beta = 1."""

    label: ClassVar[str] = "ePIE"

    def rules(self, problem: Problem, state: SweepState) -> Rules:
        unit = RPIE(alpha=1.0, beta=1.0, update_probe=self.update_probe, probe_start=self.probe_start)
        return unit.rules(problem, state)


def regularised_step(counterpart: Array, alpha: float) -> Step:
    """rPIE's step for gradients whose other factor is ``counterpart``, (..., m, m) complex."""
    size = step_size(counterpart, alpha)
    return lambda gradient: gradient * size


@accelerated
def step_size(counterpart: Array, alpha: float | Array) -> Array:
    """1 / (|Q|^2 + u): (..., m, m) real. ``alpha`` may differ from image to image, (..., 1, 1)."""
    intensity, regulariser = regularisation(counterpart, alpha)
    return 1 / (intensity + regulariser)


def regularisation(counterpart: Array, alpha: float) -> tuple[Array, Array]:
    """|Q|^2 and rPIE's regulariser u = alpha * (max |Q|^2 - |Q|^2), both (..., m, m) real."""
    xp = namespace(counterpart)
    intensity = squared_modulus(counterpart)
    return intensity, alpha * (xp.max(intensity, axis=(-2, -1), keepdims=True) - intensity)
