"""How large the Poisson deviance is of a model that is true: what a deviance is quoted against.

A count n that is expected at lambda has the deviance 2 (n log(n / lambda) - n + lambda). In the mean over
Poisson distributed counts that is::

    E(lambda) = 2 lambda (E[log(n + 1)] - log lambda)     as E[n f(n)] = lambda E[f(n + 1)]
              = 1 + 1 / (6 lambda) + 1 / (6 lambda^2) + 19 / (60 lambda^3) + O(lambda^-4)

It is 1 for bright pixels alone: 1.15 at one count, 0.47 at a tenth, 0 where no light is expected. Most pixels
of most patterns are dark: a deviance well below 1 may be that of the truth.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import scipy.special
from jaxtyping import Complex, Float

from ptychosuite.backends.arrays import Array, asarray_like, fft2, squared_modulus, to_numpy
from ptychosuite.core.problem import ProbeVariation, Problem, Reference, batches, split_positions
from ptychosuite.metrics.misfit import one_wave, poisson_deviance
from ptychosuite.physics.forward import illuminate

DARKEST, BRIGHTEST = 1e-8, 50.0  # counts: below, E[log(n + 1)] is nothing; above, the series holds
ENTRIES = 8000  # evenly in log lambda: linear interpolation is right to 2e-6
SURELY_BELOW = 160  # counts that no pixel of the table's brightest rate comes to


def expected_pixel_deviance(rates: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """E(lambda) for ``rates`` lambda >= 0, in counts; right to 1e-5 of its value, NaN where a rate is.

    A table in log lambda, below it lambda's own logarithm, above it the series.
    """
    rates = np.asarray(rates, dtype=np.float64)
    inverse = 1 / np.maximum(rates, BRIGHTEST)
    bright = 1 + inverse * (1 / 6 + inverse * (1 / 6 + inverse * 19 / 60))
    logarithms = np.log(np.clip(rates, np.finfo(float).tiny, BRIGHTEST))
    at, excess = _table()
    dark = 2 * rates * np.where(rates < DARKEST, -logarithms, np.interp(logarithms, at, excess))
    return np.where(rates > BRIGHTEST, bright, dark)


@cache
def _table() -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """log lambda, and E[log(n + 1)] - log lambda, summed over the Poisson distribution."""
    at = np.linspace(np.log(DARKEST), np.log(BRIGHTEST), ENTRIES)
    mean = np.zeros(ENTRIES)
    for n in range(1, SURELY_BELOW):
        mean += np.log(n + 1) * np.exp(n * at - np.exp(at) - scipy.special.gammaln(n + 1))
    return at, mean - at


def expected_deviance(problem: Problem, obj: Complex[Array, "H W"], probe: Complex[Array, "*M m m"]) -> float:
    """The Poisson deviance per fitted pixel that counts would have whose rates are those of the model.

    One pass over the scan; nothing of it depends on the counts.
    """
    total = 0.0
    for batch in batches(problem.n_positions, problem.probe_size, like=obj):
        waves = one_wave(fft2(illuminate(problem, obj, probe, batch).exit_waves))
        found = expected_pixel_deviance(to_numpy(squared_modulus(waves)) / problem.photon_scale)
        mask = problem.mask(batch)
        total += float(np.sum(found if mask is None else found * to_numpy(mask)))
    return total / problem.fitted_count


def truth_deviance(problem: Problem) -> float:
    """The Poisson deviance per fitted pixel of the truth on the problem's counts.

    The truth is object, probe with all its modes, positions and what varies from pattern to pattern, as far
    as a reconstruction can have them. What no model of ours has (motion while the shutter is open, a
    detector's background or point spread) is in the counts, and raises it.
    """
    truth = problem.reference
    assert truth is not None, "only a simulation has a truth"
    whole, shifts = split_positions(truth.scan_positions_px)
    seen = replace(
        problem, scan_positions_px=whole, subpixel_shifts_px=shifts, variation=_variation(problem, truth)
    )
    probe = truth.probe if truth.probe_modes is None else truth.probe_modes
    obj, probe = (asarray_like(field, problem.probe) for field in (truth.object, probe))
    return poisson_deviance(seen, obj, probe)


def _variation(problem: Problem, truth: Reference) -> ProbeVariation | None:
    """How the true probe differs from pattern to pattern."""
    modes = truth.probe_variation
    if truth.intensity is None and modes is None:
        return None
    return ProbeVariation(
        np.ones(problem.n_positions) if truth.intensity is None else truth.intensity,
        None if modes is None else asarray_like(modes, problem.probe),
        truth.variation_weights,
    )
