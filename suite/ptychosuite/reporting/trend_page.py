"""One series over the nights: points, intervals, levels, and where they changed.

The trend page: the latest verdict, what changed over the nights, and the series that matter.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ptychosuite import __version__
from ptychosuite.analysis.trend import Change, Loss, Series, Trend, trend_of
from ptychosuite.analysis.verdict import Judgement, Verdict
from ptychosuite.errors import StoreError
from ptychosuite.reporting.style import COLOURS, house_style, render
from ptychosuite.reporting.verdict_text import HEADER, row, sentence
from ptychosuite.store.layout import place

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
    lost, (shape, size, edge, face) = [loss.night for loss in series.losses], MARKERS[Judgement.REGRESSION]
    top = axis.get_xaxis_transform()
    axis.plot(
        dates[lost], [1.0] * len(lost), shape, ms=size, mec=edge, mfc=face, transform=top, clip_on=False
    )


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


MOST_PLOTS = 24
PLOTS_OF_GOOD = 8  # at least so many are drawn, where all is well
MOST_ROWS = 2000  # of a table
SYMBOLS = {
    Judgement.REGRESSION: "✖",
    Judgement.UNDECIDED: "?",
    Judgement.IMPROVEMENT: "▲",
    Judgement.GOOD: "✓",
}


@dataclass(frozen=True)
class Event:
    """All that changed between the same two nights."""

    when: str  # day of the first night after
    commits: str  # "A..B"; empty where they are not known
    also: Sequence[str]  # what else changed: packages, machine
    series: Sequence[tuple[str, str, str]]  # subject, quantity, step


@dataclass(frozen=True)
class Plot:
    """A series as the page shows it."""

    title: str
    alt: str
    source: str  # data URI


def write_trend(verdicts: Sequence[Verdict], folder: Path) -> Path:
    """Write ``folder/<study>-trend.html``, one self-contained page, and return its path.

    Parameters
    ----------
    verdicts
        Of the checks of one study, in any order; at least one.
    folder
        Made where it does not exist. A page that is there is replaced at the end, in one step.

    Raises
    ------
    StoreError
        There is no verdict, or the folder cannot be written.
    """
    if not verdicts:
        raise StoreError("no check is on record; make one with: ptychosuite check STUDY --baseline NAME")
    page = folder / f"{verdicts[0].study}-trend.html"
    place(page).replace(_page(trend_of(verdicts)).encode())
    return page


def plotted(trend: Trend) -> list[Series]:
    """The series worth a plot: those that changed or are not good, then the furthest from their baseline."""
    last = len(trend.nights) - 1
    varying = [series for series in trend.series if not series.is_constant]
    worth = [series for series in varying if series.changes or not _is_good(series, last)]
    others = [series for series in varying if series not in worth]
    return [*worth, *others[: max(0, PLOTS_OF_GOOD - len(worth))]][:MOST_PLOTS]


def _is_good(series: Series, night: int) -> bool:
    return series.latest.night != night or series.latest.judgement is Judgement.GOOD


def _page(trend: Trend) -> str:
    latest = trend.nights[-1]
    findings = [
        (SYMBOLS[finding.judgement], finding.judgement, row(finding)) for finding in latest.worst_first
    ]
    told = [finding for finding in findings if finding[1] is not Judgement.GOOD]
    return render(
        "trend.html.j2",
        study=latest.study,
        judgement=latest.judgement,
        symbol=SYMBOLS[latest.judgement],
        sentence=sentence(latest),
        facts=_facts(trend),
        events=list(_events(trend)),
        header=HEADER,
        told=told[:MOST_ROWS],
        good=[finding for finding in findings if finding[1] is Judgement.GOOD][:MOST_ROWS],
        plots=list(_plots(trend)),
        series=[_series_row(trend, series) for series in trend.series[:MOST_ROWS]],
        number_of_series=len(trend.series),
        version=__version__,
    )


def _facts(trend: Trend) -> list[tuple[str, str]]:
    first, latest = trend.nights[0], trend.nights[-1]
    facts = [("checks", f"{len(trend.nights)}, {first.when[:10]} to {latest.when[:10]}")]
    commit = latest.environment.get("git_commit")
    if commit:
        dirty = ", with changes" if latest.environment.get("git_dirty") else ""
        facts.append(("commit", f"{commit[:12]}{dirty}"))
    if latest.environment.get("cpu"):
        facts.append(("machine", str(latest.environment["cpu"])))
    return facts


def _events(trend: Trend) -> Iterator[Event]:
    def nights(pair: tuple[Series, Change]) -> tuple[int, int]:
        return pair[1].last_before, pair[1].first_after

    for (_, after), pairs in groupby(sorted(trend.changes, key=nights, reverse=True), key=nights):
        members = list(pairs)
        change = members[0][1]
        series = [(each.subject, each.quantity, step_text(step)) for each, step in members]
        when = trend.nights[after].when[:10]
        yield Event(when, commit_range(trend.commits(change)), trend.also_changed(change), series)


def _plots(trend: Trend) -> Iterator[Plot]:
    with house_style():
        for series in plotted(trend):
            yield Plot(
                f"{series.subject}: {series.quantity}", _alt(trend, series), _svg(draw_series(trend, series))
            )


def _alt(trend: Trend, series: Series) -> str:
    """What the plot shows, in words."""
    text = f"{len(series.points) + len(series.losses)} checks, the latest {_latest(trend, series)}"
    text += f" and {series.latest.judgement}"
    if series.losses:
        text += f"; without a number in {len(series.losses)}, marked at the top"
    for change in series.changes:
        text += f"; {step_text(change)} on {trend.nights[change.first_after].when[:10]}"
    return text


def _svg(figure: Figure) -> str:
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(content.getvalue()).decode()}"


def _latest(trend: Trend, series: Series) -> str:
    """Where a series stands, and since when where the last check does not have it."""
    latest = series.latest
    told = "without a number" if isinstance(latest, Loss) else f"at {percent_text(latest.ratio)}"
    is_old = latest.night != len(trend.nights) - 1
    return told + f" on {trend.nights[latest.night].when[:10]}" * is_old


def _series_row(trend: Trend, series: Series) -> list[str]:
    ratios = [point.ratio for point in series.points]
    span = f"{percent_text(min(ratios))} to {percent_text(max(ratios))}"
    steps = ", ".join(step_text(change) for change in series.changes)
    checks, latest = str(len(ratios) + len(series.losses)), _latest(trend, series).removeprefix("at ")
    return [series.subject, series.quantity, checks, latest, span, steps]
