"""How well a reconstruction explains the data.

All figures come out of one pass over the scan::

    residual          Phi = 1/2 sum_k ||psi_k - R_k||^2              (MAGPIE, arXiv 2504.10118, eq. 1)
    gradient_norm     1 / (N m) sum_k ||conj(Q) * (R_k - psi_k)||_2  (the stopping number of its code)
    poisson_nll       sum lambda - n log lambda + log n!             n counts, lambda = |F psi|^2 / eta
    poisson_deviance  2 mean(n log(n / lambda) - n + lambda)         what noise leaves: see noise_limit

over the detector pixels that are fitted, and where some are held out of the fit::

    held_out_deviance  the same as poisson_deviance, over those

What fits noise lowers the deviance of the pixels that are fitted, and raises that of the others. eta is taken
as 1 where the data are noiseless.

gradient_norm is that of the papers where the probe is known. With an unknown one it would depend on the
gauge: z -> c z, Q -> Q / c leaves exit waves, and chi = R - psi, as they are, but conj(Q) * chi falls with
the probe's power, and some solvers drift that way. It is therefore taken in the gauge in which the probe has
the power that it started with: times ||Q_start|| / ||Q||, over all modes where there are several.

How well a state explains the counts: what the safeguard compares.

Sums over batches stay where the arrays are: on a GPU nothing waits for it before all of them are under way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import scipy.special
from jaxtyping import Complex, Float

from ptychosuite.backends.arrays import Array, fft2, ifft2, namespace, squared_modulus, to_numpy
from ptychosuite.backends.compiled import accelerated
from ptychosuite.core.problem import RATE_FLOOR, Problem, batches
from ptychosuite.physics.forward import MODES, illuminate, total_amplitude
from ptychosuite.physics.likelihood import detector_correction

Number = Float[Array, ""] | float
"""A sum in double precision: on the device until somebody asks for it; a float from a compiled loop."""


@dataclass(frozen=True)
class DataConstants:
    """What the figures need of the data alone; computed once a problem."""

    saturated_nll: float  # sum n - n log n + log n!, the Poisson NLL of a model that meets every count
    pixels: int  # detector pixels in all patterns that are fitted
    dark_residual: float  # the residual of an object that is zero everywhere
    unseen_pixels: int = 0  # those that are held out of the fit

    @classmethod
    def of(cls, problem: Problem) -> DataConstants:
        saturated_nll = intensity_sum = 0.0
        for batch in batches(problem.n_positions, problem.probe_size):
            intensity = to_numpy(problem.diffraction_amplitude[batch]).astype(np.float64) ** 2
            mask = problem.mask(batch)
            intensity = intensity if mask is None else intensity * to_numpy(mask)
            counts = intensity / problem.photon_scale
            per_pixel = counts - scipy.special.xlogy(counts, counts) + scipy.special.gammaln(counts + 1)
            saturated_nll += float(per_pixel.sum())
            intensity_sum += float(intensity.sum())
        good = replace(problem, fitted_pixels=None).fitted_count
        fitted = problem.fitted_count
        return cls(saturated_nll, fitted, intensity_sum / (2 * problem.probe_size**2), good - fitted)


def misfit_metrics(
    problem: Problem, obj: Complex[Array, "H W"], probe: Complex[Array, "*M m m"], constants: DataConstants
) -> dict[str, float]:
    """The figures above for one object and probe."""
    size = problem.probe_size
    residual: Number = 0.0
    gradient_norm: Number = 0.0
    deviance: Number = 0.0
    unseen: Number = 0.0
    for batch in batches(problem.n_positions, size, like=obj):
        amplitude = problem.diffraction_amplitude[batch]
        lit, mask = illuminate(problem, obj, probe, batch), problem.mask(batch)
        waves = fft2(lit.exit_waves)
        deviance += half_deviance(one_wave(waves), amplitude, problem.photon_scale, mask)
        if (held_out := problem.held_out(batch)) is not None:
            unseen += half_deviance(one_wave(waves), amplitude, problem.photon_scale, held_out)
        correction = detector_correction(waves, amplitude, mask)
        residual += sum_of_squares(correction) / (2 * size**2)  # Parseval
        gradient_norm += sum_of_norms(lit.probes, ifft2(correction))
    figures = {
        "residual": residual,
        "gradient_norm": gauge_factor(problem, probe) * gradient_norm / (problem.n_positions * size),
        "poisson_nll": deviance + constants.saturated_nll,
        "poisson_deviance": 2 * deviance / constants.pixels,
    }
    if problem.fitted_pixels is not None:
        figures["held_out_deviance"] = 2 * unseen / constants.unseen_pixels
    return {name: float(figure) for name, figure in figures.items()}


def gauge_factor(problem: Problem, probe: Complex[Array, "*M m m"]) -> float:
    """||Q_start|| / ||Q||, over all modes; 1 where the probe is known, infinite for one that is zero."""
    if problem.probe_known:
        return 1.0
    start, now = float(sum_of_squares(problem.probe)), float(sum_of_squares(probe))
    return math.sqrt(start / now) if now > 0 else math.inf


@accelerated
def half_deviance(
    waves: Complex[Array, "n m m"],
    amplitude: Float[Array, "n m m"],
    photon_scale: float,
    mask: Float[Array, "*#n m m"] | None,
) -> Number:
    """sum n log(n / lambda) - n + lambda, in a form that keeps its digits where lambda is close to n.

    n and lambda are counts: intensities in units of ``photon_scale``, that of one count.
    """
    return _total(_deviance_terms(waves, amplitude, photon_scale, mask))


@accelerated
def half_deviances(
    waves: Complex[Array, "n m m"],
    amplitude: Float[Array, "n m m"],
    photon_scale: float,
    mask: Float[Array, "*#n m m"] | None,
) -> Float[Array, " n"]:
    """As :func:`half_deviance`, of each pattern, in double precision."""
    terms = _deviance_terms(waves, amplitude, photon_scale, mask)
    return namespace(terms).sum(terms, axis=(-2, -1), dtype=namespace(terms).float64)


def _deviance_terms(
    waves: Complex[Array, "n m m"],
    amplitude: Float[Array, "n m m"],
    photon_scale: float,
    mask: Float[Array, "*#n m m"] | None,
) -> Float[Array, "n m m"]:
    xp = namespace(waves)
    rate = squared_modulus(waves) / photon_scale
    counts = amplitude**2 / photon_scale
    lit = counts > 0
    counted = xp.where(lit, counts, xp.ones_like(counts))
    ratio = xp.maximum(rate / counted, RATE_FLOOR / xp.clip(counted, min=1.0))
    per_pixel = xp.where(lit, counts * (ratio - 1 - xp.log(ratio)), rate)
    return per_pixel if mask is None else per_pixel * mask


@accelerated
def sum_of_squares(x: Complex[Array, "*d"]) -> Number:
    """sum |x|^2 in double precision."""
    return _total(squared_modulus(x))


@accelerated
def sum_of_norms(probes: Complex[Array, "#n *M m m"], corrections: Complex[Array, "n *M m m"]) -> Number:
    """sum_k ||conj(Q) * chi_k||_2, each norm over all modes."""
    xp = namespace(corrections)
    squares = squared_modulus(probes) * squared_modulus(corrections)
    axes = tuple(range(1, squares.ndim))
    return xp.sum(xp.sqrt(xp.sum(squares, axis=axes, dtype=xp.float64)))


def _total(x: Float[Array, "*d"]) -> Float[Array, ""]:
    xp = namespace(x)
    return xp.sum(x, dtype=xp.float64)


def poisson_deviance(problem: Problem, obj: Complex[Array, "H W"], probe: Complex[Array, "*M m m"]) -> float:
    """Poisson deviance per good pixel, as the metric of that name; one forward pass over the data.

    It is the negative log-likelihood less that of a model that meets every count, in other units: of two
    states, the one with the lower NLL has the lower deviance.
    """
    total = sum(
        half_deviance(
            one_wave(fft2(illuminate(problem, obj, probe, batch).exit_waves)),
            problem.diffraction_amplitude[batch],
            problem.photon_scale,
            problem.mask(batch),
        )
        for batch in batches(problem.n_positions, problem.probe_size, like=obj)
    )
    return float(2 * total / problem.fitted_count)


def pattern_deviances(
    problem: Problem, obj: Complex[Array, "H W"], probe: Complex[Array, "*M m m"]
) -> Float[np.ndarray, " N"]:
    """Poisson deviance of each pattern over the mean number of fitted pixels, on the host.

    Their mean is the deviance of all. Where as many pixels are fitted of each pattern it is that per pixel.
    """
    found = []
    for batch in batches(problem.n_positions, problem.probe_size, like=obj):
        waves = one_wave(fft2(illuminate(problem, obj, probe, batch).exit_waves))
        amplitude, mask = problem.diffraction_amplitude[batch], problem.mask(batch)
        found.append(to_numpy(half_deviances(waves, amplitude, problem.photon_scale, mask)))
    return 2 * problem.n_positions / problem.fitted_count * np.concatenate(found)


def pattern_misfit(
    problem: Problem, obj: Complex[Array, "H W"], probe: Complex[Array, "*M m m"]
) -> Float[np.ndarray, " N"]:
    """Poisson deviance of each pattern per pixel of it that is fitted, on the host; NaN where none is."""
    found = pattern_deviances(problem, obj, probe)
    if not problem.mask_varies:
        return found
    counts = np.concatenate(
        [
            to_numpy(namespace(obj).sum(problem.mask(batch), axis=(-2, -1)))
            for batch in batches(problem.n_positions, problem.probe_size, like=obj)
        ]
    )
    mean = problem.fitted_count / problem.n_positions
    return np.divide(found * mean, counts, out=np.full(len(found), np.nan), where=counts > 0)


def one_wave(waves: Complex[Array, "n *M m m"]) -> Complex[Array, "n m m"]:
    """A wave of the intensity of all modes, for what asks for the intensity alone."""
    return waves if waves.ndim == MODES else total_amplitude(waves)[:, 0]
