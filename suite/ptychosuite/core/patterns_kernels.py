"""The compiled form of :mod:`ptychosuite.core.patterns`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled


def amplitudes(values: np.ndarray, scale: float, dtype: np.dtype[Any]) -> np.ndarray:
    values = np.ascontiguousarray(values)
    result = np.empty(values.shape, dtype)
    _amplitudes(values.ravel(), dtype.type(scale), result.ravel())
    return result


@compiled
def _amplitudes(values: Any, scale: Any, out: Any) -> None:
    real = out.dtype.type
    for i in range(values.size):
        out[i] = np.sqrt(scale * real(values[i]))
