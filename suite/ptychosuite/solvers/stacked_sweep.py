"""A pass over the scan by index arrays: batches of patches that do not overlap.

Two patches that share no pixel commute: a whole batch of them can be updated at once, and the result is that
of one after the other. Such patches are found in one object (a colour group), and in the objects of runs side
by side (:mod:`ptychosuite.solvers.stack`): a batch then has one patch of each of the R runs.

All that the device has to know of a sweep - which pattern, where in which object - is uploaded before it
begins. Nothing in a sweep waits for the device. This is the plain form of
:mod:`ptychosuite.solvers.recorded_sweep`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import array_api_compat
import numpy as np
from jaxtyping import Complex, Int

from ptychosuite.backends.arrays import Array, copy, namespace
from ptychosuite.physics.forward import NOT_ON_THE_HOST, Illumination
from ptychosuite.physics.likelihood import exit_wave_correction
from ptychosuite.physics.shift import axis_phases, fourier_shift
from ptychosuite.solvers.solver import PatchSolver, mean_probe
from ptychosuite.solvers.stack import RunStack


@dataclass(frozen=True)
class Visits:
    """Where a sweep goes, or one batch of it, on the device."""

    place: Int[Array, "T 4"]  # run; first corner (row, column); pattern
    row_phases: Complex[Array, "T m"] | None  # the probe's sub-pixel shift; None where there is none
    column_phases: Complex[Array, "T m"] | None

    @classmethod
    def of(cls, stack: RunStack, batches: Sequence[np.ndarray], like: Array) -> Visits:
        """``batches``: of a single run, positions (n,) of any number; of several, (R,) one position each, or
        (R, n)."""
        xp, device = namespace(like), array_api_compat.device(like)
        runs = [np.repeat(np.arange(len(stack)), np.size(b) // len(stack)) for b in batches]
        run, position = np.concatenate(runs), np.concatenate([np.ravel(b) for b in batches])
        corners = np.stack([problem.scan_positions_px for problem in stack.problems])[run, position]
        place = np.column_stack([run, corners, stack.first_pattern[run] + position])
        row_phases = column_phases = None
        if stack.problems[0].subpixel_shifts_px is not None:
            all_shifts = [np.asarray(problem.subpixel_shifts_px) for problem in stack.problems]
            shifts = np.stack(all_shifts)[run, position]
            row_phases, column_phases = (
                xp.asarray(axis_phases(like.shape[-1], along), dtype=like.dtype, device=device)
                for along in shifts.T
            )
        return cls(xp.asarray(place, device=device), row_phases, column_phases)

    def __getitem__(self, which: slice | Int[Array, " n"]) -> Visits:
        """Some of them."""
        if self.row_phases is None or self.column_phases is None:
            return Visits(self.place[which], None, None)
        return Visits(self.place[which], self.row_phases[which], self.column_phases[which])

    @property
    def run(self) -> Int[Array, " T"]:
        return self.place[:, 0]

    @property
    def pattern(self) -> Int[Array, " T"]:
        return self.place[:, 3]

    def pixels(self, size: int) -> tuple[Int[Array, ...], ...]:
        """Run, row and column of every pixel of the patches."""
        axis = namespace(self.place).arange(size, device=array_api_compat.device(self.place))
        return (
            self.run[:, None, None],
            (self.place[:, 1, None] + axis)[:, :, None],
            (self.place[:, 2, None] + axis)[:, None, :],
        )

    def lit(self, probes: Complex[Array, "T m m"], patches: Complex[Array, "T m m"]) -> Illumination:
        """``patches`` under ``probes``, which are shifted where positions lie between pixels."""
        if self.row_phases is None or self.column_phases is None:
            return Illumination(NOT_ON_THE_HOST, None, probes, patches)
        phases = self.row_phases[:, :, None] * self.column_phases[:, None, :]
        return Illumination(NOT_ON_THE_HOST, phases, fourier_shift(probes, phases), patches)


def sweep_stack(
    solver: PatchSolver,
    stack: RunStack,
    objects: Complex[Array, "R H W"],
    probes: Complex[Array, "R m m"],
    batches: Sequence[np.ndarray],
    moves_probe: bool = False,
) -> tuple[Complex[Array, "R H W"], Complex[Array, "R m m"]]:
    """Objects and probes after one pass, by the updates of ``solver``.

    Parameters
    ----------
    batches
        Position indices. Of a single run, groups whose patches do not overlap; of several, (R,) arrays with
        one position of each.
    """
    objects = copy(objects)
    visits = Visits.of(stack, batches, like=probes)
    weights = solver.fixed_weights(stack.problems[0], probes, moves_probe)
    for batch in cuts(batches):
        probes = update(solver, stack, visits[batch], objects, probes, weights, moves_probe)
    return objects, probes


def cuts(batches: Sequence[np.ndarray]) -> Iterator[slice]:
    """Which visits of a sweep each batch has."""
    first = 0
    for batch in batches:
        yield slice(first, first + np.size(batch))
        first += np.size(batch)


def update(
    solver: PatchSolver,
    stack: RunStack,
    here: Visits,
    objects: Complex[Array, "R H W"],
    probes: Complex[Array, "R m m"],
    weights: Any,
    moves_probe: bool,
) -> Complex[Array, "R m m"]:
    """Update ``objects``, which the caller owns, by one batch; the new probes are returned."""
    where = here.pixels(probes.shape[-1])
    lit = here.lit(probes, objects[where])
    mask = stack.mask(here.pattern, here.run)
    chi = exit_wave_correction(lit.exit_waves, stack.amplitude[here.pattern], mask)
    objects[where], proposals = solver.updated(lit, chi, weights, moves_probe)
    if proposals is None or len(stack) > 1:
        return probes if proposals is None else proposals
    return mean_probe(probes[0], proposals, lit.patches)[None]
