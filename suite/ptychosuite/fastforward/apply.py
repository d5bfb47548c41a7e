"""A solver that is carried ahead by an operator now and then.

:class:`FastForward` is itself a solver: loop, clock and stopping rules treat it as any other. After the
iterations that the schedule names, the operator proposes a state further on, and the solver starts again from
there. Where over the ``look_ahead`` iterations that follow the Poisson deviance falls at a fair share of the
pace that it had, the jump stands. Otherwise the solver goes on alone as well, in the same random order, and
the better of the two stands. Its iterations are handed out, one a step. So a jump that is rejected leaves the
run as it would have been without it, and all that was tried is on the clock, at the first of the iterations
that it decided about. Not on it is what the process of another package has to be told and copied for.

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
from ptychosuite.fastforward.pull import refitted_probe
from ptychosuite.metrics.misfit import poisson_deviance
from ptychosuite.solvers.solver import Solver
from ptychosuite.solvers.waiting import WAITING

STEPS = (1.0, 0.5)  # shares of the proposed change that are tried, in this order
PACE_OVER = 5  # iterations over which the pace of the solver alone is measured,
PACE = 0.3  # and the share of it that the run has to keep, for the solver alone to be left out
LONGEST_REASON = 200

Field = Complex[Array, "h w"]
Advance = Callable[[Problem, Snapshot, Snapshot | None], tuple[Complex[Array, "H W"], Complex[Array, "m m"]]]


@dataclass(frozen=True)
class FastForwardState:
    """The solver's state, and what the next jumps need to know."""

    inner: Any  # the solver's own state
    iteration: int = 0
    data_passes: int = 0  # over all the diffraction data so far, with those for what was tried
    past: tuple[Snapshot, ...] = ()  # earlier states that the next jump asks for
    ahead: tuple[Any, ...] = ()  # states of iterations that are computed already
    passes_beside: int = 0  # over the data, for what was tried
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
class Branch:
    """Consecutive states of the solver, one an iteration."""

    states: tuple[Any, ...]
    passes: int  # over the data, with those for restart and deviances
    deviance: float  # of the last of them


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

    def data_passes(self, state: FastForwardState, iterations: int) -> int:
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
        if not {state.iteration + memory, state.iteration + PACE_OVER} & set(jumps):
            return state
        needed = tuple(shot for shot in state.past if shot.iteration + memory > state.iteration)
        return replace(state, past=(*needed, Snapshot(state.object, state.probe, state.iteration)))

    def _jump(self, problem: Problem, state: FastForwardState, rng: np.random.Generator) -> FastForwardState:
        """Apply the operator and take one iteration of what goes on."""
        begin = self._now()
        try:
            proposal = self._proposal(problem, state)
        except numerical_errors() as error:
            jump = Jump(state.iteration, seconds_inference=self._now() - begin, reason=_reason(error))
            inner = self.solver.step(problem, state.inner, rng)
            return replace(state, inner=inner, jumps=(*state.jumps, jump))
        inferred = self._now()
        jump = Jump(state.iteration, seconds_inference=inferred - begin)
        take = self._safeguarded if self.schedule.safeguard else self._unguarded
        after, jump = take(problem, state, proposal, jump, rng)
        jump = replace(jump, seconds_look_ahead=self._now() - inferred)
        past = after.past if jump.step == 0 else ()
        return replace(after, past=past, jumps=(*state.jumps, jump))

    def _proposal(self, problem: Problem, state: FastForwardState) -> Snapshot:
        """What the operator proposes.

        Raises
        ------
        CannotAdvance
            State or proposal is not finite.
        TypeError
            The proposal is not of the state's library, shape and precision.
        """
        _refuse_infinite("state", state.object, state.probe)  # no operator is to answer for such a state
        # copies: an operator that writes into what it is shown must not spoil the run it is judged against
        now = Snapshot(copy(state.object), copy(state.probe), state.iteration)
        obj, probe = self.advance(problem, now, state.shot(self.schedule.memory))
        _refuse_unlike("object", obj, state.object)
        _refuse_unlike("probe", probe, state.probe)
        _refuse_infinite("proposal", obj, probe)
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
        beside = state.passes_beside + passes - self._passes_between(state, first, 0)
        after = replace(state, inner=self.solver.step(problem, first, rng), passes_beside=beside)
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
        before = _deviance(problem, state, state)
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
                plain = self._branch(problem, state, self.solver.copied(state.inner), rng)
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
        counted = self._passes_between(state, stands.states[-1], self.schedule.look_ahead)
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
            inserted = _deviance(problem, first, first)
            branch = self._branch(problem, state, first, rng)
        except numerical_errors() as error:
            return None, replace(jump, reason=_reason(error))
        jump = replace(jump, deviance_inserted=inserted, deviance_jumped=branch.deviance)
        return replace(branch, passes=branch.passes + passes + 1), jump

    def _supposed(self, problem: Problem, state: FastForwardState, now: float) -> tuple[float, int]:
        """Deviance ``look_ahead`` iterations after ``now`` below which a jump stands unopposed, 0 for never;
        and the passes over the data that it took to know."""
        shot = state.shot(PACE_OVER)
        if shot is None:
            return 0.0, 0
        then = _deviance(problem, shot, state)
        share = min(now / then, 1.0) if then > 0 else 0.0
        return now * share ** (PACE * self.schedule.look_ahead / PACE_OVER), 1

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
            for _ in range(self.schedule.refits):
                probe = refitted_probe(problem, obj, probe)
            passes = self.schedule.refits
        first, taken = self.solver.carried(problem, state.inner, obj, probe)
        return first, passes + taken

    def _branch(
        self, problem: Problem, state: FastForwardState, first: Any, rng: np.random.Generator
    ) -> Branch:
        """The iterations of the look-ahead from ``first``, which stands in the place of ``state``."""
        states = [first]
        for _ in range(self.schedule.look_ahead):
            states.append(_read(self.solver.step(problem, states[-1], rng)))
        last = states[-1]
        deviance = _deviance(problem, last, last)
        passes = self.solver.data_passes(last, state.iteration + self.schedule.look_ahead)
        passes -= self.solver.data_passes(first, state.iteration)
        return Branch(tuple(states[1:]), passes + 1, deviance)

    def _passes_between(self, state: FastForwardState, later: Any, iterations: int) -> int:
        """What the solver counts from ``state`` to its own state ``later``, so many iterations on."""
        then = self.solver.data_passes(later, state.iteration + iterations)
        return then - self.solver.data_passes(state.inner, state.iteration)

    def _now(self) -> float:
        self.backend.synchronise()
        return time.perf_counter() - WAITING.seconds


def _read(state: Any) -> Any:
    """``state``, with what will be asked of it: another package holds that until its next step alone."""
    _ = state.object, state.probe, Found.by(state)
    return state


def _deviance(problem: Problem, image: Any, state: Any) -> float:
    """Of the object and probe of ``image``, at the positions that ``state`` has found."""
    return poisson_deviance(Found.by(state).applied_to(problem), image.object, image.probe)


def _differ(a: Field, b: Field) -> bool:
    return bool(namespace(a).any(a != b))


def _between(now: Field, proposed: Field, step: float) -> Field:
    return proposed if step == 1 else now + step * (proposed - now)


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


def _reason(error: Exception) -> str:
    first_line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line}"[:LONGEST_REASON]
