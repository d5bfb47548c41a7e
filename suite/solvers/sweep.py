"""The stochastic sweep that the PIE family shares.

Every scan position once, in random order, each update seen by the next. What an algorithm does with a
patch's gradient is the function it passes in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from suite.core.arrays import Array
from suite.core.problem import Problem
from suite.physics.likelihood import object_gradient

ObjectStep = Callable[[Array], Array]
"""Maps g = conj(Q) * (R - psi) on a patch to the change of that patch; both (m, m) complex."""


def sweep_in_place(
    obj: Array, problem: Problem, probe: Array, order: Iterable[int], object_step: ObjectStep
) -> None:
    """Update ``obj``, which the caller owns, at the scan positions in ``order``."""
    size = problem.probe_size
    positions = problem.scan_positions_px
    for k in order:
        row, column = int(positions[k, 0]), int(positions[k, 1])
        patch = obj[row : row + size, column : column + size]
        patch += object_step(object_gradient(probe, patch, problem.diffraction_amplitude[k]))
