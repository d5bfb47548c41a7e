"""What runs were compared on: the problems of a study, apart from its solvers and seeds."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from ptychosuite.analysis.labels import line_labels, value_text

if TYPE_CHECKING:  # the kinds of figures load this module, and planning a study must not wait for pandas
    import pandas as pd

ALL = "all runs"
"""The condition of a study that varies nothing but its solvers and seeds."""

MANY = 4
"""Columns from which on words are kept short."""


def solver_columns(table: pd.DataFrame) -> set[str]:
    """The columns that say how a run was computed."""
    return {"solver", "fast_forward", *table.attrs["solver_settings"]}


def condition_columns(table: pd.DataFrame, without: Collection[str] = ()) -> list[str]:
    """The factors that vary beside solvers, seeds and those of ``without``; one that another of them tells is
    left out."""
    beside = {"seed", *solver_columns(table), *without}
    found: list[str] = []
    for name in table.attrs["factors"]:
        if name in beside or name not in table or table[name].nunique(dropna=False) < 2:
            continue
        is_told = (
            bool(found)
            and not (table.groupby(found, dropna=False, sort=False)[name].nunique(dropna=False) > 1).any()
        )
        if not is_told:
            found.append(name)
    return found


def condition_labels(table: pd.DataFrame) -> pd.Series:
    """The condition of each row in words, "noise 0.05 · overlap 50 %"."""
    return words_of(table, condition_columns(table))


def words_of(table: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """The values of ``columns`` in words, each row's; :data:`ALL` where there is no column.

    Of many columns the values that most runs share are left out, where the others tell the runs apart.
    """
    import pandas as pd

    if not columns:
        return pd.Series(ALL, index=table.index)
    words = pd.DataFrame({name: _words(table[name], name) for name in columns})
    full = words.apply(_joined, axis=1)
    if len(columns) < MANY:
        return full
    usual = {name: words[name].value_counts() for name in columns}
    shared = {name: counts.index[0] for name, counts in usual.items() if counts.iloc[0] > len(words) / 2}
    brief = words.mask(words.eq(pd.Series(shared, dtype=object))).fillna("").apply(_joined, axis=1)
    is_clear = brief.groupby(brief).transform(lambda same: full[same.index].nunique() == 1)
    return brief.where(is_clear & (brief != ""), full)


def _words(values: pd.Series, name: str) -> pd.Series:
    texts = values.map(lambda value: value_text(value, name))
    return texts.map(lambda text: f"{name} {text}" if text else f"no {name}")


def _joined(words: pd.Series) -> str:
    return " · ".join(word for word in words if word)


def in_order(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """One row for each combination of ``columns``: numbers increase, names come as the study has them."""
    import pandas as pd

    if not columns:
        return table.head(1)
    keys = table[list(columns)].drop_duplicates()
    ranks = {
        name: keys[name].rank() if keys[name].dtype.kind in "fi" else pd.factorize(keys[name])[0]
        for name in columns
    }
    return keys.loc[keys.assign(**ranks).sort_values(list(columns), kind="stable").index]


def conditions(table: pd.DataFrame) -> list[str]:
    """All conditions in order."""
    columns = condition_columns(table)
    return words_of(table, columns)[in_order(table, columns).index].tolist()


def separated(table: pd.DataFrame, shown: Collection[str], pooled: Collection[str]) -> list[str]:
    """The columns in which runs differ that a figure neither shows on an axis nor pools, without the seed.

    ``shown`` and ``pooled`` name columns; "solver" stands for all that says how a run was computed but the
    fast-forward.
    """
    away = {"seed", *shown, *pooled}
    found = [name for name in condition_columns(table) if name not in away]
    is_shown = away & (solver_columns(table) - {"fast_forward"})
    if not is_shown and line_labels(table, "solver", with_jumps=False).nunique() > 1:
        found.append("solver")
    labels_have_jumps = "solver" in shown and "fast_forward" not in shown
    if "fast_forward" in table and not labels_have_jumps and "fast_forward" not in away:
        found += ["fast_forward"] * (table["fast_forward"].nunique() > 1)
    return found
