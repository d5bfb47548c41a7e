"""Performance profiles: which share of all problems a line solves, at how many times the smallest cost."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ptychosuite.analysis.labels import metric_label
from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.errors import NothingToDraw
from ptychosuite.reporting.figures.figure_kind import Drawn
from ptychosuite.reporting.figures.shared_target import SharedTargetFigure
from ptychosuite.reporting.figures.target_words import COSTS, LEAST, NOT_KNOWN, counted_problems

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ptychosuite.reporting.figures.material import Material
    from ptychosuite.reporting.page_content import Series

INCHES = (5.6, 3.6)
MANY_INCHES = (9.8, 4.8)  # at most so wide, where there are more than
FEW_LINES = 8
MARKS = 5  # on a line, about
BEYOND = 1.08  # how far the axis goes on behind the last step, where all lines are level
HEADINGS = {
    "line": "",
    "problems": "problems",
    "first": "best",
    "twice": "within twice the best",
    "solved": "solved",
    "never": "never",
    "median": "median {cost}",
    "unknown": "not known",
}


@dataclass(frozen=True)
class ProfileFigure(SharedTargetFigure):
    """Performance profile over all problems, each one condition and seed (Dolan and Moré 2002).

    A run solves its problem where ``metric`` has come to its target for good.

    Parameters
    ----------
    x
        What it costs: "seconds", "iteration" or "data_passes".
    """

    x: Literal["seconds", "iteration", "data_passes"] = "seconds"

    @property
    def stem(self) -> str:
        return f"performance-profile-{self.x}{self.stem_of_target}".replace("_", "-")

    def draw(self, material: Material) -> Drawn:
        """One staircase a line, from the problems on which it is the best to all that it solves."""
        from matplotlib.figure import Figure
        from matplotlib.ticker import PercentFormatter

        from ptychosuite.analysis.to_target import performance_profile, profile_summary, runs_to_target
        from ptychosuite.reporting.legend import draw_remarks
        from ptychosuite.reporting.log_axes import number_ratios
        from ptychosuite.reporting.style import width_of

        metric = self.column_of(material)
        material, without = material.computed_here()
        note = material.timed(self.x)[1] + without
        table = material.table
        runs = runs_to_target(
            table, material.whole, material.dataset, metric, self.share, [self.x], self.target
        )
        profile = performance_profile(runs, self.x)
        if profile.empty or not profile["share"].any():
            raise NothingToDraw(self.nobody_there(metric_label(metric)))
        summary = profile_summary(runs, self.x)
        inches, height = _inches(summary["line"])
        figure = Figure(figsize=(width_of(self.width, inches), height))
        axis = figure.subplots()
        series = material.series("solver")
        most = max(2.0, BEYOND * profile["ratio"].max())
        for line, steps in profile.groupby("line", sort=False):
            _draw_line(axis, steps, most, series[str(line)])
        axis.set(xscale="log", xlim=(1, most), ylim=(0, 1))
        axis.yaxis.set_major_formatter(PercentFormatter(1.0))
        number_ratios(axis, most, inches=0.8 * figure.get_figwidth())
        letters = int(0.75 * figure.get_figwidth() / 0.075)
        axis.set_xlabel(textwrap.fill(f"{COSTS[self.x]}{note}, times the least for the problem", letters))
        axis.set_ylabel("share of the problems solved")
        number = runs["problem"].nunique()
        of = zip(summary["line"], summary["problems"], strict=True)
        draw_remarks(figure, series, {line: _remark(known, number) for line, known in of})
        caption = _caption(self, metric_label(metric), runs, summary, Outcome.of_rows(table))
        text = _as_text(summary, self.x)
        return Drawn(figure, caption, profile, alt=_in_words(summary), table=text)


def _remark(problems: int, of: int) -> str:
    """What the legend says of a line: on how many problems it is judged, where that is not all."""
    return "" if problems == of else "1 problem" if problems == 1 else f"{problems} problems"


def _inches(lines: Sequence[str]) -> tuple[float, float]:
    """Width and height; of many lines, so that they are told apart and their legend has two columns."""
    if len(lines) <= FEW_LINES:
        return INCHES
    two_columns = 2 * (0.75 + 0.075 * max(len(f"{line} – 00 problems") for line in lines))
    return min(MANY_INCHES[0], max(INCHES[0], two_columns)), MANY_INCHES[1]


def _draw_line(axis: Axes, steps: pd.DataFrame, most: float, series: Series) -> None:
    """The staircase, level behind its last step."""
    from ptychosuite.reporting.series import line_style

    ratio, share = np.append(steps["ratio"], most), np.append(steps["share"], steps["share"].iloc[-1])
    spread = np.geomspace(1, most, MARKS + 1)[:-1]
    marked = np.unique(np.searchsorted(ratio[1:-1], spread * (1 - 1e-9))).tolist()
    axis.plot(
        ratio, share, drawstyle="steps-post", markevery=marked, clip_on=False, linewidth=1.4,
        **line_style(series),
    )  # fmt: skip


def _caption(
    figure: ProfileFigure,
    metric: str,
    runs: pd.DataFrame,
    summary: pd.DataFrame,
    outcome: Outcome,
) -> str:
    number = runs["problem"].nunique()
    caption = (
        f"Share of the problems that a line solves at no more than so many times {LEAST[figure.x]} that any "
        f"line takes for the same problem; {counted_problems(number)}. "
        f"{figure.solved_where(metric)} At the left end: how often a line is the best; at the right: "
        f"all that it solves. {outcome.text}; "
        "what failed, diverged, timed out or never gets there is unsolved."
    )
    least = runs[figure.x].groupby(runs["problem"]).min()
    if nobody := int(np.isinf(least).sum()):
        caption += f" {nobody} of the problems no line solves."
    if summary["unknown"].any():
        caption += (
            f" Not known: {NOT_KNOWN}; its problem is left out for its line, and may yet change the others' "
            "ratios."
        )
    if (summary["problems"] < number).any():
        caption += " A line that has not all problems is judged by its own, as many as the legend says."
    return caption


def _as_text(summary: pd.DataFrame, x: str) -> pd.DataFrame:
    """The table as a reader wants it."""
    text, median = summary.astype(str), summary["median"]
    text["median"] = median.map("{:.3g}".format).mask(np.isinf(median), "never").mask(median.isna(), "")
    cost = COSTS[x] + " / s" * (x == "seconds")
    return text.rename(columns={name: heading.format(cost=cost) for name, heading in HEADINGS.items()})


def _in_words(summary: pd.DataFrame) -> str:
    told = [
        f"{row.line} is the best on {row.first} of {row.problems} problems and solves {row.solved}"
        for row in summary.itertuples(index=False)
    ]
    return f"Performance profile. {'; '.join(told[:24])}."
