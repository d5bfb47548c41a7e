"""LSQML: least-squares maximum likelihood, object and probe together.

M. Odstrcil, A. Menzel, M. Guizar-Sicairos, "Iterative least-squares solver for generalized
maximum-likelihood ptychography", Opt. Express 26, 3108 (2018). For each batch of positions k:

    chi_k                         change of the exit wave that the likelihood asks for
    dz   = sum_k conj(Q) chi_k / sum_k |Q|^2                  object direction, on the object's grid     (a)
    dQ   = sum_k conj(z_k) chi_k / sum_k |z_k|^2              probe direction                          (b)
    (a_k, b_k) minimise || chi_k - a_k Q dz - b_k z_k dQ ||^2     two unknowns a position              (c)
    z   <- z + dz * mean of step * a_k, with the weights |Q|^2                                         (d)
    Q   <- Q + step * mean b_k * dQ                                                                    (e)

Gaussian likelihood (amplitudes): chi = F^-1((sqrt(d) / |Psi| - 1) Psi). Poisson likelihood:
chi = xi F^-1((d / |Psi|^2 - 1) Psi), with the step xi of each pattern from one Newton step of its likelihood
along that direction. Of several modes, |Psi|^2 and |Q|^2 are sums over them, dQ has one image a mode, and
(a_k, b_k) are common to all. Where the probe differs from pattern to pattern, what is left of chi goes to
:mod:`ptychosuite.solvers.variations`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le
from jaxtyping import Complex, Float, Int

from ptychosuite.backends.arrays import Array, copy, divide, fft2, ifft2, namespace
from ptychosuite.backends.compiled import accelerated
from ptychosuite.core.problem import Found, Problem
from ptychosuite.physics.forward import (
    Illumination,
    illuminate,
    intensity_of,
    sum_of_intensities,
)
from ptychosuite.physics.likelihood import exit_wave_correction
from ptychosuite.solvers.areas import areas_of, cut_out
from ptychosuite.solvers.gradients import of_modes, over_modes, poisson_pull
from ptychosuite.solvers.positions import PositionShifts
from ptychosuite.solvers.solver import SweepState, direction
from ptychosuite.solvers.sweep import JointSweeping, Sweep
from ptychosuite.solvers.variations import Varying, in_gauge


@dataclass(frozen=True, kw_only=True)
class LSQML(JointSweeping):
    """Least-squares maximum likelihood for object and probe.

    Parameters
    ----------
    likelihood
        "gaussian" (amplitudes) or "poisson".
    step_length
        Share in (0, 1] of the optimal steps that is taken.
    regularisation
        Added to the divisors of the directions, as a share of their maximum.
    probe_variations
        Modes by which the probe differs from pattern to pattern, as an unstable beam does (orthogonal probe
        relaxation).
    intensity
        Whether the intensity of each pattern's light is found.
    variation_start
        Iterations before the first of both: an object that is still flat would have its structure explained
        by them.
    """

    label: ClassVar[str] = "LSQML"
    typical_cost: ClassVar[float] = 3.5

    likelihood: Literal["gaussian", "poisson"] = "gaussian"
    step_length: Annotated[float, Gt(0), Le(1)] = 0.9
    regularisation: Annotated[float, Gt(0), Le(1)] = 0.05
    probe_variations: Annotated[int, Ge(0)] = 0
    intensity: bool = False
    variation_start: Annotated[int, Ge(0)] = 5
    sweep: Sweep = "minibatch"
    batch: Annotated[int, Ge(1)] = 32

    @property
    def stackable(self) -> bool:
        return False

    def swept(
        self,
        problem: Problem,
        state: SweepState,
        batches: Iterable[Int[np.ndarray, " _"]],
        moves_probe: bool,
        shifts: PositionShifts | None,
    ) -> SweepState:
        obj, probe = copy(state.object), state.probe
        after = replace(state, data_passes=state.data_passes + 1)
        if not (self.probe_variations or self.intensity) or state.data_passes < self.variation_start:
            for batch in batches:
                probe, _, _ = self._update(problem, obj, probe, batch, moves_probe, shifts)
            return replace(after, object=obj, probe=probe)

        varying = Varying(self.probe_variations, self.intensity, self.step_length)
        variation = varying.first(problem, probe)
        for batch in batches:
            now = replace(problem, variation=variation)
            probe, lit, left = self._update(now, obj, probe, batch, moves_probe, shifts)
            variation = varying.moved(variation, batch, lit, left)
        variation, obj, probe = in_gauge(variation, obj, probe, moves_probe)
        found = replace(Found.by(state), variation=variation)
        return replace(after, object=obj, probe=probe, found=found)

    def _update(
        self,
        problem: Problem,
        obj: Array,
        probe: Array,
        batch: np.ndarray,
        moves_probe: bool,
        shifts: PositionShifts | None,
    ) -> tuple[Array, Illumination, Array]:
        """Move ``obj``, which the caller owns, by one batch.

        The new probe is returned, the batch as it was, and, under a probe that varies, what is left of the
        change that it asked for.
        """
        xp, step = namespace(obj), self.step_length
        lit = illuminate(problem, obj, probe, batch)
        Q, z = lit.probes, lit.patches
        chi = self._exit_wave_change(problem, lit.exit_waves, batch)
        if shifts is not None:
            shifts.see(batch, lit, chi)

        areas = areas_of(obj, lit.positions, problem.probe_size)
        light = xp.broadcast_to(intensity_of(Q), (len(batch), *Q.shape[-2:]))
        g = over_modes(direction(Q, chi))
        norms = [area.sum_of(light) for area in areas]
        brightest = xp.max(xp.stack([xp.max(norm) for norm in norms]))
        inverses = [self._inverse(norm, brightest) for norm in norms]
        dz = [area.sum_of(g) * inverse for area, inverse in zip(areas, inverses, strict=True)]  # (a)
        dz_k = cut_out(areas, dz, like=z)
        if moves_probe:
            seen = sum_of_intensities(z if lit.intensity is None else xp.sqrt(lit.intensity) * z)
            dQ = lit.laid_adjoint_of_product(chi) * self._inverse(seen, xp.max(seen))  # (b)
            dQ_k = lit.laid(dQ)
            a, b = _optimal_steps(normal_equations(chi, Q, dz_k, dQ_k, z))  # (c)
            probe = probe + step * xp.mean(b) * dQ  # (e)
        else:
            aa, a, *_ = normal_equations(chi, Q, dz_k)
            a = a / _positive(aa)  # (c), no b
        steps = step * a[:, None, None] * light
        for area, change, norm in zip(areas, dz, norms, strict=True):
            area.part[...] += change * divide(area.sum_of(steps), norm)  # (d)
        if problem.variation is not None:  # somebody asks for what is left
            chi = chi - step * _each(a, chi) * Q * dz_k
            chi = chi - step * xp.mean(b) * dQ_k * z if moves_probe else chi
        return probe, lit, chi

    def _inverse(self, divisor: Float[Array, "*d"], largest: Float[Array, ""]) -> Float[Array, "*d"]:
        """1 / ``divisor``, regularised: to divide real numbers is faster than complex ones by real ones."""
        return 1 / (divisor + self.regularisation * largest)

    def _exit_wave_change(self, problem: Problem, exit_waves: Array, batch: np.ndarray) -> Array:
        amplitude, mask = problem.diffraction_amplitude[batch], problem.mask(batch)
        if self.likelihood == "gaussian":
            return exit_wave_correction(exit_waves, amplitude, mask)
        return ifft2(_poisson_correction(fft2(exit_waves), amplitude, mask, problem.photon_scale))


def _poisson_correction(
    waves: Complex[Array, "n *M m m"],
    amplitude: Float[Array, "n m m"],
    mask: Float[Array, "*#n m m"] | None,
    photon_scale: float,
) -> Complex[Array, "n *M m m"]:
    """xi (d / |Psi|^2 - 1) Psi for each pattern: minus half the gradient, times a Newton step's length."""
    xp, model = namespace(waves), intensity_of(waves)
    pull = poisson_pull(model, amplitude, mask, photon_scale)
    # along Psi (1 + xi pull): slope sum 2 (I - d) pull = -2 sum I pull^2, curvature sum 2 pull^2 (I + d)
    weight = pull**2 * model
    newton = xp.sum(weight, axis=(-2, -1)) / _positive(xp.sum(weight * (2 + pull), axis=(-2, -1)))
    return of_modes(newton[:, None, None] * pull, waves) * waves


def _optimal_steps(
    equations: tuple[Float[Array, " n"], ...],
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """(a_k, b_k) of each position: the 2 x 2 normal equations, real unknowns."""
    aa, a, bb, b, ab = equations
    aa, bb = _positive(aa), _positive(bb)
    determinant = 1.001 * aa * bb - ab * ab  # two directions that agree would make it vanish
    return (bb * a - ab * b) / determinant, (aa * b - ab * a) / determinant


@accelerated
def normal_equations(
    chi: Complex[Array, "n *M m m"],
    Q: Complex[Array, "#n *M m m"],
    dz: Complex[Array, "n *#M m m"],
    dQ: Complex[Array, "#n *M m m"] | None = None,
    z: Complex[Array, "n *#M m m"] | None = None,
) -> tuple[Float[Array, " n"], ...]:
    """Of each pattern <o, o>, <o, chi>, and <p, p>, <p, chi>, <o, p> where there is a ``dQ``.

    o = Q dz is the change of the exit wave that the object's direction makes, p = dQ z the probe's, and <,>
    the real part of their product, summed over modes.
    """
    o = Q * dz
    if dQ is None or z is None:
        return _real_sum(o, o), _real_sum(o, chi)
    p = dQ * z
    return _real_sum(o, o), _real_sum(o, chi), _real_sum(p, p), _real_sum(p, chi), _real_sum(o, p)


def _real_sum(a: Complex[Array, "n *M m m"], b: Complex[Array, "n *M m m"]) -> Float[Array, " n"]:
    """Re <a_k, b_k> of each pattern, over its modes."""
    return namespace(a).sum(a.real * b.real + a.imag * b.imag, axis=tuple(range(1, a.ndim)))


def _each(x: Float[Array, " n"], waves: Complex[Array, "n *M m m"]) -> Float[Array, "n *#M 1 1"]:
    """``x``, one number a pattern, in a shape that goes with ``waves``."""
    return namespace(x).reshape(x, (-1, *[1] * (waves.ndim - 1)))


def _positive(x: Float[Array, " n"]) -> Float[Array, " n"]:
    """``x``, with zeros (a direction that vanishes) replaced by one."""
    xp = namespace(x)
    return xp.where(x > 0, x, xp.ones_like(x))
