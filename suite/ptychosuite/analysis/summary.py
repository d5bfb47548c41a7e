"""The table of a study: one row for each combination of its factors, over its seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ptychosuite.analysis.conditions import words_of
from ptychosuite.analysis.labels import line_labels
from ptychosuite.analysis.outcomes import MISSING, Outcome
from ptychosuite.analysis.statistics import median_interval
from ptychosuite.analysis.tables import are_imported, compared_by, have_tolerance
from ptychosuite.core.runs import Status
from ptychosuite.metrics.metric import Metric, known_metrics
from ptychosuite.registry.factors import is_own


@dataclass(frozen=True)
class Figure:
    """One metric of a group of runs: the median of those that completed, and its interval.

    Where the metric is a time or a number until a tolerance is met, of all that have ended.
    """

    median: float
    low: float
    high: float
    note: str = ""  # that belongs to the metric's name

    @property
    def has_interval(self) -> bool:
        return bool(np.isfinite(self.low) and self.high > self.low)


@dataclass(frozen=True)
class Group:
    """The runs of one line on one condition."""

    condition: str
    line: str
    rows: pd.DataFrame  # planned
    outcome: Outcome
    figures: dict[str, Figure]  # by metric; those alone that some run of the study has
    met_tolerance: int | None  # runs that met it; None where none of them has a tolerance


def metrics_of(table: pd.DataFrame) -> list[Metric]:
    """The metrics that a summary of ``table`` has.

    One that another study named by its class may be called as a setting of this one, or as a column.
    """
    return [
        metric
        for metric in known_metrics()
        if metric.in_summary
        and metric.name not in table.attrs["factors"]
        and not is_own(metric.name)
        and metric.name in table
        and table[metric.name].notna().any()
    ]


def groups_of(table: pd.DataFrame, columns: Sequence[str]) -> Iterator[Group]:
    """The planned runs of ``table`` by condition, told by ``columns``, and by line, in the table's order."""
    labels, conditions = line_labels(table, "solver"), words_of(table, columns)
    compared = {metric: compared_by(table, metric) for metric in metrics_of(table)}
    for (condition, line), rows in table.groupby([conditions, labels], sort=False):
        figures = {
            metric.name: _figure(rows[rows.index.isin(of.index)], metric, note)
            for metric, (of, note) in compared.items()
        }
        met = None
        if "iterations_to_tol" in table and table["iterations_to_tol"].notna().any():
            ours = rows[~are_imported(rows) & have_tolerance(rows)]
            met = have_met(until_met(ours, "iterations_to_tol")) if len(ours) else None
        yield Group(str(condition), str(line), rows, Outcome.of_rows(rows), figures, met)


def figure_of(rows: pd.DataFrame, name: str, is_censored: bool, note: str = "") -> Figure:
    """The metric ``name`` of a group of runs.

    Where it is censored, the runs that ended without ever reaching it count as infinitely long: they are not
    dropped.
    """
    return figure_over(values_of(rows, name, is_censored), note)


def values_of(rows: pd.DataFrame, name: str, is_censored: bool) -> np.ndarray:
    """What the median of :func:`figure_of` is over, (n,): one value a run that has a part in it."""
    if is_censored:
        return until_met(rows, name)
    return rows.loc[rows["status"] == Status.COMPLETED, name].dropna().to_numpy(dtype=float)


def until_met(rows: pd.DataFrame, name: str) -> np.ndarray:
    """What each of ``rows`` that has ended has taken until it met its tolerance by ``name``, (n,).

    Infinite for one that never did, and for one that failed, diverged or ran out of time, as in
    :func:`~ptychosuite.analysis.to_target.runs_to_target`. Runs without a result, and results that were
    computed elsewhere, are left out, as of them nobody knows, and runs that have no tolerance to meet.
    """
    ended = (rows["status"] != MISSING) & ~are_imported(rows) & have_tolerance(rows)
    values = rows[name].where(rows["status"] == Status.COMPLETED).fillna(np.inf)
    return values[ended].to_numpy(dtype=float)


def have_met(values: np.ndarray) -> int:
    """How many of the runs of :func:`until_met`, (n,), have met their tolerance."""
    return int(np.isfinite(values).sum())


def figure_over(values: np.ndarray, note: str = "") -> Figure:
    """Median of ``values``, (n,), and its interval; infinite where half of them are."""
    if not len(values):
        return Figure(float("nan"), float("nan"), float("nan"), note)
    low, high = median_interval(values)
    with np.errstate(invalid="ignore"):  # the mean of two infinities
        middle = float(np.median(values))
    return Figure(float("inf") if np.isnan(middle) else middle, float(low), float(high), note)


def _figure(rows: pd.DataFrame, metric: Metric, note: str) -> Figure:
    return figure_of(rows, metric.name, bool(metric.count_name), note if metric.is_time else "")


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each combination of factors but the seed: how its runs ended, and medians of the completed.

    A run that ended without meeting its tolerance, in whatever way, has taken infinitely long to it.
    ``NAME_low`` and ``NAME_high`` are the ends of the median's 95 % interval over the seeds, of fewer than
    six runs the least and the largest value. Times are those of the timing lane; where there are none, their
    columns say so.

    Parameters
    ----------
    table
        The planned runs; ``attrs["axes"]`` names factors that have a column even where they have one value.
    """
    axes = table.attrs.get("axes", ())
    factors = [
        name
        for name in table.attrs["factors"]
        if name != "seed" and (name in axes or table[name].nunique(dropna=False) > 1)
    ] or ["solver"]
    compared = {metric: compared_by(table, metric) for metric in metrics_of(table)}
    rows = []
    for values, members in table.groupby(factors, dropna=False, sort=False):
        row = dict(zip(factors, values, strict=True))
        outcome = Outcome.of_rows(members)
        row |= {"planned": outcome.planned, **{s.replace("-", "_"): n for s, n in outcome.counts.items()}}
        for metric, (of, note) in compared.items():
            mine = members[members.index.isin(of.index)]
            figure = _figure(mine, metric, note)
            name = metric.name + figure.note
            row |= {name: figure.median, f"{name}_low": figure.low, f"{name}_high": figure.high}
            if metric.count_name:
                met = have_met(until_met(mine, metric.name)) if have_tolerance(members).any() else ""
                row.setdefault(metric.count_name, met)
        rows.append(row)
    return pd.DataFrame(rows)
