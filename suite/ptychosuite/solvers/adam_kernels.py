"""The compiled form of :mod:`ptychosuite.solvers.adam`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled, plain_form
from ptychosuite.solvers import adam


def algorithm_1(
    x: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    rate: float | np.ndarray,
    t: int,
    u: int,
    betas: tuple[float, float] = adam.USUAL_BETAS,
    scale: float | np.ndarray = 1.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if np.ndim(rate) or np.ndim(scale):  # of runs side by side, each with its own
        return plain_form(adam.algorithm_1)(x, g, m, v, rate, t, u, betas, scale)
    beta_1, beta_2 = betas
    x, g, m, v = (np.ascontiguousarray(each) for each in (x, g, m, v))
    new_x, new_m, new_v = np.empty_like(g), np.empty_like(g), np.empty_like(g)
    corrected = 1 / (1 - beta_2**t), rate / (1 - beta_1**u)
    numbers = scale, beta_1, 1 - beta_1, beta_2, 1 - beta_2, *corrected, adam.EPSILON
    arrays = (each.ravel() for each in (x, g, m, v, new_x, new_m, new_v))
    _algorithm_1(*arrays, *(g.dtype.type(number) for number in numbers))
    return new_x, new_m, new_v


@compiled
def _algorithm_1(
    x: Any, g: Any, m: Any, v: Any, new_x: Any, new_m: Any, new_v: Any,
    scale: Any, beta_1: Any, rest_1: Any, beta_2: Any, rest_2: Any, unbiased: Any, rate: Any, epsilon: Any,
) -> None:  # fmt: skip
    for i in range(g.size):
        gradient = scale * g[i]
        new_m[i] = beta_1 * m[i] + rest_1 * gradient
        new_v[i] = beta_2 * v[i] + rest_2 * gradient * gradient
        new_x[i] = x[i] - rate * new_m[i] / (np.sqrt(new_v[i] * unbiased) + epsilon)
