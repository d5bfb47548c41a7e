"""Simulated scans. Each class lays out positions (N, 2) in pixels, (row, column) of patches' first corners.

The overlap ratio is linear and that of the probe's array: 1 - step / probe size. How far its light
overlaps depends on the probe as well: the metric ``light_overlap``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Lt
from jaxtyping import Real

from ptychosuite.errors import StudyError
from ptychosuite.problems.problem_kind import ScanKind

Overlap = Annotated[float, Ge(0), Lt(1)]
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class Raster(ScanKind):
    """Rows and columns at equal steps from the first pixel on.

    Parameters
    ----------
    overlap
        Linear overlap of neighbouring probe arrays in [0, 1).
    step_px
        Step in pixels; given instead of ``overlap``, it decides.
    """

    overlap: Overlap = 0.5
    step_px: Annotated[int, Ge(1)] | None = None

    def positions(
        self, object_shape: tuple[int, int], probe_size: int, rng: np.random.Generator
    ) -> Real[np.ndarray, "N 2"]:
        step = self.step_px or _step(self.overlap, probe_size)
        rows, columns = (np.arange(0, n - probe_size + 1, step) for n in object_shape)
        return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


@dataclass(frozen=True)
class JitteredRaster(ScanKind):
    """A raster whose positions are moved at random, against the artefacts of a regular grid.

    Parameters
    ----------
    overlap, step_px
        As for a raster.
    jitter_px
        Largest move in pixels along either axis; positions stay inside the object.
    subpixel
        Move by fractions of a pixel, not only by whole ones; then ``jitter_px`` may be one, too.
    """

    overlap: Overlap = 0.5
    step_px: Annotated[int, Ge(1)] | None = None
    jitter_px: Annotated[int, Ge(0)] | Annotated[float, Ge(0)] = 4
    subpixel: bool = False

    def positions(
        self, object_shape: tuple[int, int], probe_size: int, rng: np.random.Generator
    ) -> Real[np.ndarray, "N 2"]:
        if not self.subpixel and self.jitter_px != int(self.jitter_px):
            raise StudyError(f"jitter_px {self.jitter_px:g} is no whole number of pixels; say subpixel: on")
        regular = Raster(self.overlap, self.step_px).positions(object_shape, probe_size, rng)
        jitter: np.ndarray
        if self.subpixel:
            jitter = rng.uniform(-self.jitter_px, self.jitter_px, size=regular.shape)
        else:
            jitter = rng.integers(
                -int(self.jitter_px), int(self.jitter_px), size=regular.shape, endpoint=True
            )
        return np.clip(regular + jitter, 0, np.asarray(object_shape) - probe_size)


@dataclass(frozen=True)
class FermatSpiral(ScanKind):
    """A Fermat spiral from the centre outwards, with as many positions as fit.

    X. Huang and co-workers, "Optimization of overlap uniformness for ptychography", Opt. Express 22,
    12634 (2014): radius c sqrt(n), angle n times the golden angle. c is chosen so that the density of
    positions is that of a raster with the same overlap.

    Parameters
    ----------
    overlap, step_px
        As for a raster.
    """

    overlap: Overlap = 0.5
    step_px: Annotated[float, Gt(0)] | None = None

    def positions(
        self, object_shape: tuple[int, int], probe_size: int, rng: np.random.Generator
    ) -> Real[np.ndarray, "N 2"]:
        step = self.step_px or _step(self.overlap, probe_size)
        room = np.asarray(object_shape) - probe_size
        n = np.arange(1 + int(np.ceil(np.pi * (np.hypot(*room) / 2 / step) ** 2)))
        radius, angle = step / np.sqrt(np.pi) * np.sqrt(n), GOLDEN_ANGLE * n
        centred = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=-1)
        positions = np.rint(centred + room / 2).astype(np.int64)
        return positions[((positions >= 0) & (positions <= room)).all(axis=1)]


def _step(overlap: float, probe_size: int) -> int:
    return max(1, round(probe_size * (1 - overlap)))
