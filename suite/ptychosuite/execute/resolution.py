"""Resolution by Fourier ring correlation: with the truth, or between two halves of the scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptychosuite.backends.arrays import Array, to_numpy
from ptychosuite.core.problem import Problem, Reference
from ptychosuite.core.runs import RunSpec
from ptychosuite.metrics.frc import (
    align_pair,
    crossing,
    half_bit_threshold,
    one_bit_threshold,
    resolution_px,
    ring_correlation,
)
from ptychosuite.metrics.image import scanned_area
from ptychosuite.solvers.solver import Solver, State


@dataclass(frozen=True)
class Resolution:
    """A ring correlation, its threshold, and where the one falls below the other."""

    metrics: Mapping[str, float]
    rings: Mapping[str, np.ndarray]  # "frequency" (fraction of Nyquist), "correlation", "threshold"


def against_truth(obj: np.ndarray, reference: Reference) -> Resolution:
    """Ring correlation of ``obj`` with the truth, one-bit criterion."""
    return _resolution(obj, reference.object, scanned_area(reference), one_bit_threshold, "frc")


def between_half_scans(
    spec: RunSpec, problem: Problem, solver: Solver, iterations: int, probe: Array
) -> Resolution:
    """Ring correlation between reconstructions of the even and the odd scan positions, half-bit criterion."""
    objects = []
    for first in (0, 1):
        half = problem.part(slice(first, None, 2))
        state: State = solver.init(half)
        rng = spec.rng(f"half {first}")
        for _ in range(iterations):
            state = solver.step(half, state, rng)
        objects.append(to_numpy(state.object))
    reference = Reference(objects[0], to_numpy(probe), problem.scan_positions_px)
    return _resolution(objects[0], objects[1], scanned_area(reference), half_bit_threshold, "half_frc")


def _resolution(a: np.ndarray, b: np.ndarray, scanned: np.ndarray, threshold: Any, prefix: str) -> Resolution:
    rows, columns = (slice(axis.min(), axis.max() + 1) for axis in np.nonzero(scanned))
    a, b = align_pair(a, b, scanned)
    rings = ring_correlation(a[rows, columns], b[rows, columns])
    limit = threshold(rings.n_pixels)
    crossed = crossing(rings, limit)
    return Resolution(
        {f"{prefix}_crossing": crossed, f"{prefix}_resolution_px": resolution_px(crossed)},
        {"frequency": rings.frequency, "correlation": rings.correlation, "threshold": limit},
    )
