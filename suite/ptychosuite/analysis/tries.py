"""Which of a solver's tries is best, by its ranks on problems: no problem's scale outweighs another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from ptychosuite.analysis.labels import line_labels
from ptychosuite.analysis.selection import Selection
from ptychosuite.core.plan import Tuned
from ptychosuite.core.runs import as_scalar
from ptychosuite.core.stages import solver_name
from ptychosuite.errors import StoreError
from ptychosuite.registry.factors import factor_names, is_value, value_in_words
from ptychosuite.registry.lookup import solver_label


@dataclass(frozen=True)
class Ranking:
    """How tries stand.

    Parameters
    ----------
    ranks : (tries,)
        1 is the best: the mean of the ranks on the problems.
    medians : (tries,)
        Of the metric over the problems on which a try completed; NaN where there is none.
    completed : (tries,) int
        On how many problems.
    best
        Place of the best; of equal ones the first, which is what the study writes.
    """

    ranks: np.ndarray
    medians: np.ndarray
    completed: np.ndarray
    best: int


def ranking(values: np.ndarray, sign: int) -> Ranking:
    """Rank tries by what each has on each problem.

    Parameters
    ----------
    values : (tries, problems)
        NaN where a try did not complete: it shares the last rank of its problem.
    sign
        1 where lower is better, -1 where higher is.
    """
    known = np.isfinite(values)
    ranks = rankdata(np.where(known, sign * values, np.inf), axis=0).mean(axis=1)
    pairs = zip(values, known, strict=True)
    medians = [float(np.median(row[has])) if has.any() else float("nan") for row, has in pairs]
    return Ranking(ranks, np.array(medians), known.sum(axis=1), int(np.argmin(ranks)))


def names_of(every: Sequence[Tuned]) -> list[str]:
    """What each solver that was tuned is called: its label, what tells it apart, what it was tuned for."""
    names = factor_names(path for tuned in every for path in (*_written(tuned), *tuned.where))
    told = []
    for tuned in every:
        others = [_written(other) for other in every if other.solver["name"] == tuned.solver["name"]]
        own = _written(tuned)
        differing = [path for path in own if any(other.get(path) != own[path] for other in others)]
        words = [f"{names[path]} {value_in_words(own[path])}" for path in differing]
        words += [f"{names[path]} {value_in_words(value) or 'none'}" for path, value in tuned.where.items()]
        label = solver_label(solver_name(tuned.solver))
        told.append(f"{label} ({', '.join(words)})" if words else label)
    return told


def _written(tuned: Tuned) -> dict[str, Any]:
    """Settings of the solver that were not tried, by dotted path."""
    settings = {f"solver.{key}": as_scalar(value) for key, value in tuned.solver.items() if key != "name"}
    return {path: value for path, value in settings.items() if path not in tuned.tries[0]}


@dataclass(frozen=True)
class TunedLine:
    """What the tries of one solver have found, and what its line is called."""

    line: str
    condition: str  # that it was tuned for apart, in words; empty where it was for all
    tuned: Tuned


def tuned_lines(selection: Selection) -> list[TunedLine]:
    """What the tries of a study have found, in the study's order; none of a study that has none.

    Raises
    ------
    StoreError
        What a bundle or a session notes of them is something else.
    """
    every = selection.noted("tuned", Tuned)
    for tuned in every:
        lengths = {len(each) for each in (tuned.tries, tuned.ranks, tuned.medians, tuned.completed)}
        if lengths != {len(tuned.tries)} or not 0 <= tuned.chosen < len(tuned.tries):
            raise StoreError(f"{selection.name}: tuned: not as many tries as results; get a fresh copy")
    names = factor_names(path for tuned in every for path in tuned.where)
    labels = line_labels(selection.table, "solver", with_jumps=False) if every else pd.Series(dtype=object)
    return [
        TunedLine(
            _line(tuned, selection.table, labels),
            ", ".join(
                f"{names[path]} {value_in_words(value) or 'none'}" for path, value in tuned.where.items()
            ),
            tuned,
        )
        for tuned in every
    ]


def _line(tuned: Tuned, table: pd.DataFrame, labels: pd.Series) -> str:
    """The label of the runs that have the settings of the chosen try; the solver's where no run is left."""
    wanted = {"solver.name": solver_name(tuned.solver), **_written(tuned), **tuned.where}
    wanted |= tuned.tries[tuned.chosen]
    found = labels[_has(table, wanted)]
    return str(found.iloc[0]) if len(found) else solver_label(solver_name(tuned.solver))


def _has(table: pd.DataFrame, wanted: Mapping[str, Any]) -> pd.Series:
    columns: Mapping[str, str] = table.attrs["paths"]
    met = pd.Series(True, index=table.index)
    for path, value in wanted.items():
        if path in columns:
            met &= table[columns[path]].map(lambda has, value=value: is_value(has, value))
    return met
