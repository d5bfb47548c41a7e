"""The legend of a figure of lines: each that was planned, and how many of its runs completed."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.reporting.page_content import Series
from ptychosuite.reporting.series import line_style
from ptychosuite.reporting.style import legend_columns


def draw_legend(figure: Figure, series: Mapping[str, Series], outcomes: Mapping[str, Outcome]) -> None:
    """Below ``figure``, an entry for each line; one of which no run completed has its entry all the same."""
    names = [
        label + ("" if outcome.is_whole else f" – {outcome.short} completed")
        for label, outcome in outcomes.items()
    ]
    handles = [Line2D([], [], **line_style(series[label])) for label in outcomes]
    columns = legend_columns(figure, names)
    figure.legend(handles, names, loc="outside lower center", ncols=columns, handlelength=3.4)
