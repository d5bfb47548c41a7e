"""What is known of a fast-forwarded run at one iteration, and what it records of its jumps.

A solver that is carried ahead by an operator now and then.

:class:`FastForward` is itself a solver: loop, clock and stopping rules treat it as any other. After the
iterations that the schedule names, the operator proposes a state further on, and the solver starts again from
there. Where over the ``look_ahead`` iterations that follow the Poisson deviance falls at a fair share of the
pace that it had, the jump stands. Otherwise the solver goes on alone as well, in the same random order, and
the better of the two stands. Its iterations are handed out, one a step. So a jump that is rejected leaves the
run as it would have been without it, and all that was tried is on the clock, at the first of the iterations
that it decided about.

The safeguard is not in the work that proposed the operator.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ptychosuite.backends.arrays import Array, Backend, copy, namespace
from ptychosuite.core.problem import Problem
from ptychosuite.errors import UserError
from ptychosuite.fastforward.operator import Operator, Snapshot
from ptychosuite.fastforward.pull import refitted_probe
from ptychosuite.metrics.misfit import poisson_deviance
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.solver import Solver

UNKNOWN = float("nan")
RECORDED = ("step", "deviance_before", "deviance_inserted", "deviance_jumped", "deviance_plain")


@dataclass(frozen=True)
class Jump:
    """What came of one application of the operator. Deviances are NaN where they were not computed."""

    iteration: int  # after which it was applied
    step: float = 0.0  # share of the proposed change that was accepted; 0 where it was rejected
    seconds_inference: float = 0.0
    seconds_look_ahead: float = 0.0  # refits, restart, compared iterations and their deviances
    deviance_before: float = UNKNOWN
    deviance_inserted: float = UNKNOWN  # after the jump and the refits; of the last step that was tried
    deviance_jumped: float = UNKNOWN  # the same, after the look-ahead
    deviance_plain: float = UNKNOWN  # of the solver that went on alone, where it had to
    reason: str = ""  # why it was rejected


@dataclass(frozen=True)
class FastForwardState:
    """The solver's state, and what the next jumps need to know."""

    inner: Any  # the solver's own state
    iteration: int = 0
    past: tuple[Snapshot, ...] = ()  # earlier states that the next jump asks for
    ahead: tuple[Any, ...] = ()  # states of iterations that are computed already
    passes_beside: int = 0  # over the data, for what was tried
    jumps: tuple[Jump, ...] = ()

    def shot(self, ago: int) -> Snapshot | None:
        """The state so many iterations ago; None where it was not kept, or lies before the last jump."""
        return next((shot for shot in self.past if shot.iteration == self.iteration - ago), None)

    @property
    def object(self) -> Array:
        return self.inner.object

    @property
    def probe(self) -> Array:
        return self.inner.probe


def jump_metrics(state: Any) -> dict[str, float]:
    """Figures of the jumps on the way to ``state``, by name; empty without a fast-forward."""
    if not isinstance(state, FastForwardState):
        return {}
    metrics = {
        "ff_jumps": float(len(state.jumps)),
        "ff_rejected": float(sum(jump.step == 0 for jump in state.jumps)),
        "ff_seconds_inference": sum(jump.seconds_inference for jump in state.jumps),
        "ff_seconds_look_ahead": sum(jump.seconds_look_ahead for jump in state.jumps),
    }
    for number, jump in enumerate(state.jumps, start=1):
        metrics |= {f"ff_{name}_{number}": getattr(jump, name) for name in RECORDED}
    return metrics


def rejections(state: Any) -> str:
    """What a message says of jumps that were rejected; empty where there are none."""
    if not isinstance(state, FastForwardState):
        return ""
    texts = [
        f"; jump after {jump.iteration} rejected: {jump.reason}" for jump in state.jumps if jump.step == 0
    ]
    return "".join(texts)


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
class FastForward(Solver):
    """``solver``, carried ahead by ``operator`` (a :class:`ptychosuite.core.schedule.Schedule`)."""

    solver: Solver
    operator: Operator
    backend: Backend

    def data_passes(self, state: FastForwardState, iterations: int) -> int:
        return self.solver.data_passes(state.inner, iterations) + state.passes_beside

    def init(self, problem: Problem) -> FastForwardState:
        return self._with_memory(FastForwardState(self.solver.init(problem)))

    def step(self, problem: Problem, state: FastForwardState, rng: np.random.Generator) -> FastForwardState:
        if state.ahead:
            after = replace(state, inner=state.ahead[0], ahead=state.ahead[1:])
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
                plain = self._branch(problem, state.inner, state.iteration, rng)
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
        counted = self.solver.data_passes(stands.states[-1], state.iteration + self.operator.look_ahead)
        counted -= self.solver.data_passes(state.inner, state.iteration)
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
            branch = self._branch(problem, first, state.iteration, rng)
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
        return self.solver.resumed(first, state.inner), self.solver.data_passes(first, 0)

    def _branch(self, problem: Problem, inner: Any, iteration: int, rng: np.random.Generator) -> Branch:
        """The iterations that follow ``inner``, which is the state after ``iteration`` of them."""
        states = [inner]
        for _ in range(self.operator.look_ahead):
            states.append(self.solver.step(problem, states[-1], rng))
        last = states[-1]
        deviance = poisson_deviance(problem, last.object, last.probe)
        passes = self.solver.data_passes(last, iteration + self.operator.look_ahead)
        passes -= self.solver.data_passes(inner, iteration)
        return Branch(tuple(states[1:]), passes + 1, deviance)

    def _now(self) -> float:
        self.backend.synchronise()
        return time.perf_counter()


def with_fast_forward(
    solver: Solver, settings: Mapping[str, Any] | None, problem: Problem, backend: Backend
) -> Solver:
    """``solver`` with the fast-forward of ``settings``; the solver itself where there is none (None).

    The operator is applied once to the start of ``problem``, so that what they load is there before
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
