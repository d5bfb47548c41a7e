"""How well a reconstruction explains the data.

All figures come out of one pass over the scan::

    residual          Phi = 1/2 sum_k ||psi_k - R_k||^2              (MAGPIE, arXiv 2504.10118, eq. 1)
    gradient_norm     1 / (N m) sum_k ||conj(Q) * (R_k - psi_k)||_2  (the stopping number of its code)
    poisson_nll       sum lambda - n log lambda + log n!             n counts, lambda = |F psi|^2 / eta
    poisson_deviance  2 mean(n log(n / lambda) - n + lambda)         near 1 at the noise limit

eta is taken as 1 where the data are noiseless.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special

from suite.core.arrays import Array, fft2, ifft2, namespace, squared_modulus, to_numpy
from suite.core.problem import Problem
from suite.physics.forward import batches, illuminate
from suite.physics.likelihood import wave_correction

RATE_FLOOR = 1e-12  # counts; keeps log(lambda) finite where the model is dark


@dataclass(frozen=True)
class DataConstants:
    """What the figures need of the data alone; computed once a problem."""

    saturated_nll: float  # sum n - n log n + log n!, the Poisson NLL of a model that meets every count
    pixels: int  # good detector pixels in all patterns
    dark_residual: float  # the residual of an object that is zero everywhere

    @classmethod
    def of(cls, problem: Problem) -> DataConstants:
        mask = 1.0 if problem.detector_mask is None else to_numpy(problem.detector_mask).astype(np.float64)
        saturated_nll = intensity_sum = 0.0
        for batch in batches(problem.n_positions, problem.probe_size):
            intensity = to_numpy(problem.diffraction_amplitude[batch]).astype(np.float64) ** 2 * mask
            counts = intensity / problem.photon_scale
            per_pixel = counts - scipy.special.xlogy(counts, counts) + scipy.special.gammaln(counts + 1)
            saturated_nll += float(per_pixel.sum())
            intensity_sum += float(intensity.sum())
        m2 = problem.probe_size**2
        good = m2 if problem.detector_mask is None else int(np.sum(mask))
        return cls(saturated_nll, problem.n_positions * good, intensity_sum / (2 * m2))


def misfit_metrics(problem: Problem, obj: Array, probe: Array, constants: DataConstants) -> dict[str, float]:
    """The four figures above for one object (H, W) and probe (m, m)."""
    xp = namespace(obj)
    size = problem.probe_size
    residual = gradient_norm = half_deviance = 0.0
    for batch in batches(problem.n_positions, size):
        amplitude = problem.diffraction_amplitude[batch]
        lit = illuminate(problem, obj, probe, batch)
        waves = fft2(lit.exit_waves)
        correction = wave_correction(waves, amplitude, problem.detector_mask)
        residual += _total(squared_modulus(correction)) / (2 * size**2)  # Parseval
        gradient = xp.conj(lit.probes) * ifft2(correction)
        norms_squared = xp.sum(squared_modulus(gradient), axis=(-2, -1), dtype=xp.float64)
        gradient_norm += float(xp.sum(xp.sqrt(norms_squared)))
        half_deviance += _half_deviance(problem, waves, amplitude)
    return {
        "residual": residual,
        "gradient_norm": gradient_norm / (problem.n_positions * size),
        "poisson_nll": half_deviance + constants.saturated_nll,
        "poisson_deviance": 2 * half_deviance / constants.pixels,
    }


def _half_deviance(problem: Problem, waves: Array, amplitude: Array) -> float:
    """sum n log(n / lambda) - n + lambda, in a form that keeps its digits where lambda is close to n."""
    xp = namespace(waves)
    rate = squared_modulus(waves) / problem.photon_scale
    counts = amplitude**2 / problem.photon_scale
    lit = counts > 0
    ratio = xp.clip(rate, min=RATE_FLOOR) / xp.where(lit, counts, xp.ones_like(counts))
    per_pixel = xp.where(lit, counts * (ratio - 1 - xp.log(ratio)), rate)
    if problem.detector_mask is not None:
        per_pixel = per_pixel * problem.detector_mask
    return _total(per_pixel)


def _total(x: Array) -> float:
    xp = namespace(x)
    return float(xp.sum(x, dtype=xp.float64))
