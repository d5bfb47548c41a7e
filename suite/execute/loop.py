"""The reconstruction loop: step, clock, measure, stop. One for all solvers.

Only ``step`` is on the clock, with the device synchronised at both ends; metrics are computed off it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from suite.core.arrays import Backend, to_numpy
from suite.core.problem import Problem
from suite.core.run import Status
from suite.execute.stopping import is_measured, met_tolerances, verdict
from suite.metrics.image import ImageMetrics
from suite.metrics.misfit import DataConstants, misfit_metrics
from suite.solvers.protocol import Solver, State

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


class Metrics:
    """All figures of a state; holds what depends on the problem alone."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.constants = DataConstants.of(problem)
        known = problem.probe_known
        self.image = None if problem.reference is None else ImageMetrics(problem.reference, known)

    def __call__(self, state: State) -> dict[str, float]:
        figures = misfit_metrics(self.problem, state.object, state.probe, self.constants)
        if self.image is not None:
            figures |= self.image(to_numpy(state.object))
        return figures


def reconstruct(
    problem: Problem, solver: Solver, stop: Mapping[str, Any], rng: np.random.Generator, backend: Backend
) -> Outcome:
    """Run ``solver`` on ``problem`` until a rule of ``stop`` ends it.

    Curves have one entry an iteration, the starting point first; ``seconds`` is cumulative solver time.
    """
    measure = Metrics(problem)
    state = solver.init(problem)
    latest = measure(state)
    curves = Curves()
    curves.append(seconds=0.0, data_passes=state.data_passes, **latest)
    iterations_to_tol = float("nan")
    iteration, seconds = 0, 0.0
    while True:
        backend.synchronise()
        begin = time.perf_counter()
        state = solver.step(problem, state, rng)
        backend.synchronise()
        seconds += time.perf_counter() - begin
        iteration += 1
        clock = {"seconds": seconds, "data_passes": state.data_passes}
        if not is_measured(stop, iteration, seconds):
            curves.append(**clock)
            continue
        latest = measure(state)
        curves.append(**clock, **latest)
        if np.isnan(iterations_to_tol) and met_tolerances(stop, latest):
            iterations_to_tol = float(iteration)
        ended = verdict(stop, iteration, seconds, latest, measure.constants.dark_residual)
        if ended:
            status, message = ended
            break
    metrics = {
        **latest,
        "iterations": float(iteration),
        "data_passes": float(state.data_passes),
        "seconds": seconds,
        "seconds_per_iteration": _typical_step(curves.values["seconds"]),
    }
    if stop["gradient"] is not None or stop["residual"] is not None:
        metrics["iterations_to_tol"] = iterations_to_tol
    return Outcome(status, message, state, metrics, curves.arrays())


def _typical_step(cumulative_seconds: list[float]) -> float:
    """Median time of an iteration, the first ones left out where there are others."""
    steps = np.diff(cumulative_seconds)
    return float(np.median(steps[WARM_UP_ITERATIONS:] if len(steps) > WARM_UP_ITERATIONS else steps))
