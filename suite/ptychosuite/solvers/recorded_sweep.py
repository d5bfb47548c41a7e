"""The sweep of :mod:`ptychosuite.solvers.stacked_sweep`, its batches recorded and launched as one each.

What a batch does depends on nothing but its size: objects and probes lie where they always lie, and where
the batch goes is read on the device, at a place in the list of the sweep's visits that moves on with every
batch. So the update of a batch is recorded once for every size (:mod:`ptychosuite.backends.recorded`), and a
sweep is a launch a batch.

What was recorded belongs to one solver and one stack of problems. It lives as long as the solver does, which
is a run.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import partial
from typing import Any

import array_api_compat
import numpy as np
from jaxtyping import Complex

from ptychosuite.backends.arrays import Array, copy, is_on_gpu, namespace
from ptychosuite.backends.recorded import Recorder, Recording
from ptychosuite.core.problem import Problem
from ptychosuite.solvers.solver import PatchSolver
from ptychosuite.solvers.stack import RunStack
from ptychosuite.solvers.stacked_sweep import Visits, sweep_stack, update


def swept_stack(
    solver: PatchSolver,
    stack: RunStack,
    objects: Complex[Array, "R H W"],
    probes: Complex[Array, "R m m"],
    batches: Sequence[np.ndarray],
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
    batches: Sequence[np.ndarray],
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


def can_be_recorded(objects: Array, probes: Array) -> bool:
    """On a GPU, but where torch follows the gradient."""
    followed = any(getattr(x, "requires_grad", False) for x in (objects, probes))
    return is_on_gpu(objects) and not followed


class RecordedSweep:
    """Fixed arrays for one stack of problems, and a recording for each size of batch."""

    def __init__(self, stack: RunStack) -> None:
        self.stack = stack
        first = stack.problems[0]
        xp, like = namespace(first.probe), first.probe
        device = array_api_compat.device(like)
        self.objects = xp.stack([first.start_object] * len(stack))
        self.probes = xp.stack([like] * len(stack))
        self.visits = Visits.of(stack, [np.tile(np.arange(first.n_positions), len(stack))], like)
        self.next = xp.zeros(1, dtype=xp.int64, device=device)  # the first visit of the next batch
        self._recorder = Recorder(like)
        self._recordings: dict[tuple[int, bool], Recording] = {}
        self._weights: Any = None
        self._probe_of_weights: Array = None

    @classmethod
    def of(
        cls, solver: PatchSolver, problems: Sequence[Problem], stack: RunStack | None = None
    ) -> RecordedSweep:
        """The one that belongs to ``solver`` and ``problems``, and to no other solver, be it equal."""
        found = _of_solver.get(id(solver))
        if found is not None and _are_the_same(found.stack.problems, problems):
            return found
        if found is None:
            weakref.finalize(solver, _of_solver.pop, id(solver), None)
        _of_solver[id(solver)] = new = cls(stack or RunStack.of(problems))
        return new

    def swept(
        self,
        solver: PatchSolver,
        objects: Complex[Array, "*#R H W"],
        probes: Complex[Array, "*#R m m"],
        batches: Sequence[np.ndarray],
        moves_probe: bool,
    ) -> tuple[Complex[Array, "R H W"], Complex[Array, "R m m"]]:
        """Objects and probes after one pass; the arguments stay as they are."""
        self._begin(solver, objects, probes, batches, moves_probe)
        for batch in batches:
            n = int(np.size(batch))
            recording = self._recordings.setdefault((n, moves_probe), Recording(self._recorder))
            recording.carry_out(partial(self._update, solver, n, moves_probe))
        return copy(self.objects), copy(self.probes) if moves_probe else probes

    def _begin(
        self,
        solver: PatchSolver,
        objects: Array,
        probes: Array,
        batches: Sequence[np.ndarray],
        moves_probe: bool,
    ) -> None:
        self.objects[...] = objects
        self.next[...] = 0
        goes = Visits.of(self.stack, batches, like=self.probes)
        for own, new in zip(vars(self.visits).values(), vars(goes).values(), strict=True):
            if own is not None:
                own[: len(new)] = new
        if moves_probe:
            self.probes[...], self._probe_of_weights = probes, None
        elif probes is not self._probe_of_weights:  # what was recorded knows where the old weights are
            self.probes[...] = probes
            self._recordings, self._recorder = {}, Recorder(probes)
            self._weights = solver.fixed_weights(self.stack.problems[0], self.probes, moves_probe)
            self._probe_of_weights = probes

    def _update(self, solver: PatchSolver, n: int, moves_probe: bool) -> None:
        xp = namespace(self.next)
        here = self.visits[self.next + xp.arange(n, device=array_api_compat.device(self.next))]
        weights = None if moves_probe else self._weights
        probes = update(solver, self.stack, here, self.objects, self.probes, weights, moves_probe)
        if moves_probe:
            self.probes[...] = probes
        self.next += n


_of_solver: dict[int, RecordedSweep] = {}


def _are_the_same(one: Sequence[Problem], other: Sequence[Problem]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
