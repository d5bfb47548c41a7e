"""Fused loops for NumPy arrays, compiled by Numba: the fast forms of a few elementwise functions.

Each function here stands for a plain one of the same name and arguments, which says what is computed, serves
torch and CuPy, and is what the tests compare with; ``backends.arrays.accelerated`` chooses. A plain form goes
through memory once an operation, a fused one once.

The loops run along rows that are contiguous in memory, which is what lets the compiler use vector
instructions. Nothing here changes its arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np

from ptychosuite.core.problem import RATE_FLOOR


def compiled(function: Any, **options: Any) -> Any:
    """``function``, compiled at its first call and kept on the disk for the next process."""
    options = {"error_model": "numpy", "nogil": True, **options}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither this folder nor the user's cache can be written
        return numba.njit(**options)(function)


def compiled_sum(function: Any) -> Any:
    """As :func:`compiled`, for sums in double precision: any order will do, so they vectorise."""
    return compiled(function, fastmath={"reassoc", "nsz"})


def amplitudes(values: np.ndarray, scale: float, dtype: np.dtype[Any]) -> np.ndarray:
    """sqrt(scale * values), for :class:`ptychosuite.core.patterns.Patterns`."""
    values = np.ascontiguousarray(values)
    result = np.empty(values.shape, dtype)
    _amplitudes(values.ravel(), dtype.type(scale), result.ravel())
    return result


@compiled
def _amplitudes(values: Any, scale: Any, out: Any) -> None:
    real = out.dtype.type
    for i in range(values.size):
        out[i] = np.sqrt(scale * real(values[i]))


def wave_correction(
    detector_wave: np.ndarray, amplitude: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    wave = np.ascontiguousarray(detector_wave)
    amplitude = np.ascontiguousarray(amplitude, dtype=wave.real.dtype)
    correction = np.empty_like(wave)
    _wave_correction(wave.ravel(), amplitude.ravel(), correction.ravel())
    return correction if mask is None else correction * mask


@compiled
def _wave_correction(wave: Any, amplitude: Any, out: Any) -> None:
    one = amplitude.dtype.type(1)
    for i in range(wave.size):
        largest = max(abs(wave[i].real), abs(wave[i].imag))
        dark = largest == 0
        scale = one if dark else largest  # the square of a nearly dark pixel would vanish
        modulus = scale * np.sqrt((wave[i].real / scale) ** 2 + (wave[i].imag / scale) ** 2)
        corrected = wave[i] * (amplitude[i] / (one if dark else modulus) - one)
        out[i] = amplitude[i] if dark else corrected


def step_size(counterpart: np.ndarray, alpha: float | np.ndarray) -> np.ndarray:
    counterpart = np.ascontiguousarray(counterpart)
    intensity = np.empty(counterpart.shape, counterpart.real.dtype)
    _intensity(counterpart.ravel(), intensity.ravel())
    images = intensity.reshape(-1, *intensity.shape[-2:])
    alphas = np.broadcast_to(np.ravel(alpha), len(images))
    for image, own in zip(images, alphas, strict=True):
        _step_size(image.ravel(), image.max(), image.dtype.type(own))  # NumPy's maximum is vectorised
    return intensity


@compiled
def _intensity(x: Any, out: Any) -> None:
    for i in range(x.size):
        out[i] = x[i].real ** 2 + x[i].imag ** 2


@compiled
def _step_size(intensity: Any, largest: Any, alpha: Any) -> None:
    one = intensity.dtype.type(1)
    for i in range(intensity.size):
        intensity[i] = one / (intensity[i] + alpha * (largest - intensity[i]))


@dataclass(frozen=True)
class Pyramid:
    """Coefficients of a hierarchy's levels, fine to coarse one after the other; n probes.

    See :class:`ptychosuite.solvers.multigrid.Level`; a level's weight has the place of its gains.
    """

    gradient_gain: np.ndarray  # (n, P) real, P = m^2 + (m / 2)^2 + ...
    coarse_gain: np.ndarray  # (n, P) real
    weight: np.ndarray  # (n, P) real
    levels: int


def hierarchy(probe: np.ndarray, regulariser: np.ndarray, levels: int) -> Pyramid:
    size = probe.shape[-1]
    pixels = sum((size >> level) ** 2 for level in range(levels + 1))
    probes = np.ascontiguousarray(probe).reshape(-1, size * size)
    u = np.ascontiguousarray(regulariser).reshape(-1, size * size)
    gradient_gain, coarse_gain, weight = (np.empty((len(probes), pixels), u.dtype) for _ in range(3))
    for k in range(len(probes)):
        _hierarchy(probes[k], u[k], size, levels, gradient_gain[k], coarse_gain[k], weight[k])
    return Pyramid(gradient_gain, coarse_gain, weight, levels)


@compiled
def _hierarchy(q: Any, u: Any, size: int, levels: int, gradient_gain: Any, coarse_gain: Any, w: Any) -> None:
    p = np.empty(size * size, u.dtype)
    for i in range(p.size):
        p[i] = q[i].real ** 2 + q[i].imag ** 2
    first = 0
    for _ in range(levels):
        end = first + size * size
        _gains(p, u, gradient_gain[first:end], coarse_gain[first:end])
        half = size // 2
        coarse_q, coarse_p = np.empty(half * half, q.dtype), np.empty(half * half, p.dtype)
        coarse_u = np.empty(half * half, u.dtype)
        _coarsen(q, p, u, half, coarse_q, coarse_p, w[first : first + half * half], coarse_u)
        q, p, u, size, first = coarse_q, coarse_p, coarse_u, half, end
    _gains(p, u, gradient_gain[first:], coarse_gain[first:])


@compiled
def _gains(p: Any, u: Any, gradient_gain: Any, coarse_gain: Any) -> None:
    zero, one = p.dtype.type(0), p.dtype.type(1)
    for i in range(p.size):
        divisor = p[i] + u[i]
        gain = zero if divisor == 0 else one / divisor
        gradient_gain[i] = gain
        coarse_gain[i] = u[i] * gain


@compiled
def _coarsen(q: Any, p: Any, u: Any, half: int, coarse_q: Any, coarse_p: Any, w: Any, coarse_u: Any) -> None:
    one = p.dtype.type(1)
    _average(q, half, coarse_q)
    _average(p, half, coarse_p)
    _average(u, half, coarse_u)
    for i in range(half * half):
        intensity = coarse_q[i].real ** 2 + coarse_q[i].imag ** 2
        w[i] = one if coarse_p[i] == 0 else intensity / coarse_p[i]
        coarse_p[i] = intensity
        coarse_u[i] *= w[i]


@compiled
def _average(fine: Any, half: int, coarse: Any) -> None:
    size = 2 * half
    for i in range(half):
        upper, lower = fine[2 * i * size :][:size], fine[(2 * i + 1) * size :][:size]
        row = coarse[i * half :][:half]
        for j in range(half):
            row[j] = (upper[2 * j] + upper[2 * j + 1] + lower[2 * j] + lower[2 * j + 1]) / 4


def v_cycle(gradient: np.ndarray, pyramid: Pyramid) -> np.ndarray:
    size = gradient.shape[-1]
    gradients = np.ascontiguousarray(gradient).reshape(-1, size * size)
    change = np.empty_like(gradients)
    shared = len(pyramid.weight) == 1
    for k in range(len(gradients)):
        probe = 0 if shared else k
        coefficients = (pyramid.gradient_gain[probe], pyramid.coarse_gain[probe], pyramid.weight[probe])
        _v_cycle(gradients[k], size, pyramid.levels, *coefficients, change[k])
    return change.reshape(gradient.shape)


@compiled
def _v_cycle(
    g: Any, size: int, levels: int, gradient_gain: Any, coarse_gain: Any, weight: Any, change: Any
) -> None:
    gradients, changes = np.empty(gradient_gain.size, g.dtype), np.empty(gradient_gain.size, g.dtype)
    for i in range(g.size):
        gradients[i] = g[i]
    first = 0
    for _ in range(levels):
        end, half = first + size * size, size // 2
        coarse = gradients[end : end + half * half]
        _average(gradients[first:end], half, coarse)
        for i in range(coarse.size):
            coarse[i] *= weight[first + i]
        first, size = end, half
    for i in range(first, gradients.size):
        changes[i] = gradients[i] * gradient_gain[i]
    for _ in range(levels):
        end, first, half, size = first, first - 4 * size * size, size, 2 * size
        gains = gradient_gain[first:end], coarse_gain[first:end]
        _combine(gradients[first:end], gains[0], changes[end:], gains[1], half, changes[first:end])
    for i in range(change.size):
        change[i] = changes[i]


@compiled
def _combine(g: Any, gradient_gain: Any, coarse: Any, coarse_gain: Any, half: int, out: Any) -> None:
    size = 2 * half
    for i in range(size):
        first = i * size
        gi, ai, bi = g[first:][:size], gradient_gain[first:][:size], coarse_gain[first:][:size]
        ei, oi = coarse[i // 2 * half :][:half], out[first:][:size]
        for j in range(half):
            oi[2 * j] = gi[2 * j] * ai[2 * j] + ei[j] * bi[2 * j]
            oi[2 * j + 1] = gi[2 * j + 1] * ai[2 * j + 1] + ei[j] * bi[2 * j + 1]


def geometric_mean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = (np.ascontiguousarray(np.broadcast_to(x, shape)) for x in (a, b))
    mean = np.empty_like(a)
    _geometric_mean(a.ravel(), b.ravel(), mean.ravel())
    return mean


@compiled
def _geometric_mean(a: Any, b: Any, out: Any) -> None:
    one = a[0].real * 0 + 1
    for i in range(out.size):
        a_modulus = np.sqrt(a[i].real ** 2 + a[i].imag ** 2)
        b_modulus = np.sqrt(b[i].real ** 2 + b[i].imag ** 2)
        ratio = a_modulus / (one if b_modulus == 0 else b_modulus)
        real = a[i].real + b[i].real * ratio
        imag = a[i].imag + b[i].imag * ratio
        length = np.sqrt(real**2 + imag**2)
        scale = np.sqrt(a_modulus * b_modulus) / (one if length == 0 else length)
        out[i] = complex(real * scale, imag * scale)


def half_deviance(
    waves: np.ndarray, amplitude: np.ndarray, photon_scale: float, mask: np.ndarray | None
) -> float:
    amplitude = np.ascontiguousarray(amplitude, dtype=waves.real.dtype)
    if mask is not None:
        amplitude, waves = amplitude * mask, waves * mask
    floor = amplitude.dtype.type(RATE_FLOOR * photon_scale)
    ratio = np.empty_like(amplitude)
    _count_ratio(waves.ravel(), amplitude.ravel(), floor, ratio.ravel())
    terms = (x.ravel() for x in (waves, amplitude, ratio, np.log(ratio)))  # NumPy's log is vectorised
    return float(_half_deviance(*terms)) / photon_scale


@compiled
def _count_ratio(waves: Any, amplitude: Any, floor: Any, out: Any) -> None:
    one = amplitude.dtype.type(1)
    for i in range(waves.size):
        intensity = max(waves[i].real ** 2 + waves[i].imag ** 2, floor)
        measured = amplitude[i] ** 2
        out[i] = one if measured == 0 else intensity / measured


@compiled_sum
def _half_deviance(waves: Any, amplitude: Any, ratio: Any, log_ratio: Any) -> float:
    total = 0.0
    for i in range(waves.size):
        measured = amplitude[i] ** 2
        if measured == 0:
            total += waves[i].real ** 2 + waves[i].imag ** 2
        else:
            total += measured * (ratio[i] - 1 - log_ratio[i])
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
