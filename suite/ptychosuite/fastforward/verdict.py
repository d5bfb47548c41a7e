"""What a jump is judged by: on which patterns, how fast the solver was, and which of two branches is better.

All branches begin at the same state and take the patterns in the same random order. Where a scan is long they
are compared in its middle alone: :class:`Court` is the solver's problem and state there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Complex, Float, Int

from ptychosuite.backends.arrays import Array, modulus, namespace, numerical_errors
from ptychosuite.core.jumps import Jump, Schedule, Snapshot, judged_patterns
from ptychosuite.core.problem import Found, Problem
from ptychosuite.errors import CannotAdvance
from ptychosuite.fastforward.pull import refitted_probe
from ptychosuite.metrics.misfit import pattern_deviances
from ptychosuite.metrics.noise_limit import expected_deviance
from ptychosuite.solvers.solver import Solver

STEPS = (1.0, 0.5)  # shares of the proposed change that are tried, in this order
LONGEST_REASON = 200
PACE_OVER = 5  # iterations over which the pace of the solver alone is told
PACED = (10, 8, 6, 4, 2)  # iterations ago from which it is measured in the middle of a long scan
PACE = 1.0  # the share of it that the run has to keep, for the solver alone to be left out
LEAST_FALL = 0.05  # of the deviance in PACE_OVER iterations: with less there is nothing to carry ahead
SURE = 2.0  # standard errors by which a gain has to be one
FURTHEST = 2.0  # times the norm of object or probe that a change may have: as much turns every phase round
MISMATCH = 1.5  # times what noise would leave: a deviance that stays above is not one of noise
SPREAD = 2.0  # times what a jump may do worse to the deviance outside of the middle

Field = Complex[Array, "h w"]


@dataclass(frozen=True)
class Court:
    """Where branches are compared: on all patterns, or on those in the middle of a long scan."""

    solver: Solver
    problem: Problem  # for the solver
    state: Any  # of the solver, there
    which: Int[np.ndarray, " n"] | None = None  # numbers of its patterns; None: all
    share: float = 1.0  # of a pass over all the data that a pass over these is
    passes: float = 0.0  # over all the data, that it took to come here

    @classmethod
    def of(cls, solver: Solver, problem: Problem, state: Any, judged_on: int | None) -> Court:
        """The middle where the scan is long and ``solver`` can go on there; else all patterns."""
        whole, few = cls(solver, problem, state), judged_patterns(judged_on, problem.n_positions)
        if few == problem.n_positions:
            return whole
        seen = Found.by(state).applied_to(problem)
        which = middle_of(seen.positions_px, few)
        part = seen.part(which)
        if (narrowed := solver.narrowed(part, state)) is None:
            return whole
        share = few / problem.n_positions
        return cls(solver.in_part(share), part, narrowed[0], which, share, share * narrowed[1])

    @property
    def where(self) -> str:
        return "" if self.which is None else f" on {len(self.which)} patterns"

    def deviances(self, image: Any, state: Any) -> Float[np.ndarray, " n"]:
        """Pattern by pattern, of the object and probe of ``image``, where ``state`` has them."""
        return pattern_deviances(Found.by(state).applied_to(self.problem), image.object, image.probe)

    def deviance(self, image: Any, state: Any) -> float:
        return float(self.deviances(image, state).mean())

    def expected_deviance(self, state: Any) -> float:
        """What noise alone would leave, were the model of ``state`` true."""
        seen = Found.by(state).applied_to(self.problem)
        return expected_deviance(seen, state.object, state.probe)


def middle_of(positions_px: Float[np.ndarray, "N 2"], n: int) -> Int[np.ndarray, " n"]:
    """Numbers of the ``n`` positions nearest to the middle of the scan, in their order in the scan."""
    middle = (positions_px.min(axis=0) + positions_px.max(axis=0)) / 2
    distance = ((positions_px - middle) ** 2).sum(axis=1)
    return np.sort(np.argsort(distance, kind="stable")[:n])


@dataclass(frozen=True)
class Pace:
    """How fast the deviance of the solver alone has fallen."""

    deviance: float  # now
    fall: float | None = None  # share by which it fell in PACE_OVER iterations; None where that is not known
    error: float = 0.0  # standard error of that share
    passes: int = 1  # over the patterns of the court

    @property
    def is_flat(self) -> bool:
        """Whether it has not fallen by what is worth carrying ahead, beyond the error of that."""
        return self.fall is not None and not self.fall - self.error >= LEAST_FALL

    def supposed(self, look_ahead: int) -> float:
        """Deviance ``look_ahead`` iterations from now below which a jump stands unopposed; 0 for never."""
        if self.fall is None:
            return 0.0
        return self.deviance * min(1 - self.fall, 1.0) ** (PACE * look_ahead / PACE_OVER)


def pace_of(court: Court, now: int, past: Sequence[Snapshot]) -> Pace:
    """The pace at iteration ``now``, from the states ``past`` that were kept.

    In the middle of a long scan, where a deviance costs little, it is that of a line through the logarithms
    of those of the last ten iterations: in random order a solver at its plateau goes up and down by more than
    it falls. On all patterns it is told from the state PACE_OVER iterations ago and the present one.
    """
    asked = (PACE_OVER,) if court.which is None else PACED
    kept = {shot.iteration: shot for shot in past if now - shot.iteration in asked}
    deviance = court.deviance(court.state, court.state)
    if len(kept) < len(asked) / 2:
        return Pace(deviance)
    values = [*(court.deviance(shot, court.state) for shot in kept.values()), deviance]
    if not all(math.isfinite(value) and value > 0 for value in values):
        return Pace(deviance, passes=len(values))
    slope, error = _line(np.array([*kept, now], np.float64), np.log(values))
    return Pace(deviance, 1 - math.exp(PACE_OVER * slope), PACE_OVER * error, len(values))


def _line(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Slope of the least-squares line through ``y`` over ``x``, and its standard error; 0 of two points."""
    x = x - x.mean()
    slope = (x @ y) / (x @ x)
    left = y - y.mean() - slope * x
    return float(slope), math.sqrt(left @ left / max(len(x) - 2, 1) / (x @ x)) if len(x) > 2 else 0.0


def why_flat(court: Court, pace: Pace, noise: float) -> tuple[str, int]:
    """Why the operator is not asked, in words, and the passes over the court's patterns that it took to say.

    It says as well where it is the model that does not explain the data; of noiseless data it cannot.
    """
    assert pace.fall is not None
    change = f"{'fell' if pace.fall >= 0 else 'rose'} by {100 * abs(pace.fall):.1f}"
    error = f" ± {100 * pace.error:.1f}" if pace.error else ""
    reason = f"deviance {change}{error} % in five iterations: nothing to carry ahead"
    if not noise:
        return reason, 0
    expected = court.expected_deviance(court.state)
    if pace.deviance > MISMATCH * expected:
        reason += f"; model mismatch: it is {pace.deviance:.3g}, and noise would leave {expected:.2g}"
    return reason, 1


@dataclass(frozen=True)
class Branch:
    """Consecutive states of the solver, one an iteration."""

    states: tuple[Any, ...]
    deviances: Float[np.ndarray, " n"]  # of the last of them, pattern by pattern

    @property
    def deviance(self) -> float:
        return float(self.deviances.mean())


def gain_of(jumped: Branch, plain: Branch) -> tuple[float, float]:
    """By how much the deviance of ``jumped`` is lower, and the standard error of that.

    The error is of the mean over patterns, each compared with itself: what differs from pattern to pattern
    for both does not count.
    """
    gains = plain.deviances - jumped.deviances
    n = len(gains)
    return float(gains.mean()), float(gains.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0


@dataclass(frozen=True)
class Trial:
    """A proposal at a court: the branches of its solver with it and without."""

    schedule: Schedule
    court: Court
    pace: Pace
    proposal: Snapshot

    def held(self, jump: Jump, rng: np.random.Generator) -> tuple[Branch | None, int | float, Jump]:
        """The branch that stands, the passes over the court's patterns, and ``jump`` with the verdict.

        It is the first step that is surely better than the solver alone after ``look_ahead`` iterations, or
        that one; None where it was not asked, because no step came so far. All branches have the same scan
        orders; ``rng`` goes on after them.
        """
        supposed = self.pace.supposed(self.schedule.look_ahead) if self.court.which is None else 0.0
        at_start = Snapshot(self.court.problem.start_object, self.court.problem.probe, 0)
        worst = max(self.court.deviance(at_start, self.court.state), self.pace.deviance)
        start, plain, passes = deepcopy(rng), None, 1.0
        for step in STEPS:
            order = deepcopy(start)
            branch, taken, jump = self._attempt(step, worst, jump, order)
            passes += taken
            if branch is None:
                continue
            if plain is None and branch.deviance < supposed:
                rng.bit_generator.state = order.bit_generator.state
                return branch, passes, replace(jump, step=step, reason="")
            if plain is None:
                plain, taken = self._branch(self.court.solver.copied(self.court.state), jump.iteration, rng)
                passes += taken
                jump = replace(jump, deviance_plain=plain.deviance)
            gain, error = gain_of(branch, plain)
            if gain > SURE * error:
                return branch, passes, replace(jump, step=step, reason="")
            found = f"deviance {branch.deviance:.4g}, without it {plain.deviance:.4g}{self.court.where}"
            doubt = f": in doubt, give or take {SURE * error:.2g}" if gain > 0 else ""
            jump = replace(jump, reason=found + doubt)
        return plain, passes, jump

    def _attempt(
        self, step: float, worst: float, jump: Jump, rng: np.random.Generator
    ) -> tuple[Branch | None, int | float, Jump]:
        """The branch from a share ``step`` of the proposed change, its passes, and what ``jump`` tells of it.

        None where it begins out of range, or where the solver stumbles, as it may well over a state that no
        solver would reach.
        """
        court, refits, passes = self.court, self.schedule.refits, 0.0
        try:
            first, passes = restarted(court.solver, refits, court.problem, court.state, self.proposal, step)
            inserted, passes = court.deviance(first, first), passes + 1
            jump = replace(jump, deviance_inserted=inserted)
            if not inserted <= worst:
                found = f"deviance {inserted:.4g} right after the jump{court.where}"
                raise CannotAdvance(f"out of range: {found}, at the start of the run {worst:.4g}")
            branch, taken = self._branch(first, jump.iteration, rng)
        except numerical_errors() as error:
            return None, passes, replace(jump, reason=reason_of(error))
        return branch, passes + taken, replace(jump, deviance_jumped=branch.deviance)

    def _branch(self, first: Any, iteration: int, rng: np.random.Generator) -> tuple[Branch, int | float]:
        """The look-ahead from ``first``, which stands in the place of the court's state; and its passes."""
        states = [first]
        for _ in range(self.schedule.look_ahead):
            states.append(_read(self.court.solver.step(self.court.problem, states[-1], rng)))
        last = states[-1]
        passes = self.court.solver.data_passes(last, iteration + self.schedule.look_ahead)
        passes -= self.court.solver.data_passes(first, iteration)
        return Branch(tuple(states[1:]), self.court.deviances(last, last)), passes + 1


def restarted(
    solver: Solver, refits: int, problem: Problem, state: Any, proposal: Snapshot, step: float
) -> tuple[Any, int | float]:
    """The solver's first state at a share ``step`` of the proposed change, and the passes that it took.

    The probe moves only where the solver has moved it.
    """
    obj, probe = _between(state.object, proposal.object, step), state.probe
    passes = 0
    if bool(namespace(probe).any(probe != problem.probe)):
        probe = _between(probe, proposal.probe, step)
        seen = Found.by(state).applied_to(problem)
        for _ in range(refits):
            probe = refitted_probe(seen, obj, probe)
        passes = refits
    first, taken = solver.carried(problem, state, obj, probe)
    return first, passes + taken


def is_alike_elsewhere(
    court: Court, before: Float[np.ndarray, " N"], inserted: Float[np.ndarray, " N"]
) -> bool:
    """Whether a jump did to the patterns outside of ``court`` about what it did to those in it.

    ``before`` and ``inserted`` are the deviances of all patterns. What makes them worse outside only is not
    seen from the middle.
    """
    outside = np.ones(len(before), bool)
    outside[court.which] = False
    here, there = (inserted[each].mean() / before[each].mean() for each in (~outside, outside))
    return bool(there <= max(1.0, SPREAD * here))


def refuse_far(obj: Complex[Array, "H W"], probe: Complex[Array, "m m"], state: Any) -> None:
    """Refuse a proposal that changes object or probe of ``state`` by more than any phase could.

    Raises
    ------
    CannotAdvance
        With the norms.
    """
    for name, proposed, now in (("object", obj, state.object), ("probe", probe, state.probe)):
        change, size = _norm(proposed - now), _norm(now)
        if not change <= FURTHEST * size:
            raise CannotAdvance(
                f"the proposal is out of range: it changes the {name}, of norm {size:.3g}, by {change:.3g}"
            )


def _read(state: Any) -> Any:
    """``state``, with what will be asked of it: another package holds that until its next step alone."""
    _ = state.object, state.probe, Found.by(state)
    return state


def _between(now: Field, proposed: Field, step: float) -> Field:
    return proposed if step == 1 else now + step * (proposed - now)


def reason_of(error: Exception) -> str:
    """What a record keeps of an error, in one line."""
    first_line = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line}"[:LONGEST_REASON]


def _norm(field: Field) -> float:
    xp = namespace(field)
    return math.sqrt(float(xp.sum(modulus(field) ** 2, dtype=xp.float64)))
