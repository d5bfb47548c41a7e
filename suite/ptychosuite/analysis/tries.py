"""Which of a solver's tries is best, by its ranks on problems: no problem's scale outweighs another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptychosuite.core.plan import Tuned
from ptychosuite.core.runs import as_scalar
from ptychosuite.core.stages import solver_name
from ptychosuite.metrics.metric import Metric, metric_of
from ptychosuite.registry.factors import factor_names, value_in_words
from ptychosuite.registry.lookup import solver_label


@dataclass(frozen=True)
class Ranking:
    """How tries stand.

    Parameters
    ----------
    ranks : (tries,)
        1 is the best: the mean of the ranks on the problems.
    medians : (tries,)
        Of the metric over the problems on which a try completed; NaN where there is none, infinite where on
        half of them or more it has no value.
    completed : (tries,) int
        On how many problems.
    without : (tries,) int
        On how many of these it has no value.
    best
        Place of the best; of equal ones the first, which is what the study writes.
    """

    ranks: np.ndarray
    medians: np.ndarray
    completed: np.ndarray
    without: np.ndarray
    best: int


def ranking(values: np.ndarray, sign: int) -> Ranking:
    """Rank tries by what each has on each problem.

    Parameters
    ----------
    values : (tries, problems)
        NaN where a try did not complete, infinite where it completed and has no value, as it never met its
        tolerance: both share the last rank of their problem.
    sign
        1 where lower is better, -1 where higher is.
    """
    from scipy.stats import rankdata  # takes longer to load than a plan to make

    known, completed = np.isfinite(values), ~np.isnan(values)
    costs = np.where(known, sign * values, np.inf)
    ranks = rankdata(costs, axis=0).mean(axis=1)
    pairs = zip(costs, completed, strict=True)
    medians = [sign * float(np.median(row[has])) if has.any() else float("nan") for row, has in pairs]
    without = (completed & ~known).sum(axis=1)
    return Ranking(ranks, np.array(medians), completed.sum(axis=1), without, int(np.argmin(ranks)))


def has_value(tuned: Tuned) -> bool:
    """Whether any try has a value on any problem."""
    without = tuned.without or [0] * len(tuned.tries)
    return any(completed > lacks for completed, lacks in zip(tuned.completed, without, strict=True))


def no_value(metric: Metric) -> str:
    """What is said of a try that completed and has no value of ``metric``: "not met"."""
    return metric.nothing or "without a value"


def median_text(tuned: Tuned, place: int) -> str:
    """The median of a try, or why it has none."""
    metric, value = metric_of(tuned.metric), tuned.medians[place]
    if value is not None:
        return metric.text(value) if metric else f"{value:.4g}"
    return no_value(metric) if metric and tuned.completed[place] else "none completed"


def names_of(every: Sequence[Tuned]) -> list[str]:
    """What each solver that was tuned is called: its label, what tells it apart, what it was tuned for."""
    names = factor_names(path for tuned in every for path in (*written_settings(tuned), *tuned.where))
    told = []
    for tuned in every:
        others = [written_settings(other) for other in every if other.solver["name"] == tuned.solver["name"]]
        own = written_settings(tuned)
        differing = [path for path in own if any(other.get(path) != own[path] for other in others)]
        words = [f"{names[path]} {value_in_words(own[path])}" for path in differing]
        words += [f"{names[path]} {value_in_words(value) or 'none'}" for path, value in tuned.where.items()]
        label = solver_label(solver_name(tuned.solver))
        told.append(f"{label} ({', '.join(words)})" if words else label)
    return told


def written_settings(tuned: Tuned) -> dict[str, Any]:
    """Settings of the solver that were not tried, by dotted path."""
    settings = {f"solver.{key}": as_scalar(value) for key, value in tuned.solver.items() if key != "name"}
    return {path: value for path, value in settings.items() if path not in tuned.tries[0]}
