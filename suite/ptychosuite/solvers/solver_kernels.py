"""The compiled form of :mod:`ptychosuite.solvers.solver`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled, images


def direction(Q: np.ndarray, chi: np.ndarray) -> np.ndarray:
    g = np.empty_like(chi, order="C")
    for Q_k, chi_k, g_k in images(g, Q, chi):
        _direction(Q_k, chi_k, g_k)
    return g


@compiled
def _direction(q: Any, chi: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = q[i].conjugate() * chi[i]
