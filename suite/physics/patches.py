"""Cutting patches out of the object, and the adjoint: adding them back.

Positions are whole pixels, (row, column) of a patch's first corner.
"""

from __future__ import annotations

import numpy as np

from suite.core.arrays import Array, copy, namespace


def extract_patches(obj: Array, scan_positions_px: np.ndarray, size: int) -> Array:
    """The patches of ``obj`` at ``scan_positions_px`` (n, 2): an array of shape (n, size, size)."""
    xp = namespace(obj)
    return xp.stack([obj[r : r + size, c : c + size] for r, c in scan_positions_px.tolist()])


def add_patches(obj: Array, patches: Array, scan_positions_px: np.ndarray) -> Array:
    """``obj`` with every patch added at its position; with a zero ``obj``, the adjoint of extraction."""
    result = copy(obj)
    size = patches.shape[-1]
    for patch, (r, c) in zip(patches, scan_positions_px.tolist(), strict=True):
        result[r : r + size, c : c + size] += patch
    return result
