"""Mutually incoherent modes of a probe, compared with the true ones.

Modes are known up to a unitary mixture, which changes no intensity: what can be compared is the space that
they span, and the powers of the orthogonal ones.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Complex, Float


def listed_modes(probe: Complex[np.ndarray, "*M m m"]) -> Complex[np.ndarray, "M m m"]:
    """The modes of a probe, or the only one."""
    return probe.reshape(-1, *probe.shape[-2:])


def powers(probe: Complex[np.ndarray, "*M m m"]) -> Float[np.ndarray, " M"]:
    """sum |Q|^2 of each mode."""
    return np.sum(np.abs(listed_modes(probe)).astype(np.float64) ** 2, axis=(1, 2))


def mode_overlap(found: Complex[np.ndarray, "*M m m"], true: Complex[np.ndarray, "*L m m"]) -> float:
    """sum_i ||P Q_i||^2 / sum_i ||Q_i||^2: the part of the true modes Q_i in the space of the found ones.

    P projects on that space. A strong mode counts for more than a weak one; how the power is shared within
    the space does not show. NaN where a mode is not finite.
    """
    if not np.isfinite(found).all():
        return float("nan")
    a, b = (listed_modes(x).reshape(len(listed_modes(x)), -1).astype(np.complex128) for x in (found, true))
    basis, weights, _ = np.linalg.svd(a.T, full_matrices=False)
    basis = basis[:, weights > 1e-6 * weights.max()] if weights.max() > 0 else basis[:, :0]
    return float(np.sum(np.abs(basis.conj().T @ b.T) ** 2) / np.sum(np.abs(b) ** 2))
