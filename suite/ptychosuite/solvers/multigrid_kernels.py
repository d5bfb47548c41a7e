"""The compiled forms of :mod:`ptychosuite.solvers.multigrid`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled, images


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
    return hierarchy_of_modes(probe.reshape(-1, 1, size, size), regulariser, levels)


def hierarchy_of_modes(probes: np.ndarray, regulariser: np.ndarray, levels: int) -> Pyramid:
    size = probes.shape[-1]
    pixels = sum((size >> level) ** 2 for level in range(levels + 1))
    probes = np.ascontiguousarray(probes).reshape(len(probes), -1, size * size)
    u = np.ascontiguousarray(regulariser).reshape(-1, size * size)
    gradient_gain, coarse_gain, weight = (np.empty((len(probes), pixels), u.dtype) for _ in range(3))
    for k in range(len(probes)):
        _hierarchy(probes[k], u[k], size, levels, gradient_gain[k], coarse_gain[k], weight[k])
    return Pyramid(gradient_gain, coarse_gain, weight, levels)


@compiled
def _hierarchy(q: Any, u: Any, size: int, levels: int, gradient_gain: Any, coarse_gain: Any, w: Any) -> None:
    """Of one place: ``q`` (modes, pixels), ``u`` (pixels,)."""
    p = np.empty(size * size, u.dtype)
    _total_intensity(q, p)
    first = 0
    for _ in range(levels):
        end = first + size * size
        _gains(p, u, gradient_gain[first:end], coarse_gain[first:end])
        half = size // 2
        coarse_q, coarse_p = np.empty((len(q), half * half), q.dtype), np.empty(half * half, p.dtype)
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
    for mode in range(len(q)):
        _average(q[mode], half, coarse_q[mode])
    _average(p, half, w)
    _average(u, half, coarse_u)
    _total_intensity(coarse_q, coarse_p)
    for i in range(half * half):
        w[i] = one if w[i] == 0 else coarse_p[i] / w[i]
        coarse_u[i] *= w[i]


@compiled
def _total_intensity(q: Any, p: Any) -> None:
    """sum_i |Q_i|^2."""
    for i in range(p.size):
        p[i] = q[0, i].real ** 2 + q[0, i].imag ** 2
    for mode in range(1, len(q)):
        for i in range(p.size):
            p[i] += q[mode, i].real ** 2 + q[mode, i].imag ** 2


@compiled
def _average(fine: Any, half: int, coarse: Any) -> None:
    size, quarter = 2 * half, fine.real.dtype.type(0.25)
    for i in range(half):
        upper, lower = fine[2 * i * size :][:size], fine[(2 * i + 1) * size :][:size]
        row = coarse[i * half :][:half]
        for j in range(half):
            row[j] = (upper[2 * j] + upper[2 * j + 1] + lower[2 * j] + lower[2 * j + 1]) * quarter


def corrected(z: np.ndarray, g: np.ndarray, pyramid: Pyramid) -> np.ndarray:
    return _cycled(z, g, pyramid)


def v_cycle(gradient: np.ndarray, pyramid: Pyramid) -> np.ndarray:
    return _cycled(np.zeros((), gradient.dtype), gradient, pyramid)


def _cycled(z: np.ndarray, g: np.ndarray, pyramid: Pyramid) -> np.ndarray:
    """z + e_0."""
    new, size = np.empty(g.shape, g.dtype), g.shape[-1]
    shared = len(pyramid.weight) == 1
    for k, (z_k, g_k, new_k) in enumerate(images(new, z, g)):
        probe = 0 if shared else k
        coefficients = (pyramid.gradient_gain[probe], pyramid.coarse_gain[probe], pyramid.weight[probe])
        _v_cycle(z_k, g_k, size, pyramid.levels, *coefficients, new_k)
    return new


@compiled
def _v_cycle(
    z: Any, g: Any, size: int, levels: int, gradient_gain: Any, coarse_gain: Any, weight: Any, new: Any
) -> None:
    """Gradients go down in ``down``, changes come up in ``up``; both have the levels below the finest."""
    finest = g.size
    if levels == 0:
        for i in range(finest):
            new[i] = z[i] + g[i] * gradient_gain[i]
        return
    down, up = np.empty(weight.size - finest, g.dtype), np.empty(weight.size - finest, g.dtype)
    fine, first = g, 0
    for _ in range(levels):
        end, size = first + fine.size, size // 2
        coarse = down[end - finest :][: size * size]
        _weighted_average(fine, size, weight[first:], coarse)
        fine, first = coarse, end
    for i in range(fine.size):
        up[first - finest + i] = fine[i] * gradient_gain[first + i]
    nothing = np.zeros(finest // 4, z.dtype)
    for _ in range(levels - 1):
        end, first, half, size = first, first - 4 * size * size, size, 2 * size
        gains, place = (gradient_gain[first:end], coarse_gain[first:end]), first - finest
        _combine(down[place:], gains[0], up[end - finest :], gains[1], half, nothing, up[place:])
    _combine(g, gradient_gain, up, coarse_gain, size, z, new)


@compiled
def _weighted_average(fine: Any, half: int, weight: Any, coarse: Any) -> None:
    """In one loop: multiplied in place afterwards, ``coarse`` would take as long again."""
    size, quarter = 2 * half, fine.real.dtype.type(0.25)
    for i in range(half):
        upper, lower = fine[2 * i * size :][:size], fine[(2 * i + 1) * size :][:size]
        row, wi = coarse[i * half :][:half], weight[i * half :][:half]
        for j in range(half):
            mean = (upper[2 * j] + upper[2 * j + 1] + lower[2 * j] + lower[2 * j + 1]) * quarter
            row[j] = mean * wi[j]


@compiled
def _combine(
    g: Any, gradient_gain: Any, coarse: Any, coarse_gain: Any, half: int, start: Any, out: Any
) -> None:
    size = 2 * half
    for i in range(size):
        first = i * size
        gi, ai, bi = g[first:][:size], gradient_gain[first:][:size], coarse_gain[first:][:size]
        ei, zi, oi = coarse[i // 2 * half :][:half], start[first:][:size], out[first:][:size]
        for j in range(half):
            oi[2 * j] = zi[2 * j] + gi[2 * j] * ai[2 * j] + ei[j] * bi[2 * j]
            oi[2 * j + 1] = zi[2 * j + 1] + gi[2 * j + 1] * ai[2 * j + 1] + ei[j] * bi[2 * j + 1]
