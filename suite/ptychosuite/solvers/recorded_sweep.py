"""The sweep of :mod:`ptychosuite.solvers.stacked_sweep`, its batches recorded and launched as one each.

What a batch does depends on nothing but its size: objects and probes lie where they always lie, and where
the batch goes is read on the device, at a place in the list of the sweep's visits that moves on with every
batch. So the update of a batch is recorded once for every size (:mod:`ptychosuite.backends.recorded`), and a
sweep is a launch a batch.

What was recorded belongs to one solver and to what one stack of problems has: a problem is often made anew
for every iteration, as for a stage, or where positions were found, and asks for the same. A part of a scan
and the whole may take turns, so two recorded sweeps are kept a solver. They live as long as it does, which is
a run.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np
from array_api_compat import device as device_of
from jaxtyping import Complex, Int

from ptychosuite.backends.arrays import Array, copy, is_on_gpu, namespace, upload
from ptychosuite.backends.recorded import Recorder, Recording
from ptychosuite.core.problem import Problem
from ptychosuite.solvers.solver import PatchSolver
from ptychosuite.solvers.stack import RunStack
from ptychosuite.solvers.stacked_sweep import (
    COUNTS,
    Batches,
    Visits,
    next_visits,
    numbered,
    places,
    sizes_of,
    sweep_stack,
    update,
)


def swept_stack(
    solver: PatchSolver,
    stack: RunStack,
    objects: Complex[Array, "R H W"],
    probes: Complex[Array, "R m m"],
    batches: Batches,
    moves_probe: bool,
) -> tuple[Complex[Array, "R H W"], Complex[Array, "R m m"]]:
    """As :func:`ptychosuite.solvers.stacked_sweep.sweep_stack`, in the form that suits the device."""
    if not can_be_recorded(objects, probes):
        return sweep_stack(solver, stack, objects, probes, batches, moves_probe)
    return RecordedSweep.of(solver, stack.problems, stack).swept(
        solver, objects, probes, batches, moves_probe
    )


def swept_alone(
    solver: PatchSolver,
    problem: Problem,
    obj: Complex[Array, "H W"],
    probe: Complex[Array, "m m"],
    batches: Sequence[Int[np.ndarray, " _"]],
    moves_probe: bool,
) -> tuple[Complex[Array, "H W"], Complex[Array, "m m"]]:
    """As :func:`swept_stack`, of a single run."""
    if can_be_recorded(obj, probe):
        recorded = RecordedSweep.of(solver, (problem,))
        objects, probes = recorded.swept(solver, obj, probe, batches, moves_probe)
    else:
        stack = RunStack.of([problem])
        objects, probes = sweep_stack(solver, stack, obj[None], probe[None], batches, moves_probe)
    return objects[0], probes[0] if moves_probe else probe


def can_be_recorded(objects: Complex[Array, "*R H W"], probes: Complex[Array, "*R m m"]) -> bool:
    """On a GPU, but where torch follows the gradient."""
    followed = any(getattr(x, "requires_grad", False) for x in (objects, probes))
    return is_on_gpu(objects) and not followed


class RecordedSweep:
    """Fixed arrays for one stack of problems, and a recording for each size of batch."""

    def __init__(self, stack: RunStack) -> None:
        self.stack = stack
        first = stack.problems[0]
        xp, like = namespace(first.probe), first.probe
        self.objects = xp.stack([first.start_object] * len(stack))
        self.probes = xp.stack([like] * len(stack))
        everywhere = np.tile(np.arange(first.n_positions), len(stack))
        visits = Visits.of(stack, [everywhere], like)
        # The counter, which is the next batch's first visit, and the visits: uploaded as one.
        most = 1 + 3 * len(everywhere) // 2
        self._list = xp.zeros((1 + most, visits.place.shape[1]), dtype=xp.int64, device=device_of(like))
        self.next, self.visits = self._list[0, :1], replace(visits, place=self._list[1:])
        self._recorder = Recorder(like)
        self._recordings: dict[tuple[int, bool, bool], Recording] = {}
        self._weights: Any = None
        self._probe_of_weights: Array = None

    @classmethod
    def of(
        cls, solver: PatchSolver, problems: Sequence[Problem], stack: RunStack | None = None
    ) -> RecordedSweep:
        """The one that belongs to what ``problems`` have, and to ``solver``: to no other one, be it equal."""
        if id(solver) not in _of_solver:
            weakref.finalize(solver, _of_solver.pop, id(solver), None)
        kept = _of_solver.setdefault(id(solver), [])
        for place, each in enumerate(kept):
            if are_the_same(each.stack.problems, problems):
                kept.append(kept.pop(place))
                return each
        del kept[: 1 - KEPT]  # before another one takes memory
        kept.append(cls(stack or RunStack.of(problems)))
        return kept[-1]

    def swept(
        self,
        solver: PatchSolver,
        objects: Complex[Array, "*#R H W"],
        probes: Complex[Array, "*#R m m"],
        batches: Batches,
        moves_probe: bool,
    ) -> tuple[Complex[Array, "R H W"], Complex[Array, "R m m"]]:
        """Objects and probes after one pass; the arguments stay as they are."""
        counting = sizes_of(batches)
        sizes = filled_up(counting) if len(self.stack) == 1 else counting
        self._begin(solver, objects, probes, moves_probe)
        visits = repeated(places(self.stack, batches), counting, sizes)
        upload(np.concatenate([np.zeros_like(visits[:1]), visits]), self._list[: 1 + len(visits)])
        for n, counts in zip(sizes.tolist(), counting.tolist(), strict=True):
            kind = n, moves_probe, moves_probe and n > counts
            recording = self._recordings.setdefault(kind, Recording(self._recorder))
            recording.carry_out(partial(self._update, solver, *kind))
        return copy(self.objects), copy(self.probes) if moves_probe else probes

    def _begin(self, solver: PatchSolver, objects: Array, probes: Array, moves_probe: bool) -> None:
        self.objects[...] = objects
        if moves_probe:
            self.probes[...], self._probe_of_weights = probes, None
        elif probes is not self._probe_of_weights:  # what was recorded knows where the old weights are
            self.probes[...] = probes
            self._recordings, self._recorder = {}, Recorder(probes)
            self._weights = solver.fixed_weights(self.stack.problems[0], self.probes, moves_probe)
            self._probe_of_weights = probes

    def _update(self, solver: PatchSolver, n: int, moves_probe: bool, some_count: bool) -> None:
        here = replace(self.visits, place=next_visits(self.visits.place, self.next, n))
        weights = None if moves_probe else self._weights
        probes = update(solver, self.stack, here, self.objects, self.probes, weights, moves_probe, some_count)
        if moves_probe:
            self.probes[...] = probes


def filled_up(sizes: Int[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
    """The next size that is 2^k or 3 * 2^k, so that batches of a run have few and little is recorded."""
    power = 1 << (np.frexp(sizes)[1].astype(np.int64) - 1)  # not above the size
    return np.where(sizes <= power, power, np.where(2 * sizes <= 3 * power, 3 * power // 2, 2 * power))


def repeated(
    visits: Int[np.ndarray, "T 6"], counting: Int[np.ndarray, " B"], sizes: Int[np.ndarray, " B"]
) -> Int[np.ndarray, "F 6"]:
    """The visits of batches of ``counting`` each, the last of a batch repeated until it has its size.

    Repetitions do not count. To be at a position twice at once changes nothing.
    """
    within = numbered(sizes)
    first, last = (np.repeat(each, sizes) for each in (np.cumsum(counting) - counting, counting - 1))
    found = visits[first + np.minimum(within, last)]
    found[:, COUNTS] = within <= last
    return found


KEPT = 2  # recorded sweeps a solver: of all patterns, and of those on which a jump is judged

_of_solver: dict[int, list[RecordedSweep]] = {}
"""The latest ones of a solver, by its identity; the last was used last."""


def are_the_same(one: Sequence[Problem], other: Sequence[Problem]) -> bool:
    """Whether a sweep that was recorded for ``one`` is that of ``other``."""
    return len(one) == len(other) and all(map(_is_the_same, one, other))


def _is_the_same(one: Problem, other: Problem) -> bool:
    """But for where it begins, as a sweep is given its object, and for the truth, which no solver sees."""
    if one is other:
        return True
    start, another = one.start_object, other.start_object
    return (
        start.shape == another.shape
        and start.dtype == another.dtype
        and all(_is_kept(getattr(one, each), getattr(other, each)) for each in COMPARED)
    )


COMPARED = [field.name for field in fields(Problem) if field.name not in ("start_object", "reference")]


def _is_kept(value: Any, other: Any) -> bool:
    """Whether it is the same array; of numbers on the host, positions above all, their values count."""
    if value is other:
        return True
    if isinstance(value, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(value, other)
    return isinstance(value, bool | float | int) and bool(value == other)
