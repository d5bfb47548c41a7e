"""ePIE and rPIE: the regularised ptychographic iterative engine, known probe.

A. Maiden, D. Johnson, P. Li, "Further improvements to the ptychographical iterative engine",
Optica 4, 736 (2017); in the notation of MAGPIE, arXiv 2504.10118, section 2.2:

    z_k    object patch            g_k   conj(Q) * (R_k - psi_k)
    Q      probe                   u     alpha * (max |Q|^2 - |Q|^2)

    z_k <- z_k + g_k / (|Q|^2 + u)                                                          (3)

alpha = 1 is ePIE (the divisor is max |Q|^2 everywhere), alpha in (0, 1) is rPIE.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from annotated_types import Gt, Le

from suite.core.arrays import Array, copy, namespace
from suite.core.problem import Problem
from suite.solvers.protocol import SolverSettings
from suite.solvers.sweep import sweep_in_place


@dataclass(frozen=True)
class PieState:
    object: Array  # (H, W) complex
    probe: Array  # (m, m) complex
    step_size: Array  # (m, m) real, 1 / (|Q|^2 + u)
    data_passes: int = 0


@dataclass(frozen=True)
class RPIE(SolverSettings):
    """Regularised PIE, known probe, one patch at a time.

    Parameters
    ----------
    alpha
        Regularisation in (0, 1]; small values trust dim places more.
    """

    alpha: Annotated[float, Gt(0), Le(1)] = 0.01

    def init(self, problem: Problem) -> PieState:
        intensity, regulariser = probe_weights(problem.probe, self.alpha)
        return PieState(problem.start_object, problem.probe, 1 / (intensity + regulariser))

    def step(self, problem: Problem, state: PieState, rng: np.random.Generator) -> PieState:
        obj = copy(state.object)
        order = rng.permutation(problem.n_positions)
        sweep_in_place(obj, problem, state.probe, order, lambda g: g * state.step_size)  # (3)
        return replace(state, object=obj, data_passes=state.data_passes + 1)


@dataclass(frozen=True)
class EPIE(SolverSettings):
    """ePIE with unit step, known probe: rPIE at alpha = 1."""

    def init(self, problem: Problem) -> PieState:
        return RPIE(alpha=1.0).init(problem)

    def step(self, problem: Problem, state: PieState, rng: np.random.Generator) -> PieState:
        return RPIE(alpha=1.0).step(problem, state, rng)


def probe_weights(probe: Array, alpha: float) -> tuple[Array, Array]:
    """|Q|^2 and rPIE's regulariser u = alpha * (max |Q|^2 - |Q|^2), both (m, m) real."""
    xp = namespace(probe)
    intensity = probe.real**2 + probe.imag**2
    return intensity, alpha * (xp.max(intensity) - intensity)
