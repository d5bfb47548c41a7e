"""The compiled form of :mod:`ptychosuite.solvers.pie`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled, images


def stepped(z: np.ndarray, g: np.ndarray, weights: np.ndarray) -> np.ndarray:
    new = np.empty_like(g, order="C")
    for z_k, g_k, w_k, new_k in images(new, z, g, weights):
        _stepped(z_k, g_k, w_k, new_k)
    return new


@compiled
def _stepped(z: Any, g: Any, w: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = z[i] + g[i] * w[i]


def stepped_along(Q: np.ndarray, z: np.ndarray, chi: np.ndarray, weights: np.ndarray) -> np.ndarray:
    new = np.empty_like(chi, order="C")
    for Q_k, z_k, chi_k, w_k, new_k in images(new, Q, z, chi, weights):
        _stepped_along(Q_k, z_k, chi_k, w_k, new_k)
    return new


@compiled
def _stepped_along(q: Any, z: Any, chi: Any, w: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = q[i] + z[i].conjugate() * chi[i] * w[i]


def regularisation(counterpart: np.ndarray, alpha: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counterpart = np.ascontiguousarray(counterpart)
    intensity = np.empty(counterpart.shape, counterpart.real.dtype)
    _intensity(counterpart.ravel(), intensity.ravel())
    largest = intensity.max(axis=(-2, -1), keepdims=True)
    return intensity, np.asarray(alpha, intensity.dtype) * (largest - intensity)


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
