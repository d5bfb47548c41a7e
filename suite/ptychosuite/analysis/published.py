"""What others have published beside what our runs have found, value by value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ptychosuite.analysis.labels import metric_label
from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.analysis.selection import Selection
from ptychosuite.analysis.summary import figure_over, values_of
from ptychosuite.analysis.tables import are_imported, compared_by
from ptychosuite.analysis.verdict import Finding, Judgement
from ptychosuite.core.plan import Published
from ptychosuite.metrics.metric import metric_of
from ptychosuite.registry.factors import factor_names, is_value, value_in_words


@dataclass(frozen=True)
class Reproduced:
    """A published value, and ours: the median of the runs that completed, and from where to where they go.

    ``outcome`` counts the runs that it holds for; the numbers are NaN where none of them has the metric. Of
    what is counted until a tolerance is met they are over all runs that ended, infinite for those that never
    meet it.
    """

    published: Published
    conditions: tuple[str, ...]  # "overlap 0.5", "solver rpie"
    outcome: Outcome
    median: float
    low: float
    high: float
    note: str = ""  # why there is no number, where that can be said

    @property
    def condition(self) -> str:
        """What it holds for, in words."""
        return ", ".join(self.conditions) or "all runs"

    @property
    def is_known(self) -> bool:
        return not np.isnan(self.median)

    @property
    def is_never(self) -> bool:
        """Whether at least half of the runs never get there."""
        return bool(np.isinf(self.median))

    @property
    def ratio(self) -> float:
        """Ours over the published one."""
        return self.median / self.published.value

    @property
    def is_within(self) -> bool:
        """Whether the median differs by no more than the stated tolerance."""
        return self.is_known and abs(self.ratio - 1) <= self.published.tolerance

    @property
    def is_better(self) -> bool:
        """Whether ours is the better one, where its metric says which way that is."""
        metric = metric_of(self.published.metric)
        if metric is None or metric.better == "neither":
            return False
        return metric.sign * self.median < metric.sign * self.published.value


def reproduced(selection: Selection) -> list[Reproduced]:
    """The published values of the study, each with the runs of ``selection`` that it holds for.

    Raises
    ------
    StoreError
        What a bundle or a session notes of them is something else.
    """
    values = selection.noted("published", Published)
    names = factor_names(path for value in values for path in value.where)
    return [_beside(value, selection, names) for value in values]


def _beside(value: Published, selection: Selection, names: Mapping[str, str]) -> Reproduced:
    table = selection.table
    rows = table[_meets(value.where, selection) & ~are_imported(table)]
    conditions = tuple(f"{names[path]} {_in_words(wanted)}" for path, wanted in value.where.items())
    found, note = _found(rows, value.metric)
    known = found if len(found) else np.array([np.nan])
    low, high = float(np.min(known)), float(np.max(known))
    return Reproduced(value, conditions, Outcome.of_rows(rows), figure_over(found).median, low, high, note)


def _found(rows: pd.DataFrame, name: str) -> tuple[np.ndarray, str]:
    """The values of ``rows`` that are compared, and why there are none; times are those of runs alone."""
    metric = metric_of(name)
    if name not in rows:
        return np.empty(0), ""
    ours, note = compared_by(rows, metric) if metric else (rows, "")
    if note:
        return np.empty(0), note
    return values_of(ours, name, metric is not None and bool(metric.count_name)), ""


def _meets(where: Mapping[str, Any], selection: Selection) -> pd.Series:
    """Whether each run has what ``where`` asks for; of settings that all share, whether these are it."""
    table = selection.table
    columns: Mapping[str, str] = table.attrs["paths"]
    met = pd.Series(True, index=table.index)
    for path, wanted in where.items():
        values = wanted if isinstance(wanted, list) else [wanted]
        if path in columns:
            met &= table[columns[path]].map(lambda has, v=values: any(is_value(has, w) for w in v))
        else:
            met &= any(is_value(selection.constants.get(path), value) for value in values)
    return met


def _in_words(wanted: Any) -> str:
    return " or ".join(map(value_in_words, wanted if isinstance(wanted, list) else [wanted]))


def published_findings(found: list[Reproduced]) -> Iterator[Finding]:
    """What a check says of each published value of which the study has runs.

    A difference beyond the stated tolerance is a regression, or an improvement where ours is the better one;
    while runs are missing or have failed, nothing is judged.
    """
    for each in found:
        if not each.outcome.planned:
            continue
        judgement, message = Judgement.GOOD, f"published: {each.published.source}"
        if not each.is_known or not each.outcome.is_whole:
            judgement, message = Judgement.UNDECIDED, f"{each.outcome.text}{each.note}; {message}"
        elif not each.is_within:
            judgement = Judgement.IMPROVEMENT if each.is_better else Judgement.REGRESSION
            message = f"half of the runs or more never get there; {message}" if each.is_never else message
        yield Finding(
            each.condition,
            metric_label(each.published.metric),
            judgement,
            baseline=each.published.value,
            found=each.median if np.isfinite(each.median) else None,
            tolerance=each.published.tolerance,
            message=message,
        )
