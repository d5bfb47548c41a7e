"""The compiled sums of :mod:`ptychosuite.metrics.misfit`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled, compiled_sum
from ptychosuite.core.problem import RATE_FLOOR


def half_deviance(
    waves: np.ndarray, amplitude: np.ndarray, photon_scale: float, mask: np.ndarray | None
) -> float:
    return float(_half_deviance(*_terms(waves, amplitude, photon_scale, mask))) / photon_scale


def half_deviances(
    waves: np.ndarray, amplitude: np.ndarray, photon_scale: float, mask: np.ndarray | None
) -> np.ndarray:
    terms = (x.reshape(len(waves), -1) for x in _terms(waves, amplitude, photon_scale, mask))
    return np.array([_half_deviance(*each) for each in zip(*terms, strict=True)]) / photon_scale


def _terms(
    waves: np.ndarray, amplitude: np.ndarray, photon_scale: float, mask: np.ndarray | None
) -> tuple[np.ndarray, ...]:
    """Waves, amplitudes, the quotient of rates and counts, and its logarithm, all flat."""
    amplitude = np.ascontiguousarray(amplitude, dtype=waves.real.dtype)
    if mask is not None:
        amplitude, waves = amplitude * mask, waves * mask
    ratio = np.empty(amplitude.size, amplitude.dtype)
    _count_ratio(waves.ravel(), amplitude.ravel(), amplitude.dtype.type(photon_scale), ratio)
    return waves.ravel(), amplitude.ravel(), ratio, np.log(ratio)  # NumPy's log is vectorised


@compiled
def _count_ratio(waves: Any, amplitude: Any, count: Any, out: Any) -> None:
    one, floor = amplitude.dtype.type(1), amplitude.dtype.type(RATE_FLOOR)
    for i in range(waves.size):
        intensity = waves[i].real ** 2 + waves[i].imag ** 2
        measured = amplitude[i] ** 2
        dark = measured == 0
        divisor = one if dark else measured
        photon = count / divisor
        least = floor * (photon if photon < one else one)
        ratio = intensity / divisor
        out[i] = one if dark else least if ratio < least else ratio  # one that is no number stays


@compiled_sum
def _half_deviance(waves: Any, amplitude: Any, ratio: Any, log_ratio: Any) -> float:
    total, one = 0.0, amplitude.dtype.type(1)
    for i in range(waves.size):
        intensity = waves[i].real ** 2 + waves[i].imag ** 2
        measured = amplitude[i] ** 2
        total += np.float64(intensity if measured == 0 else measured * (ratio[i] - one - log_ratio[i]))
    return total


def sum_of_squares(x: np.ndarray) -> float:
    return float(_sum_of_squares(np.ascontiguousarray(x).ravel()))


@compiled_sum
def _sum_of_squares(x: Any) -> float:
    total = 0.0
    for i in range(x.size):
        total += x[i].real ** 2 + x[i].imag ** 2
    return total


def sum_of_norms(probes: np.ndarray, corrections: np.ndarray) -> float:
    probes = probes.reshape(len(probes), -1)
    corrections = corrections.reshape(len(corrections), -1)
    pairs = ((probes[k % len(probes)], correction) for k, correction in enumerate(corrections))
    return float(sum(np.sqrt(_sum_of_product_squares(probe, correction)) for probe, correction in pairs))


@compiled_sum
def _sum_of_product_squares(a: Any, b: Any) -> float:
    total = 0.0
    for i in range(a.size):
        total += (a[i].real ** 2 + a[i].imag ** 2) * (b[i].real ** 2 + b[i].imag ** 2)
    return total
