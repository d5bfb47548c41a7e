"""The compiled form of :mod:`ptychosuite.solvers.emagpie`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled, images
from ptychosuite.solvers.pie_kernels import of_each_patch


def geometric_mean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    mean = np.empty(np.broadcast_shapes(a.shape, b.shape), b.dtype)
    for a_k, b_k, mean_k in images(mean, a, b):
        _geometric_mean(a_k, b_k, mean_k)
    return mean


@compiled
def _geometric_mean(a: Any, b: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = _halfway(a[i], b[i], a.real.dtype.type(1))


def halfway_along(Q: np.ndarray, z: np.ndarray, chi: np.ndarray, alpha: float | np.ndarray) -> np.ndarray:
    return of_each_patch(_halfway_along, Q, z, chi, alpha)


@compiled
def _halfway_along(q: Any, z: Any, chi: Any, intensity: Any, largest: Any, alpha: Any, out: Any) -> None:
    one = intensity.dtype.type(1)
    for i in range(out.size):
        weight = one / (intensity[i] + alpha * (largest - intensity[i]))
        out[i] = _halfway(q[i], q[i] + z[i].conjugate() * chi[i] * weight, one)


@compiled
def _halfway(a: Any, b: Any, one: Any) -> Any:
    """Of two numbers; ``one`` has their precision."""
    zero = one - one
    a_square = a.real**2 + a.imag**2
    b_square = b.real**2 + b.imag**2
    ratio = zero if b_square == 0 else np.sqrt(a_square / b_square)
    real = a.real + b.real * ratio
    imag = a.imag + b.imag * ratio
    square = real**2 + imag**2
    scale = np.sqrt(b_square * ratio / (one if square == 0 else square))  # |a| |b| is |b|^2 |a| / |b|
    return complex(real * scale, imag * scale)
