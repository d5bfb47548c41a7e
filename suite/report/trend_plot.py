"""One series over the nights: points, intervals, levels, and where they changed."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from suite.analysis.trend import Change, Series, Trend
from suite.analysis.verdict import Judgement
from suite.report.style import COLOURS

COMMIT_DIGITS = 7
MARKERS = {  # shape, size, colour of edge and face: told apart without colour as well
    Judgement.GOOD: ("o", 3.5, COLOURS[0], COLOURS[0]),
    Judgement.IMPROVEMENT: ("^", 6.5, COLOURS[2], COLOURS[2]),
    Judgement.UNDECIDED: ("o", 6.5, COLOURS[0], "white"),
    Judgement.REGRESSION: ("X", 7.5, COLOURS[1], COLOURS[1]),
}


def draw_series(trend: Trend, series: Series) -> Figure:
    """The change from the reference in per cent, against the date of the check."""
    figure = Figure(figsize=(9, 2.1))
    axis = figure.subplots()
    dates = np.asarray([_utc(night.when) for night in trend.nights])
    allowed = 100 * series.tolerance
    axis.axhspan(-allowed, allowed, color="0.93", zorder=0)
    axis.axhline(0, color="0.6", linewidth=0.8)
    _draw_points(axis, series, dates)
    _draw_levels(axis, series, dates)
    for change in series.changes:
        text = f"{step_text(change)} {commit_range(trend.commits(change))}"
        _draw_border(axis, dates, change.first_after, text, 0.98, COLOURS[1], "--")
    axis.set_ylabel("change / %")
    axis.margins(y=0.25)
    return figure


def step_text(change: Change) -> str:
    """The step from one level to the next, "+9.7 %"."""
    return percent_text(change.after / change.before)


def percent_text(ratio: float) -> str:
    """How far a ratio is from 1, "+9.7 %"."""
    return f"{_percent(ratio):+.2g} %"


def commit_range(commits: tuple[str, str]) -> str:
    """The commits in which a change lies, as git writes it; empty where one of them is not known."""
    return "..".join(commit[:COMMIT_DIGITS] for commit in commits) if all(commits) else ""


def _draw_points(axis: Axes, series: Series, dates: np.ndarray) -> None:
    for judgement, (shape, size, edge, face) in MARKERS.items():
        points = [point for point in series.points if point.judgement is judgement]
        at = dates[[point.night for point in points]]
        ratios = [_percent(point.ratio) for point in points]
        axis.plot(at, ratios, shape, markersize=size, markeredgecolor=edge, markerfacecolor=face, zorder=3)
    timed = [point.night for point in series.points if point.interval]
    intervals = [point.interval for point in series.points if point.interval]
    low, high = ([_percent(interval[end]) for interval in intervals] for end in (0, 1))
    axis.vlines(dates[timed], low, high, color=COLOURS[0], alpha=0.35, linewidth=1.2)


def _draw_levels(axis: Axes, series: Series, dates: np.ndarray) -> None:
    for number, level in enumerate(series.levels):
        ends = dates[[level.first, level.last]]
        axis.plot(ends, [_percent(level.ratio)] * 2, color="black", linewidth=1.1, zorder=2)
        if level.is_fresh and number > 0:
            _draw_border(axis, dates, level.first, "new reference", 0.12, "0.5", ":")


def _draw_border(
    axis: Axes, dates: np.ndarray, night: int, text: str, height: float, colour: str, style: str
) -> None:
    """A line before ``night``, half way from the one before it, with ``text`` below ``height``, a share."""
    place = dates[night] - (dates[night] - dates[night - 1]) / 2
    axis.axvline(place, color=colour, linestyle=style, linewidth=1)
    axis.annotate(
        text, (place, height), xycoords=("data", "axes fraction"),
        xytext=(3, 0), textcoords="offset points", fontsize=7.5, verticalalignment="top",
    )  # fmt: skip


def _utc(when: str) -> np.datetime64:
    return np.datetime64(datetime.fromisoformat(when).replace(tzinfo=None), "s")


def _percent(ratio: float) -> float:
    return 100 * (ratio - 1)
