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
from dataclasses import dataclass, replace
from itertools import pairwise, starmap
from typing import Any

import array_api_compat
import numpy as np
from jaxtyping import Complex, Float, Int

from ptychosuite.backends.arrays import Array, copy, namespace
from ptychosuite.backends.compiled import accelerated
from ptychosuite.core.patterns import Patterns
from ptychosuite.physics.forward import NOT_ON_THE_HOST, Illumination
from ptychosuite.physics.likelihood import exit_wave_correction
from ptychosuite.physics.shift import axis_phases, fourier_shift
from ptychosuite.solvers.solver import PatchSolver, mean_probe
from ptychosuite.solvers.stack import RunStack

SHIFT, COUNTS = 4, 5  # columns of a list of visits

Batches = Sequence[Int[np.ndarray, "*_"]]
"""Position indices of each batch: of a single run (n,), of several (R,) with one position each, or (R, n)."""


@dataclass(frozen=True)
class Visits:
    """Where a sweep goes, or one batch of it, on the device."""

    place: Int[Array, "n 6"]  # as from :func:`places`
    row_phases: Complex[Array, "T m"] | None  # sub-pixel shifts of the probe; None where there are none
    column_phases: Complex[Array, "T m"] | None

    @classmethod
    def of(cls, stack: RunStack, batches: Batches, like: Complex[Array, "*R m m"]) -> Visits:
        """Those of ``batches``, in the library and precision of ``like``, on its device."""
        xp, device = namespace(like), array_api_compat.device(like)
        place = places(stack, batches)
        row_phases = column_phases = None
        if stack.problems[0].subpixel_shifts_px is not None:
            all_shifts = [np.asarray(problem.subpixel_shifts_px) for problem in stack.problems]
            shifts = np.concatenate(all_shifts)[place[:, SHIFT]]
            place[:, SHIFT] = np.arange(len(place))
            row_phases, column_phases = (
                xp.asarray(axis_phases(like.shape[-1], along), dtype=like.dtype, device=device)
                for along in shifts.T
            )
        return cls(xp.asarray(place, device=device), row_phases, column_phases)

    def __getitem__(self, batch: slice) -> Visits:
        """Some of them."""
        return replace(self, place=self.place[batch])

    @property
    def run(self) -> Int[Array, " n"]:
        return self.place[:, 0]

    @property
    def pattern(self) -> Int[Array, " n"]:
        return self.place[:, 3]

    @property
    def counts(self) -> Int[Array, "n 1 1"]:
        return self.place[:, COUNTS, None, None]

    def lit(self, probes: Complex[Array, "#n m m"], patches: Complex[Array, "n m m"]) -> Illumination:
        """``patches`` under ``probes``, which are shifted where positions lie between pixels."""
        if self.row_phases is None or self.column_phases is None:
            return Illumination(NOT_ON_THE_HOST, lambda: None, probes, patches)
        shift = self.place[:, SHIFT]
        phases = self.row_phases[shift][:, :, None] * self.column_phases[shift][:, None, :]
        return Illumination(NOT_ON_THE_HOST, lambda: phases, fourier_shift(probes, phases), patches)


def sweep_stack(
    solver: PatchSolver,
    stack: RunStack,
    objects: Complex[Array, "R H W"],
    probes: Complex[Array, "R m m"],
    batches: Batches,
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


def cuts(batches: Batches) -> Iterator[slice]:
    """Which visits of a sweep each batch has."""
    return starmap(slice, pairwise([0, *np.cumsum(sizes_of(batches)).tolist()]))


def sizes_of(batches: Batches) -> Int[np.ndarray, " B"]:
    """How many visits each batch has."""
    return np.array([np.size(batch) for batch in batches], np.int64)


def numbered(sizes: Int[np.ndarray, " B"]) -> Int[np.ndarray, " T"]:
    """The number of each visit in its batch, of batches of so many."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def update(
    solver: PatchSolver,
    stack: RunStack,
    here: Visits,
    objects: Complex[Array, "R H W"],
    probes: Complex[Array, "R m m"],
    weights: Any,
    moves_probe: bool,
    some_count: bool = False,
) -> Complex[Array, "R m m"]:
    """Update ``objects``, which the caller owns, by one batch; the new probes are returned.

    ``some_count``: there are visits that do not count, but repeat another one of the batch.
    """
    lit = here.lit(probes, cut_out(objects, here.place, probes.shape[-1]))
    mask = stack.mask(here.pattern, here.run)
    chi = exit_wave_correction(lit.exit_waves, patterns_at(stack.amplitude, here.place), mask)
    patches, proposals = solver.updated(lit, chi, weights, moves_probe)
    put_in(objects, here.place, patches)
    if proposals is None or len(stack) > 1:
        return probes if proposals is None else proposals
    seen = lit.patches * here.counts if some_count else lit.patches
    return mean_probe(probes[0], proposals, seen)[None]


def places(stack: RunStack, batches: Batches) -> Int[np.ndarray, "T 6"]:
    """Where each visit of ``batches`` goes, on the host.

    The columns are: run; row and column of the first corner; pattern; which of the sub-pixel shifts of all
    runs, one run after the other; 1, for a visit that counts.
    """
    sizes, position = sizes_of(batches), np.concatenate(batches, axis=None)
    run = numbered(sizes) // np.repeat(sizes // len(stack), sizes)
    found = np.ones((len(position), 6), dtype=np.int64)
    found[:, 0] = run
    found[:, 1:3] = np.stack([problem.scan_positions_px for problem in stack.problems])[run, position]
    found[:, 3] = stack.first_pattern[run] + position
    found[:, SHIFT] = run * stack.problems[0].n_positions + position
    return found


def pixels(
    place: Int[Array, "n 6"], size: int
) -> tuple[Int[Array, "n 1 1"], Int[Array, "n {size} 1"], Int[Array, "n 1 {size}"]]:
    """Run, row and column of every pixel of the patches at ``place``."""
    axis = namespace(place).arange(size, device=array_api_compat.device(place))
    return (
        place[:, 0, None, None],
        (place[:, 1, None] + axis)[:, :, None],
        (place[:, 2, None] + axis)[:, None, :],
    )


@accelerated
def cut_out(
    objects: Complex[Array, "R H W"], place: Int[Array, "n 6"], size: int
) -> Complex[Array, "n {size} {size}"]:
    """The patches at ``place``."""
    return objects[pixels(place, size)]


@accelerated
def put_in(
    objects: Complex[Array, "R H W"], place: Int[Array, "n 6"], patches: Complex[Array, "n m m"]
) -> None:
    """Write patches into ``objects``, which the caller owns."""
    objects[pixels(place, patches.shape[-1])] = patches


@accelerated
def patterns_at(
    amplitude: Float[Array, "P m m"] | Patterns, place: Int[Array, "n 6"]
) -> Float[Array, "n m m"]:
    """The amplitudes of the patterns that are visited."""
    return amplitude[place[:, 3]]


@accelerated
def next_visits(place: Int[Array, "T 6"], first: Int[Array, " 1"], n: int) -> Int[Array, "n 6"]:
    """The ``n`` visits from the one whose number ``first`` holds, which moves on by as many."""
    here = place[first + namespace(first).arange(n, device=array_api_compat.device(first))]
    first += n
    return here
