"""When a run ends. Outside the solvers: they know of no tolerance and no clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from suite.core.run import Status

DIVERGENCE_FACTOR = 1e4  # a residual this much above the starting one will not come back


def met_tolerances(stop: Mapping[str, Any], metrics: Mapping[str, float]) -> list[str]:
    """Names of the tolerances of ``stop`` that ``metrics`` meet; each alone is enough."""
    pairs = {"gradient": "gradient_norm", "residual": "residual"}
    return [rule for rule, metric in pairs.items() if stop[rule] is not None and metrics[metric] < stop[rule]]


def has_diverged(metrics: Mapping[str, float], first: Mapping[str, float]) -> bool:
    """Whether the residual is no longer a number, or has exploded."""
    residual = metrics["residual"]
    return not math.isfinite(residual) or residual > DIVERGENCE_FACTOR * first["residual"]


def verdict(
    stop: Mapping[str, Any],
    iteration: int,
    seconds: float,
    metrics: Mapping[str, float],
    first: Mapping[str, float],
) -> tuple[Status, str] | None:
    """How the run ends after this iteration, and why; None where it goes on."""
    if has_diverged(metrics, first):
        return (
            Status.DIVERGED,
            f"residual {metrics['residual']:.3g} from {first['residual']:.3g} at the start",
        )
    tolerances = met_tolerances(stop, metrics)
    if tolerances and not stop["continue_past_tolerance"]:
        return Status.COMPLETED, f"tolerance on {tolerances[0]} met"
    if iteration >= stop["iterations"]:
        return Status.COMPLETED, "all iterations done"
    if stop["seconds"] is not None and seconds >= stop["seconds"]:
        return Status.COMPLETED, "time is up"
    return None
