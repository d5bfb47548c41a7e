"""The compiled form of :mod:`ptychosuite.physics.forward`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled
from ptychosuite.backends.compiled import images as image_by_image


def sum_of_products(z: np.ndarray, images: np.ndarray) -> np.ndarray:
    total = np.zeros(images.shape[1:], images.dtype)
    for z_k, images_k in zip(z, images, strict=True):
        for a, b, out in image_by_image(total, z_k, images_k):
            _add_product(a, b, out)
    return total


@compiled
def _add_product(a: Any, b: Any, total: Any) -> None:
    for i in range(total.size):
        total[i] += a[i].conjugate() * b[i]


def sum_of_intensities(z: np.ndarray) -> np.ndarray:
    total = np.zeros(z.shape[1:], z.real.dtype)
    for z_k in z:
        for image, out in image_by_image(total, z_k):
            _add_intensity(image, out)
    return total


@compiled
def _add_intensity(x: Any, total: Any) -> None:
    for i in range(total.size):
        total[i] += x[i].real ** 2 + x[i].imag ** 2
