"""Misfit of some patterns and its gradients to object and probe, in closed form.

For patterns d_k of m x m pixels with the model I_k = |Psi_k|^2, Psi_k = F(Q * z_k), F the unnormalised DFT,

    amplitude   phi = 1 / (2 m^2) sum_k sum (sqrt(I_k) - sqrt(d_k))^2           pull = sqrt(d / I) - 1
    Poisson     phi = 1 / (2 m^2) sum_k sum (I_k - d_k log I_k)                 pull = d / I - 1

and chi_k = F^-1(pull * Psi_k), by which the exit wave is pulled towards the data:

    dphi/dz = -sum_k conj(Q) chi_k, each on its patch           dphi/dQ = -sum_k conj(z_k) chi_k

The gradient g to a complex x is that to its real and imaginary parts: dphi = Re sum conj(g) dx. Of several
modes, I = sum_i |F(Q_i * z)|^2, all are pulled alike and dphi/dz is a sum over them. Poisson's phi is
eta / (2 m^2) times the negative log-likelihood, without what depends on the data alone; a floor, mostly
a hundredth of a count, is added to d and to I, which keeps dark pixels finite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float, Int

from ptychosuite.backends.arrays import Array, fft2, ifft2, namespace, squared_modulus
from ptychosuite.core.problem import Problem
from ptychosuite.physics.forward import (
    MODES,
    Illumination,
    accumulate_patches,
    add_at,
    illuminate,
    intensity_of,
)
from ptychosuite.physics.likelihood import dark_floor, detector_correction
from ptychosuite.solvers.solver import direction
from ptychosuite.solvers.stack import RunStack
from ptychosuite.solvers.stacked_sweep import Visits, pixels

Waves = Complex[Array, "n *M m m"]
Amplitudes = Float[Array, "n m m"]
Mask = Float[Array, "*#n m m"] | None


@dataclass(frozen=True)
class Likelihood:
    """Both functions take detector waves, measured amplitudes, the mask, and the intensity of a count."""

    correction: Callable[[Waves, Amplitudes, Mask, float], Waves]  # pull * Psi
    misfit: Callable[[Waves, Amplitudes, Mask, float], Float[Array, ""]]  # 2 m^2 phi
    share: float  # of chi, that meets data which are nearly met


@dataclass(frozen=True)
class Pulled:
    """Some patterns of a problem, and where their exit waves are pulled."""

    lit: Illumination
    waves: Waves  # Psi
    chi: Waves

    def to_object(self, obj: Complex[Array, "H W"]) -> Complex[Array, "H W"]:
        """dphi/dz, on the grid of ``obj``."""
        xp = namespace(obj)
        patches = over_modes(direction(self.lit.probes, self.chi))
        return -accumulate_patches(xp.zeros_like(obj), patches, self.lit.positions)

    def to_probe(self) -> Complex[Array, "*M m m"]:
        """dphi/dQ."""
        return -self.lit.laid_adjoint_of_product(self.chi)


def pulled(
    problem: Problem,
    obj: Complex[Array, "H W"],
    probe: Complex[Array, "*M m m"],
    batch: Int[np.ndarray, " n"],
    likelihood: Likelihood,
) -> Pulled:
    """The patterns ``batch``, at ``obj`` and ``probe``."""
    lit = illuminate(problem, obj, probe, batch)
    waves = fft2(lit.exit_waves)
    return Pulled(lit, waves, ifft2(likelihood.correction(waves, *_data(problem, batch))))


@dataclass(frozen=True)
class PulledStack:
    """As :class:`Pulled`, n patterns of each of R runs side by side, run after run."""

    lit: Illumination
    chi: Complex[Array, "Rn m m"]
    where: tuple[Int[Array, "*_"], ...]  # run, row and column of every pixel

    def to_object(self, objects: Complex[Array, "R H W"]) -> Complex[Array, "R H W"]:
        """dphi/dz of each run."""
        patches = direction(self.lit.probes, self.chi)
        return -add_at(namespace(objects).zeros_like(objects), self.where, patches)

    def to_probe(self, runs: int) -> Complex[Array, "R m m"]:
        """dphi/dQ of each run."""
        xp = namespace(self.chi)
        each = self.lit.own_probes(-xp.conj(self.lit.patches) * self.chi)
        return xp.sum(xp.reshape(each, (runs, -1, *each.shape[1:])), axis=1)


def pulled_stack(
    stack: RunStack,
    objects: Complex[Array, "R H W"],
    probes: Complex[Array, "R m m"],
    batch: Int[np.ndarray, "R n"],
    likelihood: Likelihood,
) -> PulledStack:
    """The patterns ``batch`` of each run, at its object and probe."""
    visits = Visits.of(stack, [batch], like=probes)
    where = pixels(visits.place, probes.shape[-1])
    lit = visits.lit(probes[visits.run], objects[where])
    waves, amplitude = fft2(lit.exit_waves), stack.amplitude[visits.pattern]
    mask = stack.mask(visits.pattern, visits.run)
    of_each = []
    for problem, of in _of_one_scale(stack.problems, batch.shape[1]):
        part = mask if mask is None or mask.ndim < waves.ndim else mask[of]
        of_each.append(likelihood.correction(waves[of], amplitude[of], part, problem.photon_scale))
    corrections = of_each[0] if len(of_each) == 1 else namespace(waves).concat(of_each)
    return PulledStack(lit, ifft2(corrections), where)


def _of_one_scale(problems: Sequence[Problem], n: int) -> Iterator[tuple[Problem, slice]]:
    """The patterns of runs, ``n`` each: all where a count has the same intensity in all, else run by run."""
    if len({problem.photon_scale for problem in problems}) == 1:
        yield problems[0], slice(None)
        return
    for number, problem in enumerate(problems):
        yield problem, slice(number * n, (number + 1) * n)


def misfit_of(
    problem: Problem, waves: Waves, batch: Int[np.ndarray, " n"], likelihood: Likelihood
) -> Float[Array, ""]:
    """phi of the patterns ``batch``, whose detector waves are known."""
    return likelihood.misfit(waves, *_data(problem, batch)) / (2 * problem.probe_size**2)


def _data(problem: Problem, batch: np.ndarray) -> tuple[Amplitudes, Mask, float]:
    return problem.diffraction_amplitude[batch], problem.mask(batch), problem.photon_scale


def poisson_pull(
    model: Float[Array, "n m m"], amplitude: Amplitudes, mask: Mask, count: float
) -> Float[Array, "n m m"]:
    """d / I - 1, where ``count`` is the intensity of a count."""
    floor = dark_floor(amplitude, count)
    pull = (amplitude**2 + floor) / (model + floor) - 1
    return pull if mask is None else pull * mask


def of_modes(x: Float[Array, "n m m"], waves: Waves) -> Float[Array, "n *#M m m"]:
    """``x``, which has one image a pattern, in a shape that goes with ``waves``."""
    return x[:, None] if waves.ndim > x.ndim else x


def over_modes(x: Complex[Array, "n *M m m"]) -> Complex[Array, "n m m"]:
    """Sum over modes where there are several."""
    return namespace(x).sum(x, axis=1) if x.ndim > MODES else x


def _poisson_correction(waves: Waves, amplitude: Amplitudes, mask: Mask, count: float) -> Waves:
    return of_modes(poisson_pull(intensity_of(waves), amplitude, mask, count), waves) * waves


def _poisson_misfit(waves: Waves, amplitude: Amplitudes, mask: Mask, count: float) -> Array:
    floor = dark_floor(amplitude, count)
    model = intensity_of(waves) + floor
    return _total(model - (amplitude**2 + floor) * namespace(waves).log(model), mask)


def _amplitude_correction(waves: Waves, amplitude: Amplitudes, mask: Mask, count: float) -> Waves:
    return detector_correction(waves, amplitude, mask)


def _amplitude_misfit(waves: Waves, amplitude: Amplitudes, mask: Mask, count: float) -> Array:
    return _total(squared_modulus(detector_correction(waves, amplitude, mask)), None)


def _total(x: Float[Array, "n *M m m"], mask: Mask) -> Array:
    xp = namespace(x)
    return xp.sum(x if mask is None else x * mask, dtype=xp.float64)


LIKELIHOODS: Mapping[str, Likelihood] = {
    "poisson": Likelihood(_poisson_correction, _poisson_misfit, share=0.5),
    "amplitude": Likelihood(_amplitude_correction, _amplitude_misfit, share=1.0),
}
