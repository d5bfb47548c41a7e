"""The compiled form of :mod:`ptychosuite.solvers.emagpie`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled, images


def geometric_mean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    mean = np.empty(np.broadcast_shapes(a.shape, b.shape), b.dtype)
    for a_k, b_k, mean_k in images(mean, a, b):
        _geometric_mean(a_k, b_k, mean_k)
    return mean


@compiled
def _geometric_mean(a: Any, b: Any, out: Any) -> None:
    one, zero = a.real.dtype.type(1), a.real.dtype.type(0)
    for i in range(out.size):
        a_square = a[i].real ** 2 + a[i].imag ** 2
        b_square = b[i].real ** 2 + b[i].imag ** 2
        ratio = zero if b_square == 0 else np.sqrt(a_square / b_square)
        real = a[i].real + b[i].real * ratio
        imag = a[i].imag + b[i].imag * ratio
        square = real**2 + imag**2
        scale = np.sqrt(b_square * ratio / (one if square == 0 else square))  # |a| |b| is |b|^2 |a| / |b|
        out[i] = complex(real * scale, imag * scale)
