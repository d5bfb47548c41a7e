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

from suite.core.arrays import Array, ifft2, namespace, to_numpy
from suite.core.problem import Problem
from suite.physics.forward import batches, detector_waves
from suite.physics.likelihood import wave_correction

RATE_FLOOR = 1e-12  # counts; keeps log(lambda) finite where the model is dark


@dataclass(frozen=True)
class CountConstants:
    """What the Poisson figures need of the data alone; computed once a problem."""

    log_factorials: float  # sum log n!
    n_log_n: float  # sum n log n
    total: float  # sum n
    size: int  # number of detector pixels

    @classmethod
    def of(cls, problem: Problem) -> CountConstants:
        total = log_factorials = n_log_n = 0.0
        for batch in batches(problem.n_positions, problem.probe_size):
            counts = to_numpy(problem.diffraction_amplitude[batch]).astype(np.float64) ** 2
            counts /= problem.photon_scale
            log_factorials += float(scipy.special.gammaln(counts + 1).sum())
            n_log_n += float(scipy.special.xlogy(counts, counts).sum())
            total += float(counts.sum())
        return cls(log_factorials, n_log_n, total, problem.n_positions * problem.probe_size**2)


def misfit_metrics(problem: Problem, obj: Array, probe: Array, constants: CountConstants) -> dict[str, float]:
    """The four figures above for one object (H, W) and probe (m, m)."""
    xp = namespace(obj)
    size = problem.probe_size
    residual = gradient_norm = rate_sum = n_log_rate = 0.0
    for batch in batches(problem.n_positions, size):
        amplitude = problem.diffraction_amplitude[batch]
        waves = detector_waves(obj, probe, problem.scan_positions_px[batch])
        correction = wave_correction(waves, amplitude)
        residual += _total(_square(correction)) / (2 * size**2)  # Parseval
        gradient = xp.conj(probe) * ifft2(correction)
        norms_squared = xp.sum(_square(gradient), axis=(-2, -1), dtype=xp.float64)
        gradient_norm += float(xp.sum(xp.sqrt(norms_squared)))
        rate = _square(waves) / problem.photon_scale
        rate_sum += _total(rate)
        counts = amplitude**2 / problem.photon_scale
        n_log_rate += _total(counts * xp.log(xp.clip(rate, min=RATE_FLOOR)))
    return {
        "residual": residual,
        "gradient_norm": gradient_norm / (problem.n_positions * size),
        "poisson_nll": rate_sum - n_log_rate + constants.log_factorials,
        "poisson_deviance": 2
        * (constants.n_log_n - n_log_rate - constants.total + rate_sum)
        / constants.size,
    }


def _square(x: Array) -> Array:
    return x.real**2 + x.imag**2


def _total(x: Array) -> float:
    xp = namespace(x)
    return float(xp.sum(x, dtype=xp.float64))
