"""mPIE: rPIE with momentum, known probe.

A. Maiden, D. Johnson, P. Li, "Further improvements to the ptychographical iterative engine",
Optica 4, 736 (2017), section 4:

    z_k <- z_k + gamma * conj(Q) * chi_k / ((1 - alpha) |Q|^2 + alpha max |Q|^2)   at every position    (a)
    v <- eta * v + (z - z_T),   z <- z + eta * v                           after every T positions      (b)

z_T is the object T positions ago, after its momentum step; the count of T runs on from sweep to sweep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from jaxtyping import Complex, Float

from ptychosuite.backends.arrays import Array, copy, namespace
from ptychosuite.core.problem import Problem
from ptychosuite.solvers.pie import step_size
from ptychosuite.solvers.solver import LocalProbes, Patches, PatchSolver
from ptychosuite.solvers.sweep import sweep


@dataclass(frozen=True)
class MpieState:
    """Object and probe, and the momentum of the object."""

    object: Complex[Array, "H W"]
    probe: Complex[Array, "m m"]
    velocity: Complex[Array, "H W"]  # v
    anchor: Complex[Array, "H W"]  # z_T
    until_momentum: int  # positions left before the next momentum step


@dataclass(frozen=True, kw_only=True)
class MPIE(PatchSolver):
    """Momentum PIE, known probe, one patch at a time.

    Parameters
    ----------
    alpha
        Regularisation in (0, 1], as in rPIE.
    step_length
        gamma, the length of each patch's step.
    momentum
        eta, the share of the velocity that is kept.
    interval
        T, positions between two momentum steps.
    """

    label: ClassVar[str] = "mPIE"
    remembers: ClassVar[str] = "a velocity"

    alpha: Annotated[float, Gt(0), Le(1)] = 0.05
    step_length: Annotated[float, Gt(0), Le(1)] = 0.2
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    interval: Annotated[int, Gt(0)] = 50

    def init(self, problem: Problem) -> MpieState:
        start = problem.start_object
        return MpieState(start, problem.probe, namespace(start).zeros_like(start), start, self.interval)

    def narrowed(self, part: Problem, state: MpieState) -> tuple[MpieState, float]:
        return state, 0

    def step(self, problem: Problem, state: MpieState, rng: np.random.Generator) -> MpieState:
        order = rng.permutation(problem.n_positions)
        obj, velocity, anchor = state.object, state.velocity, state.anchor
        done, until_momentum = 0, state.until_momentum
        while done < len(order):
            stretch = order[done : done + until_momentum]
            obj, _ = sweep(self, problem, obj, state.probe, stretch[:, None])
            done, until_momentum = done + len(stretch), until_momentum - len(stretch)
            if until_momentum == 0:
                velocity = self.momentum * velocity + (obj - anchor)  # (b)
                obj = obj + self.momentum * velocity
                anchor, until_momentum = copy(obj), self.interval
        return MpieState(obj, state.probe, velocity, anchor, until_momentum)

    def object_weights(self, Q: LocalProbes) -> Float[Array, "*n m m"]:
        return step_size(Q, self.alpha)  # 1 / ((1 - alpha) |Q|^2 + alpha max |Q|^2)

    def new_patches(self, z: Patches, g: Patches, weights: Float[Array, "*#n m m"]) -> Patches:
        return z + self.step_length * (g * weights)  # (a)
