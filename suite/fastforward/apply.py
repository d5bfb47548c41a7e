"""A solver that is carried ahead by an operator now and then.

:class:`FastForward` is itself a solver: loop, clock and stopping rules treat it as any other. After the
iterations that the schedule names, the operator proposes a state further on, and the solver starts again from
there. Where over the ``look_ahead`` iterations that follow the Poisson deviance falls at a fair share of the
pace that it had, the jump stands. Otherwise the solver goes on alone as well, in the same random order, and
the better of the two stands. Its iterations are handed out, one a step. So a jump that is rejected leaves the
run as it would have been without it, and all that was tried is on the clock, at the first of the iterations
that it decided about.

Before the jumps the focus of the probe may be searched. What is found stands where the solver, started on a
part of the scan with either probe, does better with it.

The safeguard is not in the work that proposed the operator.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from suite.core.arrays import Array, Backend, copy, namespace
from suite.core.problem import Problem
from suite.core.registry import build
from suite.errors import UserError
from suite.fastforward.deviance import poisson_deviance
from suite.fastforward.operator import Snapshot
from suite.fastforward.pull import refitted_probe
from suite.fastforward.refocus import middle_of, refocused
from suite.fastforward.state import FastForwardState, Jump, Refocus
from suite.solvers.protocol import Solver

STEPS = (1.0, 0.5)  # shares of the proposed change that are tried, in this order
PACE_OVER = 5  # iterations over which the pace of the solver alone is measured,
PACE = 0.3  # and the share of it that the run has to keep, for the solver alone to be left out
LONGEST_REASON = 200


@dataclass(frozen=True)
class Branch:
    """Consecutive states of the solver, one an iteration."""

    states: tuple[Any, ...]
    passes: int  # over the data, with those for restart and deviances
    deviance: float  # of the last of them


@dataclass(frozen=True)
class FastForward:
    """``solver``, carried ahead by ``operator`` (a :class:`suite.core.fast_forward.Schedule`)."""

    solver: Solver
    operator: Any
    backend: Backend

    def init(self, problem: Problem) -> FastForwardState:
        return self._with_memory(FastForwardState(self.solver.init(problem)))

    def step(self, problem: Problem, state: FastForwardState, rng: np.random.Generator) -> FastForwardState:
        if state.ahead:
            after = replace(state, inner=state.ahead[0], ahead=state.ahead[1:])
        elif state.iteration == self.operator.refocus > 0:
            after = self._refocus(problem, state, rng)
        elif state.iteration in self.operator.jumps_after:
            after = self._jump(problem, state, rng)
        else:
            after = replace(state, inner=self.solver.step(problem, state.inner, rng))
        return self._with_memory(replace(after, iteration=state.iteration + 1))

    def _with_memory(self, state: FastForwardState) -> FastForwardState:
        """Keep the state where a later jump will ask for it."""
        jumps, memory = self.operator.jumps_after, self.operator.memory
        if not {state.iteration + memory, state.iteration + PACE_OVER} & set(jumps):
            return state
        needed = tuple(shot for shot in state.past if shot.iteration + memory > state.iteration)
        return replace(state, past=(*needed, Snapshot(state.object, state.probe, state.iteration)))

    def _refocus(
        self, problem: Problem, state: FastForwardState, rng: np.random.Generator
    ) -> FastForwardState:
        """Search the focus of the probe, where the solver has moved it, and start again in a better one."""
        begin = self._now()
        inner, angle, passes, reason = state.inner, 0.0, 0, ""
        if _differ(state.probe, problem.probe):
            try:
                probe, angle, passes = self._in_focus(problem, state.probe, rng)
                if angle:
                    inner, more = self._started(replace(problem, probe=probe), state)
                    passes += more
            except UserError:
                raise
            except Exception as error:
                angle, reason = 0.0, _reason(error)
        record = Refocus(angle, self._now() - begin, reason)
        after = replace(state, inner=self.solver.step(problem, inner, rng), refocus=record)
        return replace(after, past=() if angle else state.past, passes_beside=state.passes_beside + passes)

    def _in_focus(self, problem: Problem, probe: Array, rng: np.random.Generator) -> tuple[Array, float, int]:
        """The probe in a better focus, the change in radians, and the passes over the data that it took.

        With the safeguard, the run's own solver has to confirm it on the part of the scan that was searched.
        """
        part = middle_of(problem)
        found, angle, passes = refocused(part, probe)
        if angle and self.operator.safeguard:
            with_it, without = (
                self._branch(part, self.solver.init(replace(part, probe=start)), deepcopy(rng))
                for start in (found, probe)
            )
            passes += with_it.passes + without.passes
            if not with_it.deviance <= without.deviance:
                found, angle = probe, 0.0
        return found, angle, math.ceil(passes * part.n_positions / problem.n_positions)

    def _jump(self, problem: Problem, state: FastForwardState, rng: np.random.Generator) -> FastForwardState:
        """Apply the operator and take one iteration of what goes on."""
        begin = self._now()
        try:
            proposal = self._proposal(problem, state)
        except UserError:
            raise
        except Exception as error:
            jump = Jump(state.iteration, seconds_inference=self._now() - begin, reason=_reason(error))
            inner = self.solver.step(problem, state.inner, rng)
            return replace(state, inner=inner, jumps=(*state.jumps, jump))
        inferred = self._now()
        jump = Jump(state.iteration, seconds_inference=inferred - begin)
        take = self._safeguarded if self.operator.safeguard else self._unguarded
        after, jump = take(problem, state, proposal, jump, rng)
        jump = replace(jump, seconds_look_ahead=self._now() - inferred)
        past = after.past if jump.step == 0 else ()
        return replace(after, past=past, jumps=(*state.jumps, jump))

    def _proposal(self, problem: Problem, state: FastForwardState) -> Snapshot:
        # copies: an operator that writes into what it is shown must not spoil the run it is judged against
        now = Snapshot(copy(state.object), copy(state.probe), state.iteration)
        obj, probe = self.operator.advance(problem, now, state.shot(self.operator.memory))
        _check("object", obj, now.object)
        _check("probe", probe, now.probe)
        return Snapshot(obj, probe, state.iteration)

    def _unguarded(
        self,
        problem: Problem,
        state: FastForwardState,
        proposal: Snapshot,
        jump: Jump,
        rng: np.random.Generator,
    ) -> tuple[FastForwardState, Jump]:
        first, passes = self._restart(problem, state, proposal, 1.0)
        after = replace(
            state, inner=self.solver.step(problem, first, rng), passes_beside=state.passes_beside + passes
        )
        return after, replace(jump, step=1.0)

    def _safeguarded(
        self,
        problem: Problem,
        state: FastForwardState,
        proposal: Snapshot,
        jump: Jump,
        rng: np.random.Generator,
    ) -> tuple[FastForwardState, Jump]:
        """The first step that is no worse than the solver alone after ``look_ahead`` iterations, or that one.

        All branches have the same scan orders; ``rng`` goes on after them.
        """
        before = poisson_deviance(problem, state.object, state.probe)
        supposed, passes = self._supposed(problem, state, before)
        jump, passes = replace(jump, deviance_before=before), passes + 1
        start, plain, chosen = deepcopy(rng), None, None
        for step in STEPS:
            order = deepcopy(start)
            branch, jump = self._attempt(problem, state, proposal, step, jump, order)
            passes += branch.passes if branch else 0
            if branch and plain is None and branch.deviance < supposed:
                rng.bit_generator.state = order.bit_generator.state
                chosen, jump = branch, replace(jump, step=step)
                break
            if plain is None:
                plain = self._branch(problem, state.inner, rng)
                passes += plain.passes
                jump = replace(jump, deviance_plain=plain.deviance)
            if branch and branch.deviance <= plain.deviance:
                chosen, jump = branch, replace(jump, step=step, reason="")
                break
            if branch:
                found = f"deviance {branch.deviance:.4g}, without it {plain.deviance:.4g}"
                jump = replace(jump, reason=found)
        stands = chosen or plain
        assert stands is not None
        first, *ahead = stands.states
        counted = int(stands.states[-1].data_passes) - int(state.inner.data_passes)
        beside = state.passes_beside + passes - counted
        return replace(state, inner=first, ahead=tuple(ahead), passes_beside=beside), jump

    def _attempt(
        self,
        problem: Problem,
        state: FastForwardState,
        proposal: Snapshot,
        step: float,
        jump: Jump,
        rng: np.random.Generator,
    ) -> tuple[Branch | None, Jump]:
        """The branch from a share ``step`` of the proposed change, and ``jump`` with what it told.

        None where the solver stumbles, as it may well over a state that no solver would reach.
        """
        try:
            first, passes = self._restart(problem, state, proposal, step)
            inserted = poisson_deviance(problem, first.object, first.probe)
            branch = self._branch(problem, first, rng)
        except UserError:
            raise
        except Exception as error:
            return None, replace(jump, reason=_reason(error))
        jump = replace(jump, deviance_inserted=inserted, deviance_jumped=branch.deviance)
        return replace(branch, passes=branch.passes + passes + 1), jump

    def _supposed(self, problem: Problem, state: FastForwardState, now: float) -> tuple[float, int]:
        """Deviance ``look_ahead`` iterations after ``now`` below which a jump stands unopposed, 0 for never;
        and the passes over the data that it took to know."""
        shot = state.shot(PACE_OVER)
        if shot is None:
            return 0.0, 0
        then = poisson_deviance(problem, shot.object, shot.probe)
        share = min(now / then, 1.0) if then > 0 else 0.0
        return now * share ** (PACE * self.operator.look_ahead / PACE_OVER), 1

    def _restart(
        self, problem: Problem, state: FastForwardState, proposal: Snapshot, step: float
    ) -> tuple[Any, int]:
        """The solver's first state at a share ``step`` of the proposed change, and the passes that it took.

        The probe moves only where the solver has moved it.
        """
        obj, probe = _between(state.object, proposal.object, step), state.probe
        passes = 0
        if _differ(probe, problem.probe):
            probe = _between(probe, proposal.probe, step)
            for _ in range(self.operator.refits):
                probe = refitted_probe(problem, obj, probe)
            passes = self.operator.refits
        first, more = self._started(replace(problem, start_object=obj, probe=probe), state)
        return first, passes + more

    def _started(self, problem: Problem, state: FastForwardState) -> tuple[Any, int]:
        """The solver's first state of ``problem``, and the passes that it took.

        Its own count of passes goes on from ``state``: some settings, such as ``probe_start``, refer to it.
        """
        first = self.solver.init(problem)
        return replace(first, data_passes=state.inner.data_passes), int(first.data_passes)

    def _branch(self, problem: Problem, inner: Any, rng: np.random.Generator) -> Branch:
        states, passes = [inner], int(inner.data_passes)
        for _ in range(self.operator.look_ahead):
            states.append(self.solver.step(problem, states[-1], rng))
        last = states[-1]
        deviance = poisson_deviance(problem, last.object, last.probe)
        return Branch(tuple(states[1:]), int(last.data_passes) - passes + 1, deviance)

    def _now(self) -> float:
        self.backend.synchronise()
        return time.perf_counter()


def with_fast_forward(
    solver: Solver, settings: Mapping[str, Any] | None, problem: Problem, backend: Backend
) -> Solver:
    """``solver`` with the fast-forward of ``settings``; the solver itself where there is none (None).

    Search and operator are applied once to the start of ``problem``, so that what they load is there before
    the clock starts.

    Raises
    ------
    UserError
        The operator cannot work here: a checkpoint or a package is missing.
    """
    if settings is None:
        return solver
    operator = build("operators", settings)
    start = Snapshot(problem.start_object, problem.probe, 0)
    try:
        operator.advance(problem, start, start)
        if operator.refocus:
            refocused(middle_of(problem), problem.probe)
    except UserError:
        raise
    except Exception:  # what they make of a state is judged, and reported, where they are applied
        pass
    return FastForward(solver, operator, backend)


def _differ(a: Array, b: Array) -> bool:
    return bool(namespace(a).any(a != b))


def _between(now: Array, proposed: Array, step: float) -> Array:
    return proposed if step == 1 else now + step * (proposed - now)


def _check(name: str, found: Any, now: Array) -> None:
    """Raise ValueError for what cannot stand in the place of ``now``."""
    if type(found) is not type(now) or found.shape != now.shape or found.dtype != now.dtype:
        raise ValueError(f"{name}: found {_description(found)}; expected {_description(now)}")
    xp = namespace(found)
    if not bool(xp.all(xp.isfinite(found))):
        raise ValueError(f"{name}: found values that are not finite")


def _description(array: Any) -> str:
    parts = (type(array).__name__, getattr(array, "shape", ""), getattr(array, "dtype", ""))
    return " ".join(str(part) for part in parts).strip()


def _reason(error: Exception) -> str:
    first_line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line}"[:LONGEST_REASON]
