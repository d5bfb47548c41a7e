"""When a run ends. Outside the solvers: they know of no tolerance and no clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ptychosuite.core.runs import Status

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
