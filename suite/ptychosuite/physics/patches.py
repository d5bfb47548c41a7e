"""Cutting patches out of the object, and the adjoint: adding them back.

Positions are whole pixels, (row, column) of a patch's first corner.
"""

from __future__ import annotations

import numpy as np

from ptychosuite.backends.arrays import Array, copy, namespace


def extract_patches(obj: Array, scan_positions_px: np.ndarray, size: int) -> Array:
    """The patches of ``obj`` at ``scan_positions_px`` (n, 2): an array of shape (n, size, size)."""
    xp = namespace(obj)
    return xp.stack([obj[r : r + size, c : c + size] for r, c in scan_positions_px.tolist()])


def add_patches(obj: Array, patches: Array, scan_positions_px: np.ndarray) -> Array:
    """``obj`` with every patch added at its position; with a zero ``obj``, the adjoint of extraction."""
    return accumulate_patches(copy(obj), patches, scan_positions_px)


def accumulate_patches(total: Array, patches: Array, scan_positions_px: np.ndarray) -> Array:
    """Add every patch to ``total``, which the caller owns; it is returned."""
    size = patches.shape[-1]
    for patch, (r, c) in zip(patches, scan_positions_px.tolist(), strict=True):
        total[r : r + size, c : c + size] += patch
    return total


def window(obj: Array, scan_positions_px: np.ndarray, size: int) -> tuple[Array, np.ndarray]:
    """The smallest part of ``obj`` that holds the patches, as a view, and the positions (n, 2) within it."""
    first, end = scan_positions_px.min(axis=0), scan_positions_px.max(axis=0) + size
    return obj[int(first[0]) : int(end[0]), int(first[1]) : int(end[1])], scan_positions_px - first
