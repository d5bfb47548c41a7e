"""Which of a solver's tries is best, by its ranks on problems: no problem's scale outweighs another's."""

from __future__ import annotations

from collections.abc import Mapping
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
from ptychosuite.registry.factors import factor_names, is_value
from ptychosuite.registry.lookup import solver_label
from ptychosuite.registry.validation import SettingError, validate


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
    noted = enumerate(selection.study.get("tuned", ()))
    try:
        every = [validate(Tuned, value, ("tuned", place)) for place, value in noted]
    except SettingError as error:
        where = ".".join(map(str, error.path))
        raise StoreError(f"{selection.name}: {where}: {error.message}; get a fresh copy") from error
    names = factor_names(path for tuned in every for path in tuned.where)
    labels = line_labels(selection.table, "solver", with_jumps=False) if every else pd.Series(dtype=object)
    return [
        TunedLine(
            _line(tuned, selection.table, labels),
            ", ".join(f"{names[path]} {as_scalar(value)}" for path, value in tuned.where.items()),
            tuned,
        )
        for tuned in every
    ]


def _line(tuned: Tuned, table: pd.DataFrame, labels: pd.Series) -> str:
    """The label of the runs that have the settings of the chosen try; the solver's where no run is left."""
    wanted = {f"solver.{key}": as_scalar(value) for key, value in tuned.solver.items() if key != "name"}
    wanted |= {"solver.name": solver_name(tuned.solver), **tuned.where, **tuned.tries[tuned.chosen]}
    found = labels[_has(table, wanted)]
    return str(found.iloc[0]) if len(found) else solver_label(solver_name(tuned.solver))


def _has(table: pd.DataFrame, wanted: Mapping[str, Any]) -> pd.Series:
    columns: Mapping[str, str] = table.attrs["paths"]
    met = pd.Series(True, index=table.index)
    for path, value in wanted.items():
        if path in columns:
            met &= table[columns[path]].map(lambda has, value=value: is_value(has, value))
    return met
