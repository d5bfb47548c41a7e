"""The compiled form of :mod:`ptychosuite.solvers.positions`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled_sum


def motion_products(z: np.ndarray, Q: np.ndarray, chi: np.ndarray) -> np.ndarray:
    size = chi.shape[-1]
    flat = (-1, size, size)
    chi = np.ascontiguousarray(chi).reshape(len(chi), *_modes(chi), size, size)
    Q = np.ascontiguousarray(Q).reshape(len(Q), *_modes(Q), size, size)
    z = np.ascontiguousarray(z).reshape(flat)
    products = np.zeros((len(chi), 5))
    _motion_products(z, Q, chi, products)
    return products


def _modes(x: np.ndarray) -> tuple[int]:
    return (x.shape[1],) if x.ndim == 4 else (1,)


@compiled_sum
def _motion_products(z: Any, Q: Any, chi: Any, out: Any) -> None:
    n, modes, size = len(chi), chi.shape[1], chi.shape[-1]
    half = z.real.dtype.type(0.5)
    for k in range(n):
        shared = k % len(Q)
        for i in range(size):
            above, below = max(i - 1, 0), min(i + 1, size - 1)
            down = half if below - above == 2 else z.real.dtype.type(1)
            for mode in range(modes):
                q, c = Q[shared, mode, i], chi[k, mode, i]
                yy = xx = yx = y = x = 0.0
                for j in range(size):
                    left, right = max(j - 1, 0), min(j + 1, size - 1)
                    across = half if right - left == 2 else z.real.dtype.type(1)
                    a = q[j] * (z[k, below, j] - z[k, above, j]) * down
                    b = q[j] * (z[k, i, right] - z[k, i, left]) * across
                    yy += a.real * a.real + a.imag * a.imag
                    xx += b.real * b.real + b.imag * b.imag
                    yx += a.real * b.real + a.imag * b.imag
                    y += a.real * c[j].real + a.imag * c[j].imag
                    x += b.real * c[j].real + b.imag * c[j].imag
                out[k, 0] += yy
                out[k, 1] += xx
                out[k, 2] += yx
                out[k, 3] += y
                out[k, 4] += x
