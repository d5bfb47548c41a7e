"""What the controls of the page choose from: curves, runs and pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ptychosuite.analysis.bands import AXES, band
from ptychosuite.analysis.conditions import ALL, condition_labels, conditions
from ptychosuite.analysis.labels import line_labels, metric_label, value_text
from ptychosuite.analysis.outcomes import MISSING
from ptychosuite.analysis.selection import Selection
from ptychosuite.analysis.shown_runs import blocks_of
from ptychosuite.analysis.summary import Group, metrics_of
from ptychosuite.analysis.tables import timed
from ptychosuite.core.runs import Status
from ptychosuite.metrics.metric import known_metrics
from ptychosuite.reporting.comparer_pictures import Comparand, comparison
from ptychosuite.reporting.figures.material import RunFiles
from ptychosuite.reporting.origin import command_for, readable, told_first
from ptychosuite.reporting.page_content import Choice, Condition, Curve, Interactive, Number, Run
from ptychosuite.reporting.series import series_of

MOST_RUNS = 5000  # rows of the table of runs; the others are in the CSV file beside the page
MOST_PICTURES = 60  # runs whose images are read for the comparer: more do not fit into the page
CURVE_BUDGET = 60_000  # points of all curves together: 2 MB
POINTS = (12, 80)  # of a curve, at least and at most
DIGITS = 5


def comparands(selection: Selection) -> list[Comparand]:
    """The runs that the comparer may show: of each condition and line the first seed that completed."""
    table = selection.table
    series, order = list(series_of(table, "solver")), conditions(table)
    found = []
    for block in blocks_of(table, line_labels(table, "solver"), table):
        for run in block.runs:
            if run.place is not None:
                label = " · ".join(filter(None, (run.line, block.condition, run.note)))
                known = table.loc[run.place]
                place = order.index(block.condition or ALL), series.index(run.line)
                found.append(Comparand(label, place[1], place[0], str(known["run_id"]), str(known["path"])))
    return found


def interactive(selection: Selection, found: Sequence[Group], files: RunFiles, source: str) -> Interactive:
    """Everything; the images of :func:`comparands` are among those that ``files`` reads."""
    table = selection.table
    series, order = series_of(table, "solver"), conditions(table)
    axes = [axis for axis in AXES if axis == "iteration" or f"{axis}_curve" in selection.dataset]
    metrics = [m for m in known_metrics() if f"{m.name}_curve" in selection.dataset and not m.is_time
               and m.name != "data_passes"]  # fmt: skip
    comparable, note = timed(table)
    columns = _columns(table)
    runs, provenances = _runs(selection, files, source, columns, list(series), order)
    wanted = comparands(selection)
    compared = comparison(wanted[:MOST_PICTURES], files, order)
    return Interactive(
        series=list(series.values()),
        conditions=[Condition(label) for label in order],
        metrics=[Choice(metric.name, metric_label(metric.name), metric.better) for metric in metrics],
        axes=[Choice(axis, metric_label(axis) + note * (axis == "seconds")) for axis in axes],
        curves=_curves(
            selection, found, comparable.index, [m.name for m in metrics], axes, list(series), order
        ),
        pictures=compared.pictures,
        top=compared.top,
        reach=compared.reach,
        pictures_left_out=len(wanted[MOST_PICTURES:]) + compared.left_out,
        columns=columns,
        runs=runs,
        provenances=provenances,
    )


def _curves(
    selection: Selection,
    found: Sequence[Group],
    timed_runs: pd.Index,
    metrics: Sequence[str],
    axes: Sequence[Any],
    series: Sequence[str],
    order: Sequence[str],
) -> list[Curve]:
    number = max(1, len(found) * len(metrics) * len(axes))
    most = min(POINTS[1], max(POINTS[0], CURVE_BUDGET // number))
    curves = []
    for group in found:
        for axis in axes:
            rows = group.rows[group.rows.index.isin(timed_runs)] if axis == "seconds" else group.rows
            for metric in metrics:
                curve = band(selection.dataset, rows, metric, axis, most)
                if curve.runs:
                    curves.append(
                        Curve(
                            series=series.index(group.line),
                            condition=order.index(group.condition),
                            metric=metric,
                            axis=axis,
                            x=[_short(x) for x in curve.x],
                            median=_numbers(curve.median),
                            low=_numbers(curve.low),
                            high=_numbers(curve.high),
                            alive=curve.alive.tolist(),
                            runs=curve.runs,
                            planned=group.outcome.planned,
                            hit=_number(curve.hit),
                        )
                    )
    return curves


def _numbers(values: np.ndarray) -> list[Number]:
    return [_number(value) for value in values.tolist()]


def _number(value: float) -> Number:
    return _short(value) if math.isfinite(value) else None


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _columns(table: pd.DataFrame) -> list[Choice]:
    """Factors that vary, and the metrics of a summary."""
    told = ("solver", "fast_forward")  # by the line
    factors = [
        str(name)
        for name in table.attrs["factors"]
        if name not in told and table[name].nunique(dropna=False) > 1
    ]
    metrics = metrics_of(table)
    return [
        *(Choice(name, name.replace("_", " "), is_setting=True) for name in factors),
        *(Choice(metric.name, metric_label(metric.name), metric.better) for metric in metrics),
        *([Choice("iterations", metric_label("iterations"))] if "iterations" in table else []),
    ]


def _runs(
    selection: Selection,
    files: RunFiles,
    source: str,
    columns: Sequence[Choice],
    series: Sequence[str],
    order: Sequence[str],
) -> tuple[list[Run], list[Mapping[str, str]]]:
    """The planned runs, those first that did not complete where there are too many for a page."""
    table = selection.table
    if len(table) > MOST_RUNS:
        chosen = (table["status"] == Status.COMPLETED).sort_values(kind="stable").index[:MOST_RUNS]
        table = table.loc[chosen.sort_values()]
    lines, labels = line_labels(selection.table, "solver"), condition_labels(selection.table)
    varied = _varied(selection.table)
    provenances: dict[tuple[tuple[str, str], ...], int] = {}
    runs = []
    for (place, values), (_, known) in zip(
        table[[choice.name for choice in columns]].iterrows(), table.iterrows(), strict=True
    ):
        record = files.run(known["path"]) if known["status"] != MISSING else None
        origin = tuple(readable(record.provenance).items()) if record else ()
        runs.append(
            Run(
                run_id=str(known["run_id"]),
                status=str(known["status"]),
                series=series.index(lines[place]),
                condition=order.index(labels[place]),
                values=[_value(value, choice.name) for value, choice in zip(values, columns, strict=True)],
                message=told_first(record.message) if record else "no result yet",
                settings={path: text for path, name in varied.items() if (text := value_text(known[name]))},
                command=command_for(known, source),
                provenance=provenances.setdefault(origin, len(provenances)) if record else None,
            )
        )
    return runs, [dict(origin) for origin in provenances]


def _value(value: Any, name: str) -> float | str | None:
    if isinstance(value, float):
        return _number(value)
    return value_text(value, name) or None


def _varied(table: pd.DataFrame) -> dict[str, str]:
    """Dotted path -> column, of what the study varies."""
    return {
        path: name
        for path, name in table.attrs["paths"].items()
        if name in table and table[name].nunique(dropna=False) > 1
    }
