"""The compiled form of :mod:`ptychosuite.solvers.emagpie`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled


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
