"""A solver that is carried ahead by an operator now and then.

:class:`FastForward` is itself a solver: loop, clock and stopping rules treat it as any other. After the
iterations that the schedule names, the operator proposes a state further on. What the solver makes of it in
``look_ahead`` iterations is compared with what it comes to alone, in the same random order
(:mod:`ptychosuite.fastforward.verdict`), and the better of the two stands; in doubt the solver alone. In a
long scan they are compared in its middle, and only what stands goes on over all patterns; else its iterations
are handed out, one a step. So a jump that is rejected leaves the run as it would have been without it, and
all that was tried is on the clock, at the first of the iterations that it decided about. Not on it is what
the process of another package has to be told and copied for.

A jump is rejected for what numbers can do: a deviance that is too high, values that are not finite, an error
of numerics in the operator or in the solver after it. Any other error is a fault of the program and fails the
run.

The safeguard is not in the work that proposed the operator.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Complex

from ptychosuite.backends.arrays import Array, Backend, copy, namespace, numerical_errors
from ptychosuite.core.jumps import Jump, Schedule, Snapshot, figures_of, rejections_of
from ptychosuite.core.problem import Found, Problem
from ptychosuite.errors import CannotAdvance
from ptychosuite.fastforward.verdict import (
    PACE_OVER,
    PACED,
    Court,
    Pace,
    Trial,
    is_alike_elsewhere,
    pace_of,
    reason_of,
    refuse_far,
    restarted,
    why_flat,
)
from ptychosuite.solvers.solver import Solver
from ptychosuite.solvers.waiting import WAITING

Field = Complex[Array, "h w"]
Advance = Callable[[Problem, Snapshot, Snapshot | None], tuple[Complex[Array, "H W"], Complex[Array, "m m"]]]


@dataclass(frozen=True)
class FastForwardState:
    """The solver's state, and what the next jumps need to know."""

    inner: Any  # the solver's own state
    iteration: int = 0
    data_passes: float = 0  # over all the diffraction data so far, with those for what was tried
    past: tuple[Snapshot, ...] = ()  # earlier states that the next jump asks for
    ahead: tuple[Any, ...] = ()  # states of iterations that are computed already
    passes_beside: float = 0  # over the data, for what was tried
    waited: float = 0.0  # seconds of the step that led here that were nobody's work
    jumps: tuple[Jump, ...] = ()

    def shot(self, ago: int) -> Snapshot | None:
        """The state so many iterations ago; None where it was not kept, or lies before the last jump."""
        return next((shot for shot in self.past if shot.iteration == self.iteration - ago), None)

    @property
    def object(self) -> Complex[Array, "H W"]:
        return self.inner.object

    @property
    def probe(self) -> Complex[Array, "m m"]:
        return self.inner.probe

    @property
    def found(self) -> Found | None:
        found: Found | None = getattr(self.inner, "found", None)
        return found


@dataclass(frozen=True)
class FastForward(Solver):
    """``solver``, carried ahead by what ``advance`` proposes at the iterations of ``schedule``."""

    solver: Solver
    schedule: Schedule
    advance: Advance  # of an operator
    backend: Backend

    @property
    def constituents(self) -> tuple[Solver, ...]:
        return self.solver.constituents

    def init(self, problem: Problem) -> FastForwardState:
        return self._complete(FastForwardState(self.solver.init(problem)))

    def step(self, problem: Problem, state: FastForwardState, rng: np.random.Generator) -> FastForwardState:
        waited = WAITING.seconds
        if state.ahead:
            after = replace(state, inner=state.ahead[0], ahead=state.ahead[1:])
        elif state.iteration in self.schedule.jumps_after:
            after = self._jump(problem, state, rng)
        else:
            after = replace(state, inner=self.solver.step(problem, state.inner, rng))
        after = self._complete(replace(after, iteration=state.iteration + 1))
        return replace(after, waited=WAITING.seconds - waited)

    def given_more(self, problem: Problem, state: FastForwardState) -> FastForwardState:
        """What was looked ahead to is done again, with all patterns; its passes stay counted."""
        inner = self.solver.given_more(problem, state.inner)
        return replace(state, inner=inner, ahead=())

    def step_seconds(self, state: FastForwardState, measured: float) -> float:
        return measured - state.waited

    def provenance(self, state: FastForwardState) -> Mapping[str, Any]:
        return self.solver.provenance(state.inner)

    def data_passes(self, state: FastForwardState, iterations: int) -> int | float:
        return state.data_passes

    def figures(self, state: FastForwardState) -> Mapping[str, float]:
        """Steps, deviances and seconds of the jumps."""
        return figures_of(state.jumps)

    def remarks(self, state: FastForwardState) -> str:
        """Why jumps were rejected."""
        return rejections_of(state.jumps)

    def _complete(self, state: FastForwardState) -> FastForwardState:
        """``state`` with its passes counted, and kept where a later jump will ask for it."""
        passes = self.solver.data_passes(state.inner, state.iteration) + state.passes_beside
        state = replace(state, data_passes=passes)
        jumps, memory = self.schedule.jumps_after, self.schedule.memory
        paced = () if self.schedule.judged_on is None else PACED
        if not {state.iteration + ago for ago in (memory, PACE_OVER, *paced)} & set(jumps):
            return state
        needed = tuple(shot for shot in state.past if shot.iteration + memory >= state.iteration)
        return replace(state, past=(*needed, Snapshot(state.object, state.probe, state.iteration)))

    def _jump(self, problem: Problem, state: FastForwardState, rng: np.random.Generator) -> FastForwardState:
        """Apply the operator, where it is worth asking, and take one iteration of what goes on."""
        take = self._safeguarded if self.schedule.safeguard else self._unguarded
        begin = self._now()
        after, jump = take(problem, state, rng)
        jump = replace(jump, seconds_look_ahead=self._now() - begin - jump.seconds_inference)
        past = after.past if jump.step == 0 else ()
        return replace(after, past=past, jumps=(*state.jumps, jump))

    def _proposal(
        self, problem: Problem, state: FastForwardState, jump: Jump
    ) -> tuple[Snapshot | None, Jump]:
        """What the operator proposes, None where it has nothing of use; and ``jump`` with the time of it.

        Raises
        ------
        TypeError
            The proposal is not of the state's library, shape and precision.
        """
        begin, found = self._now(), None
        try:
            _refuse_infinite("state", state.object, state.probe)  # no operator is to answer for such a state
            # copies: an operator that writes into what it is shown must not spoil what it is judged against
            now = Snapshot(copy(state.object), copy(state.probe), state.iteration)
            seen = Found.by(state).applied_to(problem)
            obj, probe = self.advance(seen, now, state.shot(self.schedule.memory))
            _refuse_unlike("object", obj, state.object)
            _refuse_unlike("probe", probe, state.probe)
            _refuse_infinite("proposal", obj, probe)
            if self.schedule.safeguard:
                refuse_far(obj, probe, state)
            found = Snapshot(obj, probe, state.iteration)
        except numerical_errors() as error:
            jump = replace(jump, reason=reason_of(error))
        return found, replace(jump, seconds_inference=self._now() - begin)

    def _unguarded(
        self, problem: Problem, state: FastForwardState, rng: np.random.Generator
    ) -> tuple[FastForwardState, Jump]:
        proposal, jump = self._proposal(problem, state, Jump(state.iteration))
        if proposal is None:
            return self._alone(problem, state, 0, rng), jump
        there = self._restart(problem, state, proposal, 1.0)
        return self._from_there(problem, state, there, 0, rng), replace(jump, step=1.0)

    def _safeguarded(
        self, problem: Problem, state: FastForwardState, rng: np.random.Generator
    ) -> tuple[FastForwardState, Jump]:
        """One iteration of the first step that is better than the solver alone, or of that one."""
        court = Court.of(self.solver, problem, state.inner, self.schedule.judged_on)
        pace = pace_of(court, state.iteration, state.past)
        passes = court.passes + court.share * pace.passes
        jump = Jump(state.iteration, deviance_before=pace.deviance)
        if pace.is_flat:
            reason, taken = why_flat(court, pace, problem.noise)
            jump = replace(jump, asked=False, reason=reason)
            return self._alone(problem, state, passes + court.share * taken, rng), jump
        proposal, jump = self._proposal(problem, state, jump)
        if proposal is None:
            return self._alone(problem, state, passes, rng), jump
        state = replace(state, passes_beside=state.passes_beside + passes)
        trial = Trial(self.schedule, court, pace, proposal)
        if court.which is None:
            return self._judged_on_all(problem, state, trial, jump, rng)
        return self._judged_in_the_middle(problem, state, trial, jump, rng)

    def _judged_on_all(
        self, problem: Problem, state: FastForwardState, trial: Trial, jump: Jump, rng: np.random.Generator
    ) -> tuple[FastForwardState, Jump]:
        """The iterations of the look-ahead are those of the run: they are handed out."""
        stands, passes, jump = trial.held(jump, rng)
        if stands is None:
            return self._alone(problem, state, passes, rng), jump
        first, *ahead = stands.states
        counted = self._passes_between(state, stands.states[-1], self.schedule.look_ahead)
        beside = state.passes_beside + passes - counted
        return replace(state, inner=first, ahead=tuple(ahead), passes_beside=beside), jump

    def _judged_in_the_middle(
        self,
        problem: Problem,
        state: FastForwardState,
        trial: Trial,
        jump: Jump,
        rng: np.random.Generator,
    ) -> tuple[FastForwardState, Jump]:
        """What stands goes on over all patterns, in the order that it would have had without a trial.

        Where the jump does worse to the other patterns than to those, all are asked.
        """
        _, taken, jump = trial.held(jump, deepcopy(rng))
        passes = trial.court.share * taken
        if jump.step == 0:
            return self._alone(problem, state, passes, rng), jump
        order, everywhere = deepcopy(rng), Court(self.solver, problem, state.inner)
        try:
            there = self._restart(problem, state, trial.proposal, jump.step)
            before, inserted = (everywhere.deviances(each, each) for each in (state.inner, there[0]))
            passes += 2
            if is_alike_elsewhere(trial.court, before, inserted):
                after = self._from_there(problem, state, there, passes, order)
                rng.bit_generator.state = order.bit_generator.state
                return after, jump
        except numerical_errors() as error:
            jump = replace(jump, step=0.0, reason=reason_of(error))
            return self._alone(problem, state, passes, rng), jump
        state = replace(state, passes_beside=state.passes_beside + passes + there[1])
        trial = replace(trial, court=everywhere, pace=Pace(float(before.mean())))
        jump = replace(jump, step=0.0, deviance_before=trial.pace.deviance)
        return self._judged_on_all(problem, state, trial, jump, rng)

    def _restart(
        self, problem: Problem, state: FastForwardState, proposal: Snapshot, step: float
    ) -> tuple[Any, int | float]:
        return restarted(self.solver, self.schedule.refits, problem, state.inner, proposal, step)

    def _alone(
        self, problem: Problem, state: FastForwardState, passes: int | float, rng: np.random.Generator
    ) -> FastForwardState:
        """One iteration without a jump, after so many passes over the data that were for nothing."""
        inner = self.solver.step(problem, state.inner, rng)
        return replace(state, inner=inner, passes_beside=state.passes_beside + passes)

    def _from_there(
        self,
        problem: Problem,
        state: FastForwardState,
        there: tuple[Any, int | float],
        passes: int | float,
        rng: np.random.Generator,
    ) -> FastForwardState:
        """One iteration from where a jump has led, after so many passes over the data beside."""
        first, taken = there
        beside = state.passes_beside + passes + taken - self._passes_between(state, first, 0)
        return replace(state, inner=self.solver.step(problem, first, rng), passes_beside=beside)

    def _passes_between(self, state: FastForwardState, later: Any, iterations: int) -> int | float:
        """What the solver counts from ``state`` to its own state ``later``, so many iterations on."""
        then = self.solver.data_passes(later, state.iteration + iterations)
        return then - self.solver.data_passes(state.inner, state.iteration)

    def _now(self) -> float:
        self.backend.synchronise()
        return time.perf_counter() - WAITING.seconds


def _refuse_unlike(name: str, found: Any, now: Field) -> None:
    """Raise TypeError for what cannot stand in the place of ``now``: a fault of the operator."""
    if type(found) is not type(now) or found.shape != now.shape or found.dtype != now.dtype:
        raise TypeError(
            f"the operator's {name} is {_description(found)}; expected {_description(now)}, as it was shown"
        )


def _refuse_infinite(name: str, *arrays: Complex[Array, "_ _"]) -> None:
    """Raise CannotAdvance where a value is not finite."""
    if not all(bool(namespace(array).all(namespace(array).isfinite(array))) for array in arrays):
        raise CannotAdvance(f"the {name} has values that are not finite")


def _description(array: Any) -> str:
    parts = (type(array).__name__, getattr(array, "shape", ""), getattr(array, "dtype", ""))
    return " ".join(str(part) for part in parts).strip()
