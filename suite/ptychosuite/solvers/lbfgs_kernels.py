"""The compiled form of :mod:`ptychosuite.solvers.lbfgs`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled, compiled_sum


def along(x: np.ndarray, length: float, direction: np.ndarray) -> np.ndarray:
    after = np.empty_like(x, order="C")
    _along(np.ascontiguousarray(x).ravel(), x.real.dtype.type(length), direction.ravel(), after.ravel())
    return after


@compiled
def _along(x: Any, length: Any, direction: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = x[i] + length * direction[i]


def inner(a: np.ndarray, b: np.ndarray) -> float:
    return float(_inner(np.ascontiguousarray(a).ravel(), np.ascontiguousarray(b).ravel()))


@compiled_sum
def _inner(a: Any, b: Any) -> float:
    total = 0.0
    for i in range(a.size):
        total += a[i].real * b[i].real + a[i].imag * b[i].imag
    return total
