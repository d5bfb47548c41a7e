"""The speed-up of fast-forwarded runs over their plain partners: a strip of pairs, and a table."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from ptychosuite.analysis.labels import metric_label
from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.errors import NothingToDraw
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind, Names
from ptychosuite.reporting.figures.target_words import COSTS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ptychosuite.reporting.figures.material import Material

BEYOND = 0.85  # how far left of all bounds an interval goes whose lower end, 0, no logarithmic axis has
WIDE = 6  # from one end of the axis to the other: beyond that, labels have room for fewer ticks
HEADINGS = {
    "line": "",
    "pairs": "pairs",
    "never_reached": "never reached",
    "speed_up": "median speed-up",
    "interval": "95 % interval",
    "ended_worse": "ended worse",
    "worst_final_ratio": "final {metric} over plain, worst",
    "frc_change": "FRC crossing, change",
    "half_frc_change": "half-scan FRC crossing, change",
    "phase_change_rad": "phase RMSE, change / rad",
    "rejected": "jumps rejected",
    "inference_seconds": "inference / s",
}


@dataclass(frozen=True)
class SpeedUpFigure(FigureKind):
    """How much sooner fast-forwarded runs reach what their plain partners end with, in ``metric``.

    Parameters
    ----------
    metric
        One that has a curve.
    x
        What is saved: "seconds", "iteration" or "data_passes".
    within
        How much more than the plain run's final value will do, as a share of it: 0.01 for one per cent.
    """

    runs: ClassVar[Literal["ended", "all"]] = "all"  # one that failed has not reached its target: it counts
    names: ClassVar[Names] = Names(curves=("metric",))

    metric: str = "poisson_nll"
    x: Literal["seconds", "iteration", "data_passes"] = "seconds"
    within: Annotated[float, Ge(0)] = 0.0

    @property
    def stem(self) -> str:
        return f"speed-up-{self.x}".replace("_", "-")

    def draw(self, material: Material) -> Drawn:
        """One dot a pair, a bar for the median and a line for its interval; arrows are bounds."""
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator

        from ptychosuite.analysis.speed_up_pairs import speed_up_pairs, speed_up_summary
        from ptychosuite.reporting.style import width_of

        metric = material.column(self.metric)
        pairs = speed_up_pairs(material.table, material.dataset, metric, self.x, self.within)
        if pairs.empty:
            raise NothingToDraw("no fast-forwarded run has a plain partner that completed")
        summary = speed_up_summary(pairs)
        longest = max(len(line) for line in summary["line"])
        inches = width_of(self.width, 4.2 + 0.07 * longest)
        figure = Figure(figsize=(inches, 0.9 + 0.42 * len(summary)))
        axis = figure.subplots()
        series = material.series("solver")
        least = BEYOND * min([1.0, *pairs["bound"][pairs["bound"] > 0]])
        for place, row in enumerate(summary.itertuples(index=False)):
            members = pairs[pairs["line"] == row.line]
            _draw_line(axis, place, members, row, least, series[str(row.line)].colour)
        axis.axvline(1, color="0.4", linestyle=":", linewidth=1)
        axis.set(xscale="log", yticks=range(len(summary)))
        letters = max(12, int(0.4 * inches / 0.075)) if self.width else longest
        axis.set_yticklabels([textwrap.fill(line, letters) for line in summary["line"]])
        axis.xaxis.set_major_locator(LogLocator(2))
        wide = axis.get_xlim()[1] > WIDE * axis.get_xlim()[0]
        axis.xaxis.set_minor_locator(LogLocator(2, subs=[1.5] if wide else [1.25, 1.5, 1.75]))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_formatter("{x:g}")
        axis.tick_params(axis="x", which="minor", labelsize=7, labelcolor="0.4")
        axis.set_xlabel(f"speed-up in {COSTS[self.x]}")
        axis.set_ylim(len(summary) - 0.5, -0.5)
        axis.grid(False, axis="y")
        side, worse = ("below", "more") if pairs.attrs["sign"] == 1 else ("above", "less")
        more = f", or {self.within:.3g} of it {worse}" if self.within else ""
        caption = (
            f"Speed-up of fast-forwarded runs: {COSTS[self.x]} until the {metric_label(metric)} stays "
            f"at or {side} what the plain run with the same data, seed and solver ends with{more}. "
            "A dot is a pair; an arrow is a run that never gets there, drawn at the bound that its length "
            "sets. Bar: median; line: its 95 % interval by order statistics, in which such runs may be "
            "slower than all others. Ended worse: by more than 0.1 %. "
            f"{Outcome.of_rows(material.table).text}; a plain run that did not complete has no pair."
        )
        table = _as_text(summary, metric_label(metric))
        return Drawn(figure, caption, pairs, alt=_in_words(summary), table=table)


def _draw_line(axis: Axes, place: int, members: pd.DataFrame, row: Any, least: float, colour: str) -> None:
    from matplotlib.markers import CARETLEFT

    offsets = place + np.linspace(-0.18, 0.18, len(members)) * (len(members) > 1)
    there = np.isfinite(members["reached"].to_numpy())
    bounds = members["bound"].to_numpy()
    axis.plot(bounds[there], offsets[there], "o", color=colour, ms=4, alpha=0.7, mew=0)
    bounded = ~there & (bounds > 0)
    axis.plot(bounds[bounded], offsets[bounded], marker=CARETLEFT, ls="", mfc="white", mec=colour, ms=6)
    if np.isfinite(row.interval_high):
        ends = [max(row.interval_low, least), row.interval_high]
        axis.plot(ends, [place, place], color=colour, linewidth=1.4)
    axis.plot([row.speed_up_bound] * 2, [place - 0.3, place + 0.3], color=colour, linewidth=2.6)


def _in_words(summary: pd.DataFrame) -> str:
    told = [
        f"{row.line}: {row.speed_up_bound:.2f} times, {row.pairs} pairs, {row.never_reached} never get there"
        for row in summary.itertuples(index=False)
    ]
    return f"Median speed-ups. {'; '.join(told[:24])}."


def _as_text(summary: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The table as a reader wants it."""
    import pandas as pd

    text = pd.DataFrame({"line": summary["line"], "pairs": summary["pairs"].astype(str)})
    text["never_reached"] = summary["never_reached"].astype(str)
    bounds = zip(summary["speed_up"], summary["speed_up_bound"], strict=True)
    text["speed_up"] = [f"{low:.2f}" if low == high else f"below {high:.2f}" for low, high in bounds]
    ends = zip(summary["interval_low"], summary["interval_high"], strict=True)
    text["interval"] = [_interval(low, high) for low, high in ends]
    text["ended_worse"] = summary["ended_worse"].astype(str)
    text["worst_final_ratio"] = summary["worst_final_ratio"].map("{:.4f}".format)
    for name in ("frc_change", "half_frc_change", "phase_change_rad"):
        if name in summary and summary[name].notna().any():
            text[name] = summary[name].map("{:+.2g}".format)
    text["rejected"] = summary["rejected"].map("{:.0%}".format)
    text["inference_seconds"] = summary["inference_seconds"].map("{:.2g}".format)
    return text.rename(columns={name: title.format(metric=metric) for name, title in HEADINGS.items()})


def _interval(low: float, high: float) -> str:
    if not np.isfinite(high):
        return "too few pairs"
    return f"{low:.2f} to {high:.2f}" if low > 0 else f"below {high:.2f}"
