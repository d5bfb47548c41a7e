"""Which panels a figure has: problems and solvers apart, unless it shows or pools them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ptychosuite.analysis.conditions import in_order, separated, words_of
from ptychosuite.analysis.labels import line_labels
from ptychosuite.reporting.figures.material import Material

MOST_PANELS = 12


@dataclass(frozen=True)
class Panel:
    """One panel of a figure: its title, and the runs that it is about."""

    title: str
    rows: pd.DataFrame


def panels(
    material: Material, panel: str | None, shown: Sequence[str], pool: Sequence[str]
) -> tuple[list[Panel], str]:
    """A panel for each problem and solver that no axis of the figure shows, and what the caption says of it.

    Parameters
    ----------
    panel
        A factor that each panel has one value of.
    shown
        Columns that lines or axes stand for; "solver" for all that says how a run was computed.
    pool
        Factors that medians are taken over all the same.

    Returns
    -------
    panels
        At most :data:`MOST_PANELS`.
    pooled
        "median over 3 seeds", "median over 3 seeds x 2 noises"; and how many panels are left out.
    """
    table = material.table
    pooled = [material.column(name) for name in pool]
    first = [] if panel is None else [material.column(panel)]
    columns = [*first, *separated(table, [*shown, *first], pooled)]
    with_jumps = "fast_forward" not in {*columns, *shown, *pooled}
    solvers = {
        name: line_labels(material.whole, name, with_jumps).loc[table.index]
        for name in columns
        if name == "solver"
    }
    keys = table.assign(**solvers)
    keys.attrs = table.attrs
    every = words_of(keys, columns)
    groups = keys.groupby(every, sort=False, dropna=False).groups
    found = [
        Panel(_title(words) if columns else "", material.of(table.loc[groups[words]]).table)
        for words in every[in_order(keys, columns).index]
    ]
    told = " x ".join(
        f"{table[name].nunique(dropna=False)} {name}s"
        for name in ("seed", *pooled)
        if name not in (*shown, *first) and name in table and table[name].nunique(dropna=False) > 1
    )
    left_out = len(found) - MOST_PANELS
    more = f"; {left_out} more panels are not drawn, choose with 'where'" if left_out > 0 else ""
    return found[:MOST_PANELS], (f"median over {told}" if told else "a single run each") + more


def _title(words: str) -> str:
    """A solver's name needs no word before it."""
    return " · ".join(part.removeprefix("solver ") for part in words.split(" · "))
