"""What a line in a figure is called, and how values are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ptychosuite.metrics.metric import known_metrics, metric_of
from ptychosuite.registry.factors import factor_names, factor_value
from ptychosuite.registry.lookup import solver_label

if TYPE_CHECKING:  # the kinds of figures load this module, and planning a study must not wait for pandas
    import pandas as pd


def metric_label(name: str) -> str:
    """What figures and tables call a metric or a column; readable also where it is not known here."""
    metric = metric_of(name)
    return (metric.label if metric else "") or name.replace("_", " ")


def column_name(name: str) -> str:
    """The table's column that a study file means: dashes and a few synonyms are understood."""
    plain = name.replace("-", "_")
    return next((metric.name for metric in known_metrics() if plain in metric.aliases), plain)


def value_text(value: Any, factor: str = "") -> str:
    """A factor's value as in a legend; an overlap in per cent."""
    if isinstance(value, float):
        if value != value:
            return ""
        return f"{100 * value:g} %" if factor == "overlap" else f"{value:g}"
    return str(value)


def run_labels(runs: Sequence[Mapping[str, Any]], factors: Iterable[str]) -> list[str]:
    """Each run in a few words, "rpie · noise 0.05 · seed 0", by what the study varies.

    What most runs share is left out, except of runs that could not be told apart without it.

    Parameters
    ----------
    runs
        The runs' scalars by dotted path.
    factors
        The dotted paths that vary.
    """
    names = factor_names(factors)
    usual = {path: _shared_by_most([factor_value(leaves, path) for leaves in runs]) for path in names}
    short = [_words(leaves, names, usual) for leaves in runs]
    counts = Counter(short)
    return [
        words if counts[words] == 1 else _words(leaves, names, {})
        for words, leaves in zip(short, runs, strict=True)
    ]


def _shared_by_most(values: Sequence[Any]) -> Any:
    """The value that more than half have; None where none is."""
    value, number = Counter(values).most_common(1)[0]
    return value if number > len(values) / 2 else None


def _words(leaves: Mapping[str, Any], names: Mapping[str, str], usual: Mapping[str, Any]) -> str:
    """The solver, where it varies, and each factor that is not as ``usual`` has it."""
    words = [str(leaves["solver.name"])] if "solver.name" in names else []
    for path, name in names.items():
        value = factor_value(leaves, path)
        if path != "solver.name" and value not in (None, "", usual.get(path)):
            words.append(f"{name} {value_text(value)}")
    return " · ".join(words) or str(leaves["solver.name"])


def line_labels(table: pd.DataFrame, factor: str, with_jumps: bool = True) -> pd.Series:
    """The label of each row's line.

    For "solver" the settings that tell apart runs which differ in nothing else are part of the label, and
    the fast-forward, unless ``with_jumps`` is off.
    """
    if factor == "fast_forward":
        return table[factor].map(lambda settings: settings or "off")
    if factor != "solver":
        return table[factor].map(lambda value: value_text(value, factor))
    telling = _telling_settings(table)
    told = {"solver", *(name for names in telling.values() for name in names)}
    if with_jumps and "fast_forward" in table:
        told.add("fast_forward")
    kinds = table[list(told)]
    groups = kinds.groupby(list(told), dropna=False, sort=False).ngroup()
    labels = {
        groups[row.name]: _solver_label(row, telling.get(row["solver"], []))
        for _, row in kinds.loc[~groups.duplicated()].iterrows()
    }
    return groups.map(labels)


def _telling_settings(table: pd.DataFrame) -> dict[str, list[str]]:
    """Solver -> its settings that vary while everything that is not a setting stays the same.

    What tries have found is left out where the rest tells the lines apart.
    """
    settings, tuned = table.attrs["solver_settings"], table.attrs.get("tuned", ())
    others = [name for name in table.attrs["factors"] if name not in settings]
    result: dict[str, list[str]] = {}
    for solver, rows in table.groupby("solver"):
        groups = rows.groupby(others, dropna=False)
        telling = [name for name in settings if (groups[name].nunique() > 1).any()]
        written = [name for name in telling if name not in tuned]
        are_told = not rows.duplicated([*others, *written]).any()
        result[str(solver)] = written if are_told else telling
    return result


def _solver_label(row: pd.Series, settings: list[str]) -> str:
    label = solver_label(row["solver"])
    given = [f"{name} {value_text(row[name])}" for name in settings if value_text(row[name])]
    if given:
        label += " (" + ", ".join(given) + ")"
    if row.get("fast_forward"):
        label += f" + {row['fast_forward']}"
    return label
