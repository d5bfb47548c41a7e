"""Medians of a metric over two factors: what each cell is, which is best, how many runs it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from ptychosuite.analysis.conditions import in_order, solver_columns
from ptychosuite.analysis.labels import value_text
from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.analysis.summary import figure_of
from ptychosuite.metrics.metric import Metric

State = Literal["value", "never", "none", "diverged", "failed", "missing", "empty"]
LOG_RATIO = 30  # values that span more than this are shaded by their logarithms

NOTHING = Outcome()


@dataclass(frozen=True)
class HeatCell:
    """One cell: the median of the runs that completed, or why there is none.

    ``state`` "never": half of the runs or more never meet their tolerance; "none": runs completed, and the
    median is no finite number.
    """

    value: float
    state: State
    outcome: Outcome = NOTHING
    low: float = float("nan")
    high: float = float("nan")
    is_best: bool = False


@dataclass(frozen=True)
class HeatGrid:
    """The cells of one panel, by row and column."""

    title: str
    columns: Sequence[str]
    rows: Sequence[str]
    cells: Sequence[Sequence[HeatCell]]

    def values(self) -> np.ndarray:
        """(rows, columns); NaN where there is no value."""
        found = [[cell.value if cell.state == "value" else np.nan for cell in row] for row in self.cells]
        return np.array(found, dtype=float)


def heat_grid(
    title: str, table: pd.DataFrame, keys: pd.DataFrame, x: str, y: str, metric: Metric | None, value: str
) -> HeatGrid:
    """The planned runs of ``table`` over two factors.

    Parameters
    ----------
    keys
        The columns ``x`` and ``y``, each row's: what its cell is called by.
    metric, value
        The metric of the column ``value``; None where it is not known here.
    """
    keys.attrs = table.attrs
    columns, rows = (in_order(keys, [name])[name].tolist() for name in (x, y))
    members = {place: group.index for place, group in keys.groupby([y, x], dropna=False, sort=False)}
    cells = [
        [_cell(table.loc[found], metric, value) if (found := _found(members, row, column)) is not None
         else HeatCell(float("nan"), "empty") for column in columns]
        for row in rows
    ]  # fmt: skip
    grid = HeatGrid(
        title,
        [_named(column, x) for column in columns],
        [_named(row, y) for row in rows],
        cells,
    )
    return _with_best(grid, metric, x in solver_columns(table), y in solver_columns(table))


def _found(members: dict[tuple[object, ...], pd.Index], row: object, column: object) -> pd.Index | None:
    for (its_row, its_column), index in members.items():
        if _same(its_row, row) and _same(its_column, column):
            return index
    return None


def _same(one: object, other: object) -> bool:
    return one == other or (one != one and other != other)  # no setting of either


def _named(value: Any, factor: str) -> str:
    """A value that is none has the name of what there is none of."""
    return value_text(value, factor) or f"no {factor.rsplit('.', 1)[-1]}"


def _cell(rows: pd.DataFrame, metric: Metric | None, value: str) -> HeatCell:
    outcome = Outcome.of_rows(rows)
    is_censored = metric is not None and bool(metric.count_name)
    figure = figure_of(rows, value, is_censored)
    state: State
    if np.isfinite(figure.median):
        state = "value"
    elif not outcome.completed:
        state = "failed" if outcome.failed or outcome.timed_out else "missing"
        state = "diverged" if outcome.diverged else state
    else:
        state = "never" if is_censored and np.isinf(figure.median) else "none"
    return HeatCell(figure.median, state, outcome, figure.low, figure.high)


def _with_best(grid: HeatGrid, metric: Metric | None, x_computes: bool, y_computes: bool) -> HeatGrid:
    """Mark the best: solver of each condition where one axis has solvers, otherwise the best of all."""
    if metric is None or metric.better == "neither":
        return grid
    signed = metric.sign * grid.values()
    leads = np.array([[cell.outcome.can_lead for cell in row] for row in grid.cells])
    signed[~leads] = np.nan
    if np.isnan(signed).all():
        return grid
    axis = {(False, True): 0, (True, False): 1}.get((x_computes, y_computes))
    filled = np.where(np.isnan(signed), np.inf, signed)
    best = (filled == filled.min(axis=axis, keepdims=True)) & np.isfinite(filled)
    cells = [
        [replace(cell, is_best=bool(best[row, column])) for column, cell in enumerate(line)]
        for row, line in enumerate(grid.cells)
    ]
    return replace(grid, cells=cells)


def shades(grids: Sequence[HeatGrid], metric: Metric | None) -> list[np.ndarray]:
    """0 for the worst to 1 for the best of all ``grids``, each (rows, columns); NaN where there is none."""
    values = np.concatenate([grid.values().ravel() for grid in grids])
    values = values[np.isfinite(values)]
    if not values.size:
        return [np.full_like(grid.values(), np.nan) for grid in grids]
    low, high = float(values.min()), float(values.max())
    is_log = low > 0 and high / low > LOG_RATIO
    span = (np.log(high / low) if is_log else high - low) or 1.0
    found = []
    for grid in grids:
        share = (np.log(grid.values() / low) if is_log else grid.values() - low) / span
        found.append(share if metric is not None and metric.better == "higher" else 1 - share)
    return found
