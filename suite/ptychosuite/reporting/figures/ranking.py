"""The ranking of all lines: by time and iterations to a target, and by how well they end."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ptychosuite.analysis.labels import metric_label
from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.errors import NothingToDraw, StudyError
from ptychosuite.metrics.metric import metric_of
from ptychosuite.reporting.figures.figure_kind import Drawn, Names
from ptychosuite.reporting.figures.shared_target import SharedTargetFigure
from ptychosuite.reporting.figures.target_words import NOT_KNOWN, counted_problems

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ptychosuite.reporting.figures.material import Material
    from ptychosuite.reporting.page_content import Series

TO_TARGET = ("seconds", "iteration")
PANEL_INCHES = 2.1
ROW_INCHES = 0.27
LETTER_INCHES = 0.072
BEYOND = 1.12  # how far an axis goes on behind all that is finite
LEAST_END = 1.5  # of an axis
SMALL = 7  # points


@dataclass(frozen=True)
class RankingFigure(SharedTargetFigure):
    """Time and iterations to a target, and the final ``quality``: each over the best on the same problem.

    The target is that of the performance profile, to which ``metric`` has come for good.

    Parameters
    ----------
    quality
        The metric whose final values are ranked; by default the first that the runs have of phase RMSE, error
        in magnitude and residual.
    """

    names: ClassVar[Names] = Names(curves=("metric",), metrics=("quality",))

    quality: str | None = None

    @property
    def stem(self) -> str:
        return f"ranking{self.stem_of_target}"

    def draw(self, material: Material) -> Drawn:
        """A row a line: dots for medians over the problems, with their intervals; arrows have no end."""
        from ptychosuite.analysis.standings import quality_of, standings
        from ptychosuite.analysis.tables import are_imported, timed
        from ptychosuite.analysis.to_target import runs_to_target

        table = material.table
        metric = self.column_of(material)
        quality = material.column(self.quality) if self.quality else quality_of(table)
        _refuse_costs(quality)
        runs = runs_to_target(table, material.whole, material.dataset, metric, self.share, target=self.target)
        numbers = standings(runs, TO_TARGET, table, quality)
        if not numbers["reached"].any():
            raise NothingToDraw("no run has come to its target, and none has a final value")
        names = {
            "seconds": f"solver time to the target{timed(table)[1]}",
            "iteration": "iterations to the target",
            quality: f"final {metric_label(quality)}",
        }
        lines = _in_order(numbers)
        numbers = numbers.set_index("line").loc[lines].reset_index()
        figure = _draw_panels(numbers, names, material.series("solver"), self.width)
        outside = are_imported(table)
        caption = _caption(self, metric_label(metric), runs, numbers, Outcome.of_rows(table[~outside]))
        if outside.any():
            caption += " Imported results are not timed by us, and are ranked by their ends alone."
        text = _as_text(numbers, names, runs["problem"].nunique())
        return Drawn(figure, caption, numbers, alt=_in_words(text), table=text)


def _refuse_costs(quality: str) -> None:
    metric = metric_of(quality)
    if metric is not None and (metric.needs == "the loop" or metric.better == "neither"):
        raise StudyError(f"a ranking asks for the quality '{quality}', which says nothing of how a run ends")


def _in_order(numbers: pd.DataFrame) -> list[str]:
    """The lines, the first in solver time on top; those that never get there by how often they do."""
    places = numbers.assign(missed=1 - numbers["reached"] / numbers["problems"]).pivot(
        index="line", columns="by", values=["rank", "missed"]
    )
    places = places.loc[numbers["line"].unique()]
    by = [("rank", TO_TARGET[0]), ("missed", TO_TARGET[0]), ("rank", TO_TARGET[1])]
    by += [column for column in places.columns if column[0] == "rank" and column not in by]
    return [str(line) for line in places.sort_values(by, kind="stable").index]


def _draw_panels(
    numbers: pd.DataFrame, names: Mapping[str, str], series: Mapping[str, Series], width: str | None
) -> Figure:
    """A panel each of ``names``, side by side; below each other in a column of a journal."""
    from matplotlib.figure import Figure

    from ptychosuite.reporting.style import on_lines, width_of

    lines = list(numbers["line"].unique())
    longest = max(map(len, lines))
    inches = width_of(width, LETTER_INCHES * longest + len(names) * PANEL_INCHES + 0.4)
    letters = longest if width is None else min(longest, max(12, int(0.35 * inches / LETTER_INCHES)))
    labels = [on_lines(line, letters) for line in lines]
    columns = 1 if width == "column" else len(names)
    heights = np.array([1 + 0.5 * label.count("\n") for label in labels])  # in rows: a long label needs more
    places = np.cumsum(heights) - heights / 2
    height = 1.0 + ROW_INCHES * heights.sum()
    figure = Figure(figsize=(inches, height * len(names) // columns if columns == 1 else height))
    panels = figure.subplots(len(names) // columns, columns, sharey=True, squeeze=False).ravel()
    panel_inches = (inches - LETTER_INCHES * letters - 0.4) / columns
    for axis, (by, name) in zip(panels, names.items(), strict=True):
        rows = numbers[numbers["by"] == by]
        _draw_panel(axis, rows.assign(place=places), series, panel_inches, by in TO_TARGET)
        axis.set_title(textwrap.fill(name, int(panel_inches / LETTER_INCHES)), fontsize="medium")
        metric = metric_of(by)
        axis.set_xlabel("the best, times this" if metric and metric.sign == -1 else "times the best")
        axis.set_yticks(places, labels)
        axis.set_ylim(heights.sum(), 0)
        axis.tick_params(axis="y", length=0)
    return figure


def _draw_panel(
    axis: Axes, rows: pd.DataFrame, series: Mapping[str, Series], inches: float, is_cost: bool
) -> None:
    from ptychosuite.reporting.log_axes import number_ratios

    ratios = rows[["ratio", "ratio_low", "ratio_high"]].to_numpy()
    most = max(LEAST_END, BEYOND * ratios[np.isfinite(ratios)].max(initial=1.0))
    axis.set(xscale="log", xlim=(most**-0.05, most))
    axis.axvline(1, color="0.4", linestyle=":", linewidth=1)
    number_ratios(axis, most, 0.9 * inches)
    for row in rows.itertuples(index=False):
        if row.problems:
            _draw_row(axis, row, most, series[str(row.line)], is_cost)
        else:
            axis.text(1, row.place, " not known", va="center", fontsize=SMALL, color="0.4")


def _draw_row(axis: Axes, row: Any, most: float, series: Series, is_cost: bool) -> None:
    """A dot with its interval; an arrow at the edge for a median without an end."""
    from ptychosuite.reporting.series import line_style

    style, place = {**line_style(series), "linestyle": "none"}, row.place
    if np.isfinite(row.ratio_low):
        ends = [row.ratio_low, min(row.ratio_high, most)]
        axis.plot(ends, [place, place], color=series.colour, linewidth=1.4)
    if np.isfinite(row.ratio):
        axis.plot(row.ratio, place, **style)
        if np.isinf(row.ratio_high):
            axis.plot(most, place, marker=">", color=series.colour, markersize=3, clip_on=False)
        return
    axis.plot(most, place, marker=">", color=series.colour, markersize=6, clip_on=False)
    told = f"{row.reached} of {row.problems}"
    told = f"reached by {told}" if is_cost else f"{told} have one"
    axis.annotate(
        told, (most, place), (-7, 0), textcoords="offset points", ha="right", va="center", fontsize=SMALL,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
    )  # fmt: skip


def _caption(
    figure: RankingFigure, metric: str, runs: pd.DataFrame, numbers: pd.DataFrame, outcome: Outcome
) -> str:
    from ptychosuite.analysis.statistics import interval_name

    problems = counted_problems(runs["problem"].nunique())
    caption = (
        f"{numbers['line'].nunique()} lines ranked on {problems}: each figure over that of the best line on "
        f"the same problem. {figure.solved_where(metric)} Dot: median over the problems. Line: the "
        f"{interval_name(numbers['problems'])}, from three problems on; with an arrow at its end, it has no "
        "upper one. A large arrow: for half of the problems or more, there is none to be had. "
        f"{outcome.text}; what failed, diverged, timed out or never gets there counts as "
        "infinitely long, or as the worst end, and is not dropped. The first in solver time is on top. Equal "
        "medians share a rank (=)."
    )
    if numbers["unknown"].any():
        caption += f" Not known: {NOT_KNOWN}, and may yet change the others' ratios."
    if numbers["problems"].nunique() > 1:
        caption += " A line is judged by the problems whose results are known, as many as the table says."
    return caption


def _as_text(numbers: pd.DataFrame, names: Mapping[str, str], problems: int) -> pd.DataFrame:
    """The table as a reader wants it."""
    import pandas as pd

    parts = {by: numbers[numbers["by"] == by].reset_index(drop=True) for by in names}
    quality = next(by for by in names if by not in TO_TARGET)
    ranks = {"seconds": "rank by time", "iteration": "rank by iterations", quality: "rank by quality"}
    text = pd.DataFrame({"": parts["seconds"]["line"]})
    for by, heading in ranks.items():
        text[heading] = _ranks(parts[by], _never(by))
    text["solved"] = [_solved(row) for row in parts["iteration"].itertuples(index=False)]
    for by, name in names.items():
        unit = " / s" if by == "seconds" else ""
        text[name + unit] = [_figure(row, by, problems) for row in parts[by].itertuples(index=False)]
    return text


def _ranks(rows: pd.DataFrame, never: str) -> list[str]:
    """ "1", "2=" of equals, "5 (never)" where the median has no end; empty where nothing is known."""
    counts = rows["rank"].value_counts()
    return [
        ""
        if np.isnan(rank)
        else f"{rank:.0f}" + "=" * bool(counts[rank] > 1) + f" ({never})" * bool(np.isinf(ratio))
        for rank, ratio in zip(rows["rank"], rows["ratio"], strict=True)
    ]


def _solved(row: Any) -> str:
    if not row.problems:
        return "not known"
    return f"{row.reached} of {row.problems}" + (f", {row.unknown} not known" if row.unknown else "")


def _figure(row: Any, by: str, problems: int) -> str:
    """ "4.1 (3.2 to 5)"; "never" where the median has no end; and of how many problems, if not of all."""
    if not row.problems:
        return ""
    metric = metric_of(by)
    text = metric.text if metric and by not in TO_TARGET else "{:.3g}".format
    told = [text(value) if np.isfinite(value) else _never(by) for value in (row.median, row.low, row.high)]
    is_wide = not np.isnan(row.low) and row.high > row.low
    interval = f" ({told[1]} to {told[2]})" if is_wide else ""
    return told[0] + interval + (f"; {row.problems} of {problems} problems" * (row.problems < problems))


def _never(by: str) -> str:
    """Of a median without an end."""
    return "never" if by in TO_TARGET else "none"


def _in_words(text: pd.DataFrame) -> str:
    told = [f"{row[0]}: {row[1]}" for row in text.iloc[:24, :2].to_numpy()]
    return f"Ranks in solver time. {'; '.join(told)}."
