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


def stepped_along(Q: np.ndarray, z: np.ndarray, chi: np.ndarray, alpha: float | np.ndarray) -> np.ndarray:
    return of_each_patch(_stepped_along, Q, z, chi, alpha)


def of_each_patch(
    update: Any, Q: np.ndarray, z: np.ndarray, chi: np.ndarray, alpha: float | np.ndarray
) -> np.ndarray:
    """What the compiled ``update`` makes of the probe by each patch and its intensity."""
    new = np.empty_like(chi, order="C")
    alphas = np.asarray(alpha, new.real.dtype).ravel()
    for k, (Q_k, z_k, chi_k, new_k) in enumerate(images(new, Q, z, chi)):
        intensity = intensity_of(z_k)
        update(Q_k, z_k, chi_k, intensity, intensity.max(), alphas[k % len(alphas)], new_k)
    return new


@compiled
def _stepped_along(q: Any, z: Any, chi: Any, intensity: Any, largest: Any, alpha: Any, out: Any) -> None:
    one = intensity.dtype.type(1)
    for i in range(out.size):
        weight = one / (intensity[i] + alpha * (largest - intensity[i]))
        out[i] = q[i] + z[i].conjugate() * chi[i] * weight


def regularisation(counterpart: np.ndarray, alpha: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    intensity = intensity_of(counterpart)
    u = np.empty_like(intensity)
    images, us = (x.reshape(-1, x.shape[-2] * x.shape[-1]) for x in (intensity, u))
    _regulariser(images, images.max(axis=1), np.asarray(alpha, u.dtype).ravel(), us)
    return intensity, u


def step_size(counterpart: np.ndarray, alpha: float | np.ndarray) -> np.ndarray:
    step = intensity_of(counterpart)
    images = step.reshape(-1, step.shape[-2] * step.shape[-1])
    _step_size(images, images.max(axis=1), np.asarray(alpha, step.dtype).ravel())  # NumPy's is vectorised
    return step


def intensity_of(x: np.ndarray) -> np.ndarray:
    """|x|^2."""
    intensity = np.empty(x.shape, x.real.dtype)
    _intensity(np.ascontiguousarray(x).ravel(), intensity.ravel())
    return intensity


@compiled
def _intensity(x: Any, out: Any) -> None:
    for i in range(x.size):
        out[i] = x[i].real ** 2 + x[i].imag ** 2


@compiled
def _regulariser(images: Any, largest: Any, alphas: Any, out: Any) -> None:
    """From intensities; one alpha for all images or one for each."""
    for k in range(len(images)):
        image, u, alpha = images[k], out[k], alphas[k % alphas.size]
        for i in range(image.size):
            u[i] = alpha * (largest[k] - image[i])


@compiled
def _step_size(images: Any, largest: Any, alphas: Any) -> None:
    """As :func:`_regulariser`, in place."""
    one = images.dtype.type(1)
    for k in range(len(images)):
        image, alpha = images[k], alphas[k % alphas.size]
        for i in range(image.size):
            image[i] = one / (image[i] + alpha * (largest[k] - image[i]))
