"""What the tries of a study have found, beside the lines of its runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ptychosuite.analysis.labels import line_labels
from ptychosuite.analysis.selection import Selection
from ptychosuite.analysis.tries import written_settings
from ptychosuite.core.plan import Tuned
from ptychosuite.core.stages import solver_name
from ptychosuite.errors import StoreError
from ptychosuite.registry.factors import factor_names, is_value, value_in_words
from ptychosuite.registry.lookup import solver_label


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
        lengths |= {len(tuned.without)} if tuned.without else set()
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
    wanted = {"solver.name": solver_name(tuned.solver), **written_settings(tuned), **tuned.where}
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
