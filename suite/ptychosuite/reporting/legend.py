"""The legend of a figure of lines: each that was planned, and how many of its runs completed."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.reporting.page_content import Series
from ptychosuite.reporting.series import line_style
from ptychosuite.reporting.style import legend_columns, on_lines

LINE_INCHES = 0.19
SPEAK_FOR_THEMSELVES = ("solver", "fast_forward", "object", "probe", "scan", "backend", "dtype")
"""Factors whose values are words that say what they are of."""


def draw_legend(
    figure: Figure, series: Mapping[str, Series], outcomes: Mapping[str, Outcome], factor: str = "solver"
) -> None:
    """Below ``figure``, an entry for each line; one of which no run completed has its entry all the same.

    Values of a ``factor`` that do not speak for themselves stand below its name.
    """
    remarks = {label: "" if outcome.is_sound else _remark(outcome) for label, outcome in outcomes.items()}
    draw_remarks(figure, series, remarks, "" if factor in SPEAK_FOR_THEMSELVES else factor)


def draw_remarks(
    figure: Figure, series: Mapping[str, Series], remarks: Mapping[str, str], title: str = ""
) -> None:
    """Below ``figure``, an entry for each label of ``remarks``, with what there is to say of it."""
    names = [label + (f" – {remark}" if remark else "") for label, remark in remarks.items()]
    letters = int((figure.get_figwidth() - 0.7) / 0.075)
    names = [on_lines(name, letters, indent="  ") for name in names]
    handles = [Line2D([], [], **line_style(series[label])) for label in remarks]
    columns = legend_columns(figure, names)
    rows = -(-len(names) // columns) + bool(title)
    figure.set_figheight(figure.get_figheight() + LINE_INCHES * max(0, rows - 2))  # there is room for two
    figure.legend(
        handles, names, loc="outside lower center", ncols=columns, handlelength=3.4, title=title or None
    )


def _remark(outcome: Outcome) -> str:
    """ "3 of 5 completed, 1 of them above its start"; what did not complete is in the caption."""
    return ", ".join([f"{outcome.short} completed", *outcome.others[: bool(outcome.above_start)]])
