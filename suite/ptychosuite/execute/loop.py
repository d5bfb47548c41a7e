"""The reconstruction loop: step, clock, measure, stop. One for all solvers.

The rules that stop a run are outside the solvers: they know of no tolerance and no clock.
Only ``step`` is on the clock, with the device synchronised at both ends; metrics are computed off it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from ptychosuite.backends.arrays import Backend, copy, to_numpy
from ptychosuite.core.problem import Found, Problem
from ptychosuite.core.runs import RunRecord, Status
from ptychosuite.execute.interruption import check_interruption
from ptychosuite.metrics.evaluation import Evaluation, ProblemConstants
from ptychosuite.metrics.metric import metrics_of_run
from ptychosuite.physics.forward import first_mode
from ptychosuite.solvers.solver import Solver, State
from ptychosuite.solvers.stack import RunStack, joined, merged, taken

WARM_UP_ITERATIONS = 2  # compilation and first allocations: left out of the time per iteration


@dataclass
class Curves:
    """One value an iteration and quantity; NaN where the metrics were not computed."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def append(self, **figures: float) -> None:
        length = max((len(v) for v in self.values.values()), default=0)
        for name, value in figures.items():
            self.values.setdefault(name, [float("nan")] * length).append(value)
        for column in self.values.values():
            column.extend([float("nan")] * (length + 1 - len(column)))

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(values) for name, values in self.values.items()}


@dataclass(frozen=True)
class Outcome:
    """What the loop hands back."""

    status: Status
    message: str
    state: State
    metrics: Mapping[str, float]
    curves: Mapping[str, np.ndarray]
    snapshots: Mapping[int, tuple[np.ndarray, np.ndarray]]  # iteration -> object and probe, on the host


class Track:
    """What is kept of one run while it goes on: curves, latest figures, and whether it has ended."""

    def __init__(
        self,
        problem: Problem,
        solver: Solver,
        stop: Mapping[str, Any],
        start: State,
        keep: Collection[int] = (),
        extra: Sequence[str] = (),
    ) -> None:
        self.solver, self.stop, self.constants = solver, stop, ProblemConstants(problem)
        self.metrics = [
            metric for metric in metrics_of_run(extra, problem, solver=solver) if metric.on_the_way
        ]
        self.first = self.latest = self.measure(start)
        self.curves = Curves()
        self.curves.append(seconds=0.0, data_passes=solver.data_passes(start, 0), **self.latest)
        self.iterations_to_tol = float("nan")
        self.iteration = 0
        self.keep = keep
        self.snapshots: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.ended: tuple[Status, str] | None = None

    def follow(self, state: State, seconds: float) -> bool:
        """Take in the state after one more iteration; whether the run has ended with it."""
        if self.iteration + 1 in self.keep:
            self.snapshots[self.iteration + 1] = to_numpy(state.object), to_numpy(first_mode(state.probe))
        data_passes = self.solver.data_passes(state, self.iteration + 1)
        return self._take(seconds, data_passes, lambda: self.measure(state))

    def go_on(self, earlier: RunRecord) -> tuple[float, bool]:
        """Take in a stored run of the same solver and problem, iteration by iteration, as it was measured.

        Returns
        -------
        Its seconds, and whether the run has ended with it.
        """
        curves, ended = earlier.curves, False
        for iteration in range(1, len(curves["seconds"])):
            figures = {metric.name: float(curves[metric.name][iteration]) for metric in self.metrics}
            seconds, data_passes = (float(curves[name][iteration]) for name in ("seconds", "data_passes"))
            ended = self._take(seconds, data_passes, partial(dict, figures))
        self.snapshots.update(
            {each: earlier.snapshots[each] for each in self.keep if each in earlier.snapshots}
        )
        return float(curves["seconds"][-1]), ended

    def _take(self, seconds: float, data_passes: float, measured: Callable[[], dict[str, float]]) -> bool:
        """Take in one more iteration, its figures where they are asked for; whether the run has ended."""
        self.iteration += 1
        clock = {"seconds": seconds, "data_passes": data_passes}
        if not is_measured(self.stop, self.iteration, seconds):
            self.curves.append(**clock)
            return False
        self.latest = measured()
        self.curves.append(**clock, **self.latest)
        if np.isnan(self.iterations_to_tol) and met_tolerances(self.stop, self.latest):
            self.iterations_to_tol = float(self.iteration)
        dark = self.constants.data.dark_residual
        self.ended = verdict(self.stop, self.iteration, seconds, self.latest, dark)
        return self.ended is not None

    def measure(self, state: State) -> dict[str, float]:
        """All figures of a state that are taken on the way."""
        evaluation = Evaluation(self.constants, state.object, state.probe, found=Found.by(state))
        return {metric.name: float(metric.value(evaluation)) for metric in self.metrics}

    def outcome(self, state: State) -> Outcome:
        """What came of it, once it has ended."""
        assert self.ended is not None
        status, message = self.ended
        worse = risen(self.first, self.latest, self.constants.data.dark_residual)
        if worse and status is Status.COMPLETED:
            message += f"; ends above its start: {', '.join(worse)}"
        seconds = self.curves.values["seconds"]
        metrics = {
            **self.latest,
            "iterations": float(self.iteration),
            "data_passes": float(self.solver.data_passes(state, self.iteration)),
            "seconds": seconds[-1],
            "seconds_per_iteration": _typical_step(seconds),
            "above_start": float(bool(worse)),
        }
        if self.stop["gradient"] is not None or self.stop["residual"] is not None:
            metrics["iterations_to_tol"] = self.iterations_to_tol
        return Outcome(status, message, state, metrics, self.curves.arrays(), self.snapshots)


def reconstruct(
    problem: Problem,
    solver: Solver,
    stop: Mapping[str, Any],
    rng: np.random.Generator,
    backend: Backend,
    keep: Collection[int] = (),
    extra: Sequence[str] = (),
    begun: tuple[RunRecord, State] | None = None,
) -> Outcome:
    """Run ``solver`` on ``problem`` until a rule of ``stop`` ends it.

    Curves have one entry an iteration, the starting point first; ``seconds`` is cumulative solver time.
    Object and probe after the iterations ``keep`` are kept. ``extra`` names metrics beyond the default ones.
    ``begun`` is a stored run that this one goes on from, and the state in which it has ended.
    """
    state = solver.init(problem)
    track = Track(problem, solver, stop, state, keep, extra)
    seconds, ended = 0.0, False
    if begun is not None:
        earlier, state = begun
        seconds, ended = track.go_on(earlier)
    while not ended:
        backend.synchronise()
        begin = time.perf_counter()
        state = solver.step(problem, state, rng)
        backend.synchronise()
        seconds += solver.step_seconds(state, time.perf_counter() - begin)
        check_interruption()
        ended = track.follow(state, seconds)
    return track.outcome(state)


def reconstruct_stack(
    problems: Sequence[Problem],
    solvers: Sequence[Any],
    stops: Sequence[Mapping[str, Any]],
    rngs: Sequence[np.random.Generator],
    backend: Backend,
    extras: Sequence[Sequence[str]] = (),
) -> list[Outcome]:
    """As :func:`reconstruct`, for runs that are advanced side by side (:mod:`ptychosuite.solvers.stack`).

    Each run has its own rules and leaves when one of them ends it. ``seconds`` is the time that the whole
    stack took meanwhile: it is no measure of one run.
    """
    state = joined([solver.init(problem) for solver, problem in zip(solvers, problems, strict=True)])
    extras = extras or [()] * len(problems)
    each_run = zip(problems, solvers, stops, extras, strict=True)
    # The probes are copies by now: a known one is not laid on all patterns for this measurement, and kept.
    tracks = [
        Track(problem, solver, stop, taken(state, r), extra=extra)
        for r, (problem, solver, stop, extra) in enumerate(each_run)
    ]
    outcomes: dict[int, Outcome] = {}
    active = list(range(len(tracks)))
    stack, seconds = RunStack.of(problems), 0.0
    while active:
        solver = merged([solvers[r] for r in active], like=problems[0].probe)
        ended: list[int] = []
        while not ended:
            backend.synchronise()
            begin = time.perf_counter()
            state = solver.step_stack(stack, state, [rngs[r] for r in active])
            backend.synchronise()
            seconds += time.perf_counter() - begin
            check_interruption()
            for place, r in enumerate(active):
                own = taken(state, place)
                if tracks[r].follow(own, seconds):
                    ended.append(place)
                    outcomes[r] = tracks[r].outcome(
                        replace(own, object=copy(own.object), probe=copy(own.probe))
                    )
        stay = [place for place in range(len(active)) if place not in ended]
        active, stack = [active[place] for place in stay], stack.part(stay)
        state = taken(state, stay)
    return [outcomes[r] for r in range(len(tracks))]


def _typical_step(cumulative_seconds: list[float]) -> float:
    """Median time of an iteration, the first ones left out where there are others."""
    steps = np.diff(cumulative_seconds)
    return float(np.median(steps[WARM_UP_ITERATIONS:] if len(steps) > WARM_UP_ITERATIONS else steps))


DIVERGENCE_FACTOR = 100.0  # a residual this much above that of an empty object will not come back


FIRST_MEASURED = (1, 2, 5, 10)
MEASURED_EVERY = 25


def is_measured(stop: Mapping[str, Any], iteration: int, seconds: float) -> bool:
    """Whether metrics are computed, and the rules checked, after this iteration."""
    if iteration >= stop["iterations"] or (stop["seconds"] is not None and seconds >= stop["seconds"]):
        return True
    if stop["check_every"] is not None:
        return iteration % stop["check_every"] == 0
    if stop["gradient"] is not None or stop["residual"] is not None:
        return True
    return iteration in FIRST_MEASURED or iteration % MEASURED_EVERY == 0


def met_tolerances(stop: Mapping[str, Any], metrics: Mapping[str, float]) -> list[str]:
    """Names of the tolerances of ``stop`` that ``metrics`` meet; each alone is enough."""
    pairs = {"gradient": "gradient_norm", "residual": "residual"}
    return [rule for rule, metric in pairs.items() if stop[rule] is not None and metrics[metric] < stop[rule]]


def has_diverged(metrics: Mapping[str, float], dark_residual: float) -> bool:
    """Whether the residual is no longer a number, or far above that of an object of zeros."""
    residual = metrics["residual"]
    return not math.isfinite(residual) or residual > DIVERGENCE_FACTOR * dark_residual


RISEN = 1.01  # what a sweep in random order moves a run that has long converged by, and no more
ROUNDING = 1e-6  # of an object of zeros' residual: less is the rounding of single precision


def risen(first: Mapping[str, float], last: Mapping[str, float], dark_residual: float) -> list[str]:
    """The figures by which a state explains the data worse than the one that the run began from, in words."""
    if last["residual"] < ROUNDING * dark_residual:
        return []
    return [
        f"{word} {last[name]:.3g} of {first[name]:.3g}"
        for name, word in (("residual", "residual"), ("poisson_deviance", "deviance"))
        if last[name] > RISEN * first[name]
    ]


def verdict(
    stop: Mapping[str, Any],
    iteration: int,
    seconds: float,
    metrics: Mapping[str, float],
    dark_residual: float,
) -> tuple[Status, str] | None:
    """How the run ends after this iteration, and why; None where it goes on."""
    if has_diverged(metrics, dark_residual):
        message = f"residual {metrics['residual']:.3g}; an object of zeros has {dark_residual:.3g}"
        return Status.DIVERGED, message
    tolerances = met_tolerances(stop, metrics)
    if tolerances and not stop["continue_past_tolerance"]:
        return Status.COMPLETED, f"tolerance on {tolerances[0]} met"
    if iteration >= stop["iterations"]:
        return Status.COMPLETED, "all iterations done"
    if stop["seconds"] is not None and seconds >= stop["seconds"]:
        return Status.COMPLETED, "time is up"
    return None
