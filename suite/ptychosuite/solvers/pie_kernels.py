"""The compiled form of :mod:`ptychosuite.solvers.pie`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled


def step_size(counterpart: np.ndarray, alpha: float | np.ndarray) -> np.ndarray:
    counterpart = np.ascontiguousarray(counterpart)
    intensity = np.empty(counterpart.shape, counterpart.real.dtype)
    _intensity(counterpart.ravel(), intensity.ravel())
    images = intensity.reshape(-1, *intensity.shape[-2:])
    alphas = np.broadcast_to(np.ravel(alpha), len(images))
    for image, own in zip(images, alphas, strict=True):
        _step_size(image.ravel(), image.max(), image.dtype.type(own))  # NumPy's maximum is vectorised
    return intensity


@compiled
def _intensity(x: Any, out: Any) -> None:
    for i in range(x.size):
        out[i] = x[i].real ** 2 + x[i].imag ** 2


@compiled
def _step_size(intensity: Any, largest: Any, alpha: Any) -> None:
    one = intensity.dtype.type(1)
    for i in range(intensity.size):
        intensity[i] = one / (intensity[i] + alpha * (largest - intensity[i]))
