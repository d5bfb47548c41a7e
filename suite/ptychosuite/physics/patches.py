"""Cutting patches out of the object, and the adjoint: adding them back. Positions are whole pixels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Inexact, Int

from ptychosuite.backends.arrays import Array, copy, namespace

Positions = Int[np.ndarray, "n 2"]
"""(row, column) of each patch's first corner, on the host."""


def extract_patches(
    obj: Inexact[Array, "H W"], scan_positions_px: Positions, size: int
) -> Inexact[Array, "n {size} {size}"]:
    """The patches of ``obj`` at ``scan_positions_px``, ``size`` pixels on a side."""
    xp = namespace(obj)
    return xp.stack([obj[r : r + size, c : c + size] for r, c in scan_positions_px.tolist()])


def add_patches(
    obj: Inexact[Array, "H W"], patches: Inexact[Array, "n m m"], scan_positions_px: Positions
) -> Inexact[Array, "H W"]:
    """``obj`` with every patch added at its position; with a zero ``obj``, the adjoint of extraction."""
    return accumulate_patches(copy(obj), patches, scan_positions_px)


def accumulate_patches(
    total: Inexact[Array, "H W"], patches: Inexact[Array, "n m m"], scan_positions_px: Positions
) -> Inexact[Array, "H W"]:
    """Add every patch to ``total``, which the caller owns; it is returned."""
    size = patches.shape[-1]
    for patch, (r, c) in zip(patches, scan_positions_px.tolist(), strict=True):
        total[r : r + size, c : c + size] += patch
    return total


def window(
    obj: Inexact[Array, "H W"], scan_positions_px: Positions, size: int
) -> tuple[Inexact[Array, "h w"], Positions]:
    """The smallest part of ``obj`` that holds the patches, as a view, and the positions within it."""
    first, end = scan_positions_px.min(axis=0), scan_positions_px.max(axis=0) + size
    return obj[int(first[0]) : int(end[0]), int(first[1]) : int(end[1])], scan_positions_px - first
