"""L-BFGS on the amplitude misfit, known probe.

J. Nocedal, S. Wright, *Numerical Optimization*, 2nd ed., algorithms 7.4 (two-loop recursion) and 3.1
(backtracking); history and line search as in MAGPIE, arXiv 2504.10118, section 5.

    f     Phi = 1/2 sum_k ||R_k - psi_k||^2          s_i   step z_{i+1} - z_i
    grad  -sum_k conj(Q) * (R_k - psi_k)             y_i   grad_{i+1} - grad_i

Complex vectors are treated as real ones of twice the length: <a, b> = Re sum conj(a) b. The first
direction is scaled by 1 / max_r sum_k |Q(r - r_k)|^2, the curvature bound of the surrogate that
majorises Phi (MAGPIE, Proposition 3.1).

The functions here are plain algebra on arrays; a library's minimiser would bring its own array type or
its own device, and a step that cannot be taken alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np
from annotated_types import Ge, Gt, Lt
from jaxtyping import Complex

from ptychosuite.backends.arrays import Array, fft2, ifft2, namespace
from ptychosuite.backends.compiled import accelerated
from ptychosuite.core.problem import Problem, batches
from ptychosuite.physics.forward import accumulate_patches, illuminate
from ptychosuite.physics.likelihood import wave_correction
from ptychosuite.solvers.solver import CountingSolver, direction


@dataclass(frozen=True)
class LbfgsState:
    """Where L-BFGS is, and its latest steps and changes of the gradient."""

    object: Complex[Array, "H W"]
    probe: Complex[Array, "m m"]
    misfit: float  # Phi at object
    gradient: Complex[Array, "H W"]
    pairs: tuple[tuple[Complex[Array, "H W"], Complex[Array, "H W"]], ...]  # the latest (s, y), oldest first
    first_scale: float  # curvature bound's inverse
    data_passes: int  # evaluations of Phi and its gradient


@dataclass(frozen=True, kw_only=True)
class LBFGS(CountingSolver):
    """Limited-memory BFGS with a backtracking line search.

    Parameters
    ----------
    history
        Number of (s, y) pairs that are kept.
    backtracking
        Factor in (0, 1) by which a step that is too long is cut.
    armijo
        Share in (0, 1) of the linear decrease that a step has to reach.
    max_backtracks
        Steps tried before the search direction is given up and the history dropped.
    """

    label: ClassVar[str] = "L-BFGS"
    typical_cost: ClassVar[float] = 2.8
    remembers: ClassVar[str] = "its latest steps and changes of the gradient"

    history: Annotated[int, Ge(1)] = 5
    backtracking: Annotated[float, Gt(0), Lt(1)] = 0.8
    armijo: Annotated[float, Gt(0), Lt(1)] = 1e-4
    max_backtracks: Annotated[int, Ge(1)] = 50

    def init(self, problem: Problem) -> LbfgsState:
        obj = problem.start_object
        misfit, gradient = misfit_and_gradient(problem, obj)
        return LbfgsState(obj, problem.probe, misfit, gradient, (), 1 / _curvature_bound(problem), 1)

    def narrowed(self, part: Problem, state: LbfgsState) -> tuple[LbfgsState, float]:
        """Its history is of all patterns, and begins afresh."""
        return self.carried(part, state, state.object, state.probe)

    def step(self, problem: Problem, state: LbfgsState, rng: np.random.Generator) -> LbfgsState:
        direction = search_direction(state.gradient, state.pairs, state.first_scale)
        slope = inner(state.gradient, direction)
        length, passes = 1.0, state.data_passes
        for _ in range(self.max_backtracks):
            obj = along(state.object, length, direction)
            misfit, gradient = misfit_and_gradient(problem, obj)
            passes += 1
            if misfit <= state.misfit + self.armijo * length * slope:
                break
            length *= self.backtracking
        else:  # no descent to be had along this direction: start afresh from the gradient
            return replace(state, pairs=(), data_passes=passes)
        s, y = obj - state.object, gradient - state.gradient
        pairs = state.pairs
        if inner(s, y) > 0:  # only pairs of positive curvature keep the approximation positive definite
            pairs = (*pairs, (s, y))[-self.history :]
        return LbfgsState(obj, state.probe, misfit, gradient, pairs, state.first_scale, passes)


def search_direction(
    gradient: Complex[Array, "*d"],
    pairs: Sequence[tuple[Complex[Array, "*d"], Complex[Array, "*d"]]],
    first_scale: float,
) -> Complex[Array, "*d"]:
    """Minus the inverse Hessian approximation times the gradient (algorithm 7.4)."""
    q = gradient
    weights = []
    for s, y in reversed(pairs):
        rho = 1 / inner(s, y)
        weight = rho * inner(s, q)
        q = along(q, -weight, y)
        weights.append((rho, weight))
    if pairs:
        s, y = pairs[-1]
        first_scale = inner(s, y) / inner(y, y)
    r = first_scale * q
    for (s, y), (rho, weight) in zip(pairs, reversed(weights), strict=True):
        r = along(r, weight - rho * inner(y, r), s)
    return -r


@accelerated
def along(x: Complex[Array, "*d"], length: float, direction: Complex[Array, "*d"]) -> Complex[Array, "*d"]:
    """x + length * direction."""
    return x + length * direction


@accelerated
def inner(a: Complex[Array, "*d"], b: Complex[Array, "*d"]) -> float:
    """Re sum conj(a) b, summed in double precision."""
    xp = namespace(a, b)
    return float(xp.sum(a.real * b.real + a.imag * b.imag, dtype=xp.float64))


def misfit_and_gradient(problem: Problem, obj: Complex[Array, "H W"]) -> tuple[float, Complex[Array, "H W"]]:
    """Phi and its complex gradient over the whole scan; one pass over the data."""
    xp = namespace(obj)
    size = problem.probe_size
    misfit, gradient = 0.0, xp.zeros_like(obj)
    for batch in batches(problem.n_positions, size, like=obj):
        lit = illuminate(problem, obj, problem.probe, batch)
        waves = fft2(lit.exit_waves)
        correction = wave_correction(waves, problem.diffraction_amplitude[batch], problem.mask(batch))
        misfit += inner(correction, correction) / (2 * size**2)  # Parseval
        accumulate_patches(gradient, direction(lit.probes, ifft2(correction)), lit.positions)
    return misfit, -gradient


def _curvature_bound(problem: Problem) -> float:
    xp = namespace(problem.start_object)
    probe = problem.probe
    intensity = xp.broadcast_to(xp.abs(probe) ** 2, (problem.n_positions, *probe.shape))
    illumination = accumulate_patches(
        xp.zeros_like(problem.start_object.real), intensity, problem.scan_positions_px
    )
    return float(xp.max(illumination))
