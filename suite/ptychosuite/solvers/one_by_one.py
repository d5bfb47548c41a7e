"""The sweep that takes one position at a time on a CPU, without what batches need.

Where positions lie between pixels, the probe is laid on a patch by its spectrum
(:mod:`ptychosuite.physics.shift`). An unknown probe stays a spectrum all through the sweep: to bring what a
patch makes of it back to where the probe lies, and from there to the next patch, are factors of modulus one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import array_api_compat
import numpy as np
from jaxtyping import Complex, Float

from ptychosuite.backends.arrays import Array, copy, fft2, ifft2, namespace
from ptychosuite.core.patterns import Patterns
from ptychosuite.core.problem import Problem
from ptychosuite.physics.forward import MODES
from ptychosuite.physics.likelihood import exit_wave_correction
from ptychosuite.physics.shift import axis_phases
from ptychosuite.solvers.solver import PatchSolver, direction


def swept_one_by_one(
    solver: PatchSolver,
    problem: Problem,
    obj: Complex[Array, "H W"],
    probe: Complex[Array, "*M m m"],
    order: Sequence[int],
    moves_probe: bool,
) -> tuple[Complex[Array, "H W"], Complex[Array, "*M m m"]]:
    """Object and probe after the positions ``order``.

    Several modes have to stay, and on whole pixels.
    """
    obj = copy(obj)
    if problem.subpixel_shifts_px is not None:
        shifts = problem.subpixel_shifts_px
        return obj, _between_pixels(solver, problem, shifts, obj, probe, order, moves_probe)
    if moves_probe:
        for k in order:
            probe = _update_both(solver, problem, obj, probe, k)
        return obj, probe
    weights = solver.fixed_weights(problem, probe, moves_probe, has_modes=probe.ndim == MODES)
    for k in order:
        _update_patch(solver, problem, obj, probe, k, weights)
    return obj, probe


def _update_patch(
    solver: PatchSolver, problem: Problem, obj: Array, probe: Array, k: int, weights: Any
) -> None:
    """Update position ``k`` of ``obj``, which the caller owns, under a probe that stays."""
    patch, mask = _patch(problem, obj, k), problem.mask
    amplitude: Array | Patterns = problem.diffraction_amplitude
    if probe.ndim < MODES:
        chi = exit_wave_correction(probe * patch, amplitude[k], mask(k))
        patch[...] = solver.new_patches(patch, direction(probe, chi), weights)
    else:
        chi = exit_wave_correction((probe * patch)[None], amplitude[k : k + 1], mask(slice(k, k + 1)))
        g = namespace(chi).sum(direction(probe[None], chi), axis=1)
        patch[...] = solver.new_patches(patch[None, None], g[:, None], weights)[0, 0]


def _update_both(
    solver: PatchSolver, problem: Problem, obj: Array, probe: Array, k: int
) -> Complex[Array, "m m"]:
    """Update position ``k`` of ``obj``, which the caller owns; what it makes of ``probe`` is returned."""
    patch = _patch(problem, obj, k)
    chi = exit_wave_correction(probe * patch, problem.diffraction_amplitude[k], problem.mask(k))
    new = solver.new_patches(patch, direction(probe, chi), solver.object_weights(probe))
    probe = solver.new_probes(probe, patch, chi)
    patch[...] = new
    return probe


def _between_pixels(
    solver: PatchSolver,
    problem: Problem,
    shifts_px: Float[np.ndarray, "N 2"],
    obj: Array,
    probe: Array,
    order: Sequence[int],
    moves_probe: bool,
) -> Complex[Array, "m m"]:
    """Update ``obj``, which the caller owns; the probe after the sweep is returned."""
    xp, spectrum = namespace(probe), fft2(probe)
    rows, columns = (
        xp.asarray(axis_phases(probe.shape[-1], d), dtype=probe.dtype, device=array_api_compat.device(probe))
        for d in shifts_px.T
    )
    for k in order:
        patch, phases = _patch(problem, obj, k), rows[k, :, None] * columns[k, None, :]
        local = ifft2(spectrum * phases)
        chi = exit_wave_correction(local * patch, problem.diffraction_amplitude[k], problem.mask(k))
        new = solver.new_patches(patch, direction(local, chi), solver.object_weights(local))
        if moves_probe:
            spectrum = fft2(solver.new_probes(local, patch, chi)) * xp.conj(phases)
        patch[...] = new
    return ifft2(spectrum) if moves_probe else probe


def _patch(problem: Problem, obj: Complex[Array, "H W"], k: int) -> Complex[Array, "m m"]:
    """A view of ``obj``."""
    (row, column), size = problem.scan_positions_px[k].tolist(), problem.probe_size
    return obj[row : row + size, column : column + size]
