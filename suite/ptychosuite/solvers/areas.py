"""The parts of an object that a batch of patches lies on.

Patches of a batch are summed on the object's grid. Of a large scan a batch covers little, here and there: to
go over all of the grid at every batch would take time that grows with the square of the scan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Inexact, Int

from ptychosuite.backends.arrays import Array, is_on_gpu, namespace
from ptychosuite.physics.forward import accumulate_patches, extract_patches, window
from ptychosuite.solvers.scan_geometry import connected_groups


@dataclass(frozen=True)
class Area:
    """A part of an object, and the patches of a batch that are summed on it."""

    part: Complex[Array, "h w"]  # a view
    corners: Int[np.ndarray, "k 2"]  # of the patches, within the part, in pixels
    patches: slice | Int[np.ndarray, " k"]  # their numbers in the batch

    def sum_of(self, images: Inexact[Array, "n m m"]) -> Inexact[Array, "h w"]:
        """Of an image for each patch of the batch, the sum of those that lie here, where their patches do."""
        zeros = namespace(images).zeros_like(self.part, dtype=images.dtype)
        return accumulate_patches(zeros, images[self.patches], self.corners)


def areas_of(obj: Complex[Array, "H W"], positions: Int[np.ndarray, "n 2"], size: int) -> Sequence[Area]:
    """Areas that hold all patches, whose first corners are ``positions`` and whose side is ``size`` pixels.

    The smallest window that holds them all; but where most of it would be nobody's, one for each group of
    patches that share pixels. A GPU, where every operation costs a launch, takes the window.
    """
    part, corners = window(obj, positions, size)
    if is_on_gpu(obj) or math.prod(part.shape) <= len(positions) * size**2:
        return [Area(part, corners, slice(None))]
    groups = connected_groups(positions, size)
    return [Area(*window(obj, positions[group], size), group) for group in groups]


def cut_out(
    areas: Sequence[Area], images: Sequence[Complex[Array, "_ _"]], like: Complex[Array, "n *M m m"]
) -> Complex[Array, "n *M m m"]:
    """What each patch of a batch covers of an image for each area, in the shape of ``like``."""
    patches = namespace(like).empty_like(like)
    for area, image in zip(areas, images, strict=True):
        found = extract_patches(image, area.corners, like.shape[-1])
        patches[area.patches] = namespace(like).reshape(found, (-1, *like.shape[1:]))
    return patches
