"""Several patches at once: a batch of a sweep, put together on the host.

Where patches overlap, and for the probe, which they share, the mean is taken of what they propose.
:mod:`ptychosuite.solvers.stacked_sweep` does the same by index arrays where they do not overlap.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Complex, Int

from ptychosuite.backends.arrays import Array, divide, namespace, squared_modulus
from ptychosuite.core.problem import Problem
from ptychosuite.physics.forward import illuminate, total_amplitude
from ptychosuite.physics.likelihood import exit_wave_correction
from ptychosuite.solvers.areas import areas_of
from ptychosuite.solvers.positions import PositionShifts
from ptychosuite.solvers.scan_geometry import any_overlap
from ptychosuite.solvers.solver import PatchSolver, mean_probe


def update_batch(
    solver: PatchSolver,
    problem: Problem,
    obj: Complex[Array, "H W"],
    probe: Complex[Array, "*M m m"],
    batch: Int[np.ndarray, " n"],
    weights: Any,
    moves_probe: bool,
    shifts: PositionShifts | None,
) -> Complex[Array, "*M m m"]:
    """Update ``obj``, which the caller owns, by one batch; the new probe is returned."""
    lit = illuminate(problem, obj, probe, batch)
    chi = exit_wave_correction(lit.exit_waves, problem.diffraction_amplitude[batch], problem.mask(batch))
    if shifts is not None:
        shifts.see(batch, lit, chi)
    patches, proposals = solver.updated(lit, chi, weights, moves_probe)
    if lit.has_modes:
        put_patches(obj, patches[:, 0], total_amplitude(lit.probes)[:, 0], lit.positions)
    else:
        put_patches(obj, patches, lit.probes, lit.positions)
    return probe if proposals is None else mean_probe(probe, proposals, lit.patches)


def put_patches(
    obj: Complex[Array, "H W"],
    patches: Complex[Array, "n m m"],
    illumination: Complex[Array, "#n m m"],
    positions: Int[np.ndarray, "n 2"],
) -> None:
    """Write patches, whose first corners are ``positions`` in pixels, into ``obj``, which the caller owns.

    Where patches overlap, their mean is taken with the weights |illumination|^2; where all of them are dark,
    the object stays as it is.
    """
    xp = namespace(obj)
    size = patches.shape[-1]
    if not any_overlap(positions, size):
        for patch, (row, column) in zip(patches, positions.tolist(), strict=True):
            obj[row : row + size, column : column + size] = patch
        return
    weights = xp.broadcast_to(squared_modulus(illumination), patches.shape)
    for area in areas_of(obj, positions, size):
        total, norm = area.sum_of(weights * patches), area.sum_of(weights)
        area.part[...] = xp.where(norm > 0, divide(total, norm), area.part)
