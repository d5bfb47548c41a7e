"""Misfit of some patterns and its gradients to object and probe, in closed form.

For patterns d_k of m x m pixels and Psi_k = F(Q * z_k), F the unnormalised DFT, with the likelihoods

    amplitude   phi = 1 / (2 m^2) sum_k sum (|Psi_k| - sqrt(d_k))^2             pull = sqrt(d) / |Psi| - 1
    Poisson     phi = 1 / (2 m^2) sum_k sum (|Psi_k|^2 - d_k log |Psi_k|^2)     pull = d / |Psi|^2 - 1

and chi_k = F^-1(pull * Psi_k), by which the exit wave is pulled towards the data:

    dphi/dz = -sum_k conj(Q) chi_k, each on its patch           dphi/dQ = -sum_k conj(z_k) chi_k

The gradient g to a complex x is that to its real and imaginary parts: dphi = Re sum conj(g) dx. Poisson's phi
is eta / (2 m^2) times the negative log-likelihood, without what depends on the data alone; a hundredth of a
count is added to d and to |Psi|^2, which keeps dark pixels finite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float

from ptychosuite.backends.arrays import Array, fft2, ifft2, namespace, squared_modulus
from ptychosuite.core.problem import Problem
from ptychosuite.physics.forward import accumulate_patches, illuminate, own_probes
from ptychosuite.physics.likelihood import wave_correction

Waves = Complex[Array, "n m m"]
Amplitudes = Float[Array, "n m m"]
Mask = Float[Array, "*#n m m"] | None

FLOOR = 1e-2  # counts


@dataclass(frozen=True)
class Likelihood:
    """Both take detector waves, measured amplitudes, the mask, and the intensity of :data:`FLOOR`."""

    correction: Callable[[Waves, Amplitudes, Mask, float], Waves]  # pull * Psi
    misfit: Callable[[Waves, Amplitudes, Mask, float], Array]  # 2 m^2 phi


@dataclass(frozen=True)
class Gradients:
    object: Complex[Array, "H W"]
    probe: Complex[Array, "m m"] | None  # None where nobody asked


def gradients_of(
    problem: Problem,
    obj: Complex[Array, "H W"],
    probe: Complex[Array, "m m"],
    batch: np.ndarray,
    likelihood: Likelihood,
    moves_probe: bool,
) -> tuple[Gradients, Waves]:
    """The gradients on a batch of positions, and the detector waves there."""
    xp = namespace(obj)
    lit = illuminate(problem, obj, probe, batch)
    waves = fft2(lit.exit_waves)
    chi = ifft2(likelihood.correction(waves, *_data(problem, batch)))
    to_object = accumulate_patches(xp.zeros_like(obj), -xp.conj(lit.probes) * chi, lit.positions)
    if not moves_probe:
        return Gradients(to_object, None), waves
    return Gradients(to_object, -xp.sum(own_probes(xp.conj(lit.patches) * chi, lit.phases), axis=0)), waves


def misfit_of(problem: Problem, waves: Waves, batch: np.ndarray, likelihood: Likelihood) -> Array:
    """phi of a batch whose detector waves are known."""
    return likelihood.misfit(waves, *_data(problem, batch)) / (2 * problem.probe_size**2)


def _data(problem: Problem, batch: np.ndarray) -> tuple[Amplitudes, Mask, float]:
    return problem.diffraction_amplitude[batch], problem.detector_mask, FLOOR * problem.photon_scale


def poisson_pull(waves: Waves, amplitude: Amplitudes, mask: Mask, floor: float) -> Float[Array, "n m m"]:
    """d / |Psi|^2 - 1."""
    pull = (amplitude**2 + floor) / (squared_modulus(waves) + floor) - 1
    return pull if mask is None else pull * mask


def _poisson_correction(waves: Waves, amplitude: Amplitudes, mask: Mask, floor: float) -> Waves:
    return poisson_pull(waves, amplitude, mask, floor) * waves


def _poisson_misfit(waves: Waves, amplitude: Amplitudes, mask: Mask, floor: float) -> Array:
    model = squared_modulus(waves) + floor
    return _total(model - (amplitude**2 + floor) * namespace(waves).log(model), mask)


def _amplitude_correction(waves: Waves, amplitude: Amplitudes, mask: Mask, floor: float) -> Waves:
    return wave_correction(waves, amplitude, mask)


def _amplitude_misfit(waves: Waves, amplitude: Amplitudes, mask: Mask, floor: float) -> Array:
    return _total(squared_modulus(wave_correction(waves, amplitude, mask)), None)


def _total(x: Float[Array, "n m m"], mask: Mask) -> Array:
    xp = namespace(x)
    return xp.sum(x if mask is None else x * mask, dtype=xp.float64)


LIKELIHOODS: Mapping[str, Likelihood] = {
    "poisson": Likelihood(_poisson_correction, _poisson_misfit),
    "amplitude": Likelihood(_amplitude_correction, _amplitude_misfit),
}
