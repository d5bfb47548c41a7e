"""What a report says at a glance: cards, how the runs ended, the summary, heat maps as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ptychosuite.analysis.conditions import condition_columns, conditions
from ptychosuite.analysis.heat_grid import HeatCell, shades
from ptychosuite.analysis.labels import metric_label
from ptychosuite.analysis.selection import Selection
from ptychosuite.analysis.speed_up_pairs import Goal, speed_up_pairs, speed_up_summary
from ptychosuite.analysis.summary import Figure, Group, groups_of, metrics_of
from ptychosuite.errors import NothingToDraw, UserError
from ptychosuite.metrics.metric import Metric, metric_of
from ptychosuite.registry.validation import SettingError
from ptychosuite.reporting.drawing import figure_of, with_constants
from ptychosuite.reporting.figures.heatmap import HeatmapFigure, cell_text
from ptychosuite.reporting.figures.material import Material, RunFiles
from ptychosuite.reporting.page_content import Card, Cell, HeatTable, Matrix, TextTable

HEADLINE = ("error", "poisson_deviance", "residual")  # the first that the runs have is what a card is about
MOST_CARDS = 9
SPEED_UPS = 4  # cards of speed-ups beside them


def groups(selection: Selection) -> list[Group]:
    """The planned runs by condition, in order, and by line."""
    order = conditions(selection.table)
    found = groups_of(selection.table, condition_columns(selection.table))
    return sorted(found, key=lambda group: order.index(group.condition))


def cards(selection: Selection, found: Sequence[Group]) -> list[Card]:
    """How many runs completed; of each condition the best line and the first at the tolerance; speed-ups."""
    outcome = selection.outcome
    result = [Card("runs completed", outcome.short, outcome.others, is_warning=not outcome.is_sound)]
    name = next((name for name in HEADLINE if any(name in group.figures for group in found)), None)
    metric = metric_of(name) if name else None
    if metric is not None:
        by_condition: dict[str, list[Group]] = {}
        for group in found:
            by_condition.setdefault(group.condition, []).append(group)
        if len(by_condition) > MOST_CARDS:
            result.append(_wins(by_condition, metric))
        else:
            result += [_card(*item, metric) for item in by_condition.items()]
    return result + _speed_ups(selection)


def _card(condition: str, lines: Sequence[Group], metric: Metric) -> Card:
    best = _best(lines, metric.name, metric.sign)
    if best is None:
        told = [f"{group.line}: {group.outcome.text}" for group in lines]
        return Card(condition, "no line to compare", told[:6], is_warning=True)
    told = [f"best {metric_label(metric.name)}: {figure_text(best.figures[metric.name], metric)}"]
    soonest = _best(lines, "seconds_to_tol", 1)
    if soonest is not None:
        figure = soonest.figures["seconds_to_tol"]
        told.append(f"first at the tolerance{figure.note}: {soonest.line}, {figure.median:.3g} s")
    leaders = {group.line: group.outcome for group in (best, soonest) if group is not None}
    told += [
        f"{line}: {outcome.text}"
        for line, outcome in leaders.items()
        if line != best.line and outcome.above_start
    ]
    left_out = [group.line for group in lines if not group.outcome.can_lead]
    told += [f"{best.outcome.text}"]
    if left_out:
        told.append(f"not compared, too few completed: {', '.join(left_out)}")
    is_warning = bool(left_out) or not all(outcome.is_sound for outcome in leaders.values())
    return Card(condition, best.line, told, is_warning=is_warning)


def _wins(by_condition: Mapping[str, Sequence[Group]], metric: Metric) -> Card:
    best = (_best(lines, metric.name, metric.sign) for lines in by_condition.values())
    counts = Counter(group.line for group in best if group is not None)
    value, *told = [f"{line}: {count}" for line, count in counts.most_common(6)] or ["no line to compare"]
    title = f"best {metric_label(metric.name)}, of {len(by_condition)} conditions"
    return Card(title, value, told, is_warning=not counts)


def _best(lines: Sequence[Group], name: str, sign: int) -> Group | None:
    """The line with the best median; one of which most runs did not complete is no candidate."""
    known = [
        line
        for line in lines
        if line.outcome.can_lead and name in line.figures and np.isfinite(line.figures[name].median)
    ]
    return min(known, key=lambda line: sign * line.figures[name].median, default=None)


def _speed_ups(selection: Selection) -> list[Card]:
    """Of fast-forwarded runs over their plain partners, to the plain run's likelihood."""
    if "poisson_nll_curve" not in selection.dataset:
        return []
    pairs = speed_up_pairs(selection.table, selection.dataset, Goal("poisson_nll", "seconds"))
    if pairs.empty:
        return []
    from ptychosuite.reporting.figures.speed_up import between_text, interval_text

    found, summary = [], speed_up_summary(pairs)
    for row in summary.head(SPEED_UPS).itertuples(index=False):
        told = [f"95 % interval: {interval_text(row)}"]
        told.append(f"{row.pairs} pairs, {row.never_reached} never reach what the plain run ends with")
        if untimed := pairs.attrs["untimed"]:
            told.append(f"of all lines {untimed} pairs left out: not both runs are of the timing lane")
        if (more := len(summary) - SPEED_UPS) > 0:
            told.append(f"{more} more lines have none here; a figure of the kind speed-up has all")
        speed_up = between_text(row.speed_up, row.speed_up_bound)
        value = speed_up if speed_up == "not known" else f"{speed_up} times"
        found.append(Card(f"speed-up in solver time{pairs.attrs['note']}: {row.line}", value, told))
    return found


def matrix(found: Sequence[Group]) -> Matrix:
    """How the runs of each condition and line ended."""
    rows, columns = (
        [*dict.fromkeys(getattr(group, name) for group in found)] for name in ("condition", "line")
    )
    outcomes = {(group.condition, group.line): group.outcome for group in found}
    cells = [[outcomes.get((row, column)) for column in columns] for row in rows]
    return Matrix(columns, rows, cells)


def summary_table(selection: Selection, found: Sequence[Group]) -> TextTable:
    """One row a condition and line; the best of a condition are marked, and all that are equal to it."""
    metrics = metrics_of(selection.table)
    notes = {name: figure.note for group in found for name, figure in group.figures.items()}
    header = ["condition", "line", "completed", *(metric_label(m.name) + notes[m.name] for m in metrics)]
    rows = [
        [group.condition, group.line, _completed(group),
         *(figure_text(group.figures[metric.name], metric) for metric in metrics)]
        for group in found
    ]  # fmt: skip
    best = set()
    for condition in dict.fromkeys(group.condition for group in found):
        lines = {place: group for place, group in enumerate(found) if group.condition == condition}
        for column, metric in enumerate(metrics, start=3):
            leader = (
                _best([*lines.values()], metric.name, metric.sign) if metric.better != "neither" else None
            )
            if leader is None or len(lines) == 1:
                continue
            value = leader.figures[metric.name].median
            best |= {
                (place, column)
                for place, group in lines.items()
                if group.outcome.can_lead and group.figures[metric.name].median == value
            }
    return TextTable(header, rows, frozenset(best))


def _completed(group: Group) -> str:
    met = "" if group.met_tolerance is None else f"; {group.met_tolerance} met the tolerance"
    return group.outcome.text.replace(" completed", "", 1) + met


def figure_text(figure: Figure, metric: Metric) -> str:
    """A median with its interval, "71.2 (70.1 to 73.0)"; empty where no run has it."""
    if np.isnan(figure.median):
        return ""
    text = metric.text(figure.median)
    if not figure.has_interval:
        return text
    return f"{text} ({metric.text(figure.low)} to {metric.text(figure.high)})"


def heat_tables(selection: Selection, files: RunFiles) -> list[HeatTable]:
    """The heat maps of the study, a table each panel; none of one that cannot be drawn."""
    tables = []
    for settings in selection.figures:
        if settings.get("kind") != "heatmap":
            continue
        whole = Material(selection.table, selection.dataset, files, selection.table)
        try:
            figure = figure_of(settings)
            assert isinstance(figure, HeatmapFigure)
            material = with_constants(whole, figure, selection).narrowed(figure.where)
            grids, metric, note, over = figure.grids(material)
        except (NothingToDraw, UserError, SettingError):  # where it is printed the page says why
            continue
        name = metric_label(material.column(figure.value)) + note
        direction = f"; {metric.better} is better" if metric and metric.better != "neither" else ""
        for grid, shade in zip(grids, shades(grids, metric), strict=True):
            cells = [
                [_cell(cell, shade[row, column]) for column, cell in enumerate(line)]
                for row, line in enumerate(grid.cells)
            ]
            title = " · ".join(filter(None, [figure.title or name, grid.title]))
            caption = f"{name[0].upper()}{name[1:]}, {over}{direction}."
            x, y = (axis.rsplit(".", 1)[-1] for axis in (figure.x, figure.y))
            better = metric.better if metric else "neither"
            tables.append(HeatTable(title, caption, x, y, grid.columns, grid.rows, cells, better))
    return tables


def _cell(cell: HeatCell, shade: Any) -> Cell:
    interval = f", {cell.low:.4g} to {cell.high:.4g}" if np.isfinite([cell.low, cell.high]).all() else ""
    told = cell.outcome.text + interval if cell.outcome.planned else "not planned"
    value = None if np.isnan(shade) else float(shade)
    return Cell(cell_text(cell), cell.state, value, cell.is_best, told)
