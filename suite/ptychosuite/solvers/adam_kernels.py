"""The compiled form of :mod:`ptychosuite.solvers.adam`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled

EPSILON = 1e-8


def algorithm_1(
    g: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    rate: float,
    t: int,
    u: int,
    betas: tuple[float, float] = (0.9, 0.999),
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    beta_1, beta_2 = betas
    g, m, v = (np.ascontiguousarray(x) for x in (g, m, v))
    change, new_m, new_v = np.empty_like(g), np.empty_like(g), np.empty_like(g)
    numbers = beta_1, 1 - beta_1, beta_2, 1 - beta_2, 1 / (1 - beta_2**t), rate / (1 - beta_1**u), EPSILON
    arrays = (x.ravel() for x in (g, m, v, change, new_m, new_v))
    _algorithm_1(*arrays, *(g.dtype.type(number) for number in numbers))
    return change, new_m, new_v


@compiled
def _algorithm_1(
    g: Any, m: Any, v: Any, change: Any, new_m: Any, new_v: Any,
    beta_1: Any, rest_1: Any, beta_2: Any, rest_2: Any, unbiased: Any, rate: Any, epsilon: Any,
) -> None:  # fmt: skip
    for i in range(g.size):
        new_m[i] = beta_1 * m[i] + rest_1 * g[i]
        new_v[i] = beta_2 * v[i] + rest_2 * g[i] * g[i]
        change[i] = rate * new_m[i] / (np.sqrt(new_v[i] * unbiased) + epsilon)
