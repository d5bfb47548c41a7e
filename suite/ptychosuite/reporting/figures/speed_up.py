"""The speed-up of fast-forwarded runs over their plain partners: a strip of pairs, and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from ptychosuite.analysis.labels import metric_label
from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.errors import NothingToDraw, StudyError
from ptychosuite.metrics.metric import NOISE_LEVELS
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind, Names
from ptychosuite.reporting.figures.target_words import COSTS, no_deviance, noise_leaves

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ptychosuite.analysis.speed_up_pairs import Goal
    from ptychosuite.core.problem import Problem
    from ptychosuite.reporting.figures.material import Material
    from ptychosuite.reporting.page_content import Series

BEYOND = 0.85  # how far left of all bounds an interval goes whose lower end, 0, no logarithmic axis has
WIDE = 6  # from one end of the axis to the other: beyond that, labels have room for fewer ticks
FEWEST = 6  # pairs that have an interval
METRICS = {"plain": "poisson_nll", "noise": "poisson_deviance", "best": "held_out_deviance"}
WITHIN = {"plain": 0.0, "noise": 0.1, "best": 0.05}
HEADINGS = {
    "line": "",
    "pairs": "pairs",
    "reached": "reached by both, it alone, plain alone, neither",
    "never_reached": "never reached",
    "unknown": "no target",
    "noise_limited": "noise-limited",
    "speed_up": "median speed-up",
    "interval": "95 % interval",
    "ended_worse": "ended worse",
    "final_ratio": "final {metric} over plain",
    "worst_final_ratio": "final {metric} over plain, worst",
    "held_out_ratio": "held-out deviance over plain",
    "frc_change": "FRC crossing, change",
    "half_frc_change": "half-scan FRC crossing, change",
    "phase_change_rad": "phase RMSE, change / rad",
    "artefact_change_rad": "phase artefacts, change / rad",
    "rejected": "jumps rejected or not tried",
    "inference_seconds": "inference / s",
    "clock": "of the time: steps, inference, look-ahead",
}


@dataclass(frozen=True)
class SpeedUpFigure(FigureKind):
    """How much sooner fast-forwarded runs reach a target in ``metric`` than their plain partners.

    Parameters
    ----------
    metric
        One that has a curve: by default ``poisson_nll``, for the target "noise" ``poisson_deviance``, for the
        target "best" ``held_out_deviance``.
    x
        What is saved: "seconds", "iteration" or "data_passes".
    target
        "plain" is what the plain run ends with. "noise" is what noise leaves of a deviance: what the truth
        has on the same counts, of measured data what the plain run's model expects; the study has to say
        ``metrics: [truth_deviance]``, for measured data ``[expected_deviance]``. "best" is the best value on
        the plain run's whole way; it counts as reached where a curve is there for the first time.
    within
        How much worse than the target will do, as a share of it: 0.01 for one per cent. By default 0 of
        "plain", 0.1 of "noise", 0.05 of "best".
    at
        Number of iterations after which both runs are taken to end, so that long runs answer for shorter
        ones; by default where they do. What is known only for their real ends is then left out.
    """

    runs: ClassVar[Literal["ended", "all"]] = "all"  # one that failed has not reached its target: it counts
    names: ClassVar[Names] = Names(curves=("metric",))

    metric: str | None = None
    x: Literal["seconds", "iteration", "data_passes"] = "seconds"
    target: Literal["plain", "noise", "best"] = "plain"
    within: Annotated[float, Ge(0)] | None = None
    at: Annotated[int, Ge(1)] | None = None

    @property
    def stem(self) -> str:
        parts = ["speed-up", self.x, *[self.target] * (self.target != "plain")]
        return "-".join([*parts, *([] if self.at is None else ["at", str(self.at)])]).replace("_", "-")

    @property
    def asks_for(self) -> Sequence[Sequence[str]]:
        return ((self._metric,), *[NOISE_LEVELS] * (self.target == "noise"))

    @property
    def _metric(self) -> str:
        return METRICS[self.target] if self.metric is None else self.metric

    def lacks(self, problem: Problem, solver: Any) -> str:
        return no_deviance(self._metric) if self.target == "noise" else ""

    def draw(self, material: Material) -> Drawn:
        """One dot a pair, a bar for the median and a line for its interval; arrows are bounds."""
        from ptychosuite.analysis.speed_up_pairs import Goal, speed_up_pairs, speed_up_summary

        if self.target == "noise" and (reason := no_deviance(self._metric)):
            raise StudyError(reason)
        within = WITHIN[self.target] if self.within is None else self.within
        goal = Goal(material.column(self._metric), self.x, self.target, within, self.at)
        pairs = speed_up_pairs(material.table, material.dataset, goal, material.lines("solver"))
        if pairs.empty:
            raise NothingToDraw(_why_no_pair(pairs, self.at))
        summary = speed_up_summary(pairs)
        figure = _figure_of(pairs, summary, material.series("solver"), self.width)
        note, outcome = pairs.attrs["note"], Outcome.of_rows(material.table)
        figure.axes[0].set_xlabel(f"speed-up in {COSTS[self.x]}{note}")
        caption = " ".join([_what(goal, note), *_marks(pairs), f"{outcome.text};"])
        caption += " a plain run that did not complete has no pair."
        if short := pairs.attrs["ended_before"]:
            caption += f" Left out: {short} plain runs that ended before iteration {self.at}."
        if untimed := pairs.attrs["untimed"]:
            caption += f" Left out: {_pairs(untimed)} of which not both runs are of the timing lane."
        table = _as_text(summary, metric_label(goal.metric))
        return Drawn(figure, caption, pairs, alt=_in_words(summary), table=table)


def _why_no_pair(pairs: pd.DataFrame, at: int | None) -> str:
    if pairs.attrs.get("ended_before"):
        return f"every plain run that completed ended before iteration {at}"
    if pairs.attrs.get("untimed"):
        return "of no pair are both runs of the timing lane, and other times are not comparable"
    return "no fast-forwarded run has a plain partner that completed"


def _what(goal: Goal, note: str) -> str:
    """What the speed-up is one to: a sentence; ``note`` belongs to the name of what is counted."""
    side, worse = ("below", "more") if goal.sign == 1 else ("above", "less")
    label = metric_label(goal.metric)
    partner = "the plain run with the same data, seed and solver"
    if goal.target == "noise":
        until = f"stays at or below {noise_leaves(goal.within, 'what the model of the plain run expects')}"
    elif goal.target == "best":
        until = f"first comes within {100 * goal.within:g} % of the best that {partner} has on its whole way"
    else:
        until = f"stays at or {side} what {partner} ends with"
        until += f", or {goal.within:.3g} of it {worse}" if goal.within else ""
    told = f"Speed-up of fast-forwarded runs: {COSTS[goal.x]}{note} until the {label} {until}."
    if goal.at is not None:
        told += f" Both runs are taken to end at iteration {goal.at}."
    return told


def _marks(pairs: pd.DataFrame) -> list[str]:
    """What is drawn and counted, as far as there is any of it: sentences."""
    counts = pairs["outcome"].value_counts()
    told = [
        "A dot is a pair; an arrow to the left is a run that never gets there, drawn at the bound that its "
        "length sets."
    ]
    if counts.get("it alone"):
        told.append("An arrow to the right: the plain run never gets there, the speed-up is this or more.")
    told.append(
        "Bar: median; line: its 95 % interval by order statistics, in which such runs may be slower than all "
        "others" + (", or faster." if counts.get("it alone") else ".")
    )
    if neither := counts.get("neither", 0):
        told.append(f"{_pairs(neither)} of which neither gets there tell nothing, and are in no median.")
    if unknown := counts.get("unknown", 0):
        told.append(f"{_pairs(unknown)} have no target, as nobody knows what noise leaves.")
    if limited := int(pairs["noise_limited"].sum()):
        told.append(
            f"With a tick: {_pairs(limited)} noise-limited, as the plain run ends at or below what noise "
            "leaves, where a lower likelihood is a fit of the noise."
        )
    told.append("Ended worse: by more than 0.1 %.")
    if pairs["share_inference"].notna().any():
        told.append(
            "Of the time: medians of the shares of the whole run's solver time; the iterations of the "
            "look-ahead are the run's own where they stand."
        )
    return told


def _pairs(number: int) -> str:
    return "1 pair" if number == 1 else f"{number} pairs"


def _figure_of(
    pairs: pd.DataFrame, summary: pd.DataFrame, series: Mapping[str, Series], width: str | None
) -> Figure:
    """A row a line."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    from ptychosuite.reporting.style import on_lines, width_of

    longest = max(len(line) for line in summary["line"])
    inches = width_of(width, 4.2 + 0.07 * longest)
    figure = Figure(figsize=(inches, 0.9 + 0.42 * len(summary)))
    axis = figure.subplots()
    known = pairs[["speed_up", "bound"]].to_numpy().ravel()
    known = known[np.isfinite(known) & (known > 0)]
    ends = BEYOND * known.min(initial=1.0), known.max(initial=1.0) / BEYOND
    for place, row in enumerate(summary.itertuples(index=False)):
        members = pairs[pairs["line"] == row.line]
        _draw_line(axis, place, members, row, ends, series[str(row.line)].colour)
    axis.axvline(1, color="0.4", linestyle=":", linewidth=1)
    axis.set(xscale="log", yticks=range(len(summary)))
    letters = max(12, int(0.4 * inches / 0.075)) if width else longest
    axis.set_yticklabels([on_lines(line, letters) for line in summary["line"]])
    axis.xaxis.set_major_locator(LogLocator(2))
    wide = axis.get_xlim()[1] > WIDE * axis.get_xlim()[0]
    axis.xaxis.set_minor_locator(LogLocator(2, subs=[1.5] if wide else [1.25, 1.5, 1.75]))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("{x:g}")
    axis.tick_params(axis="x", which="minor", labelsize=7, labelcolor="0.4")
    axis.set_ylim(len(summary) - 0.5, -0.5)
    axis.grid(False, axis="y")
    return figure


def _draw_line(
    axis: Axes, place: int, members: pd.DataFrame, row: Any, ends: tuple[float, float], colour: str
) -> None:
    """Pairs, median and interval of one line; what has no limit goes on to the ``ends`` of what is known."""
    from matplotlib.markers import CARETLEFT, CARETRIGHT

    offsets = place + np.linspace(-0.18, 0.18, len(members)) * (len(members) > 1)
    outcome, low, high = (members[name].to_numpy() for name in ("outcome", "speed_up", "bound"))
    marks: dict[str, tuple[np.ndarray, dict[str, Any]]] = {
        "both": (low, {"marker": "o", "ms": 4, "alpha": 0.7, "mew": 0}),
        "plain alone": (high, {"marker": CARETLEFT, "mfc": "white", "mec": colour, "ms": 6}),
        "it alone": (low, {"marker": CARETRIGHT, "mfc": "white", "mec": colour, "ms": 6}),
    }
    limited = members["noise_limited"].to_numpy() == 1
    for name, (at, style) in marks.items():
        shown = (outcome == name) & (at > 0)
        axis.plot(at[shown], offsets[shown], ls="", color=colour, **style)
        ticked = shown & limited
        axis.plot(at[ticked], offsets[ticked], ls="", marker="|", color="black", ms=7, mew=0.8)
    if np.isfinite(row.interval_high) or row.interval_low > 0:
        interval = [max(row.interval_low, ends[0]), min(row.interval_high, ends[1])]
        axis.plot(interval, [place, place], color=colour, linewidth=1.4)
    median = row.speed_up_bound if np.isfinite(row.speed_up_bound) else row.speed_up
    if median > 0:
        axis.plot([median] * 2, [place - 0.3, place + 0.3], color=colour, linewidth=2.6)


def _in_words(summary: pd.DataFrame) -> str:
    told = [
        f"{row.line}: {between_text(row.speed_up, row.speed_up_bound)} times, {_pairs(row.pairs)}, "
        f"{row.never_reached} never get there"
        for row in summary.itertuples(index=False)
    ]
    return f"Median speed-ups. {'; '.join(told[:24])}."


def _as_text(summary: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The table as a reader wants it."""
    import pandas as pd

    text = pd.DataFrame({"line": summary["line"], "pairs": summary["pairs"].astype(str)})
    if summary[["it_alone", "neither"]].to_numpy().any():
        four = summary[["both", "it_alone", "plain_alone", "neither"]].astype(str)
        text["reached"] = four.agg(", ".join, axis=1)
    else:
        text["never_reached"] = summary["never_reached"].astype(str)
    if summary["unknown"].any():
        text["unknown"] = summary["unknown"].astype(str)
    if summary["noise_limited"].notna().any():
        text["noise_limited"] = summary["noise_limited"].map("{:.0f}".format).replace("nan", "")
    rows = list(summary.itertuples(index=False))
    text["speed_up"] = [between_text(row.speed_up, row.speed_up_bound) for row in rows]
    text["interval"] = [interval_text(row) for row in rows]
    text["ended_worse"] = summary["ended_worse"].astype(str)
    for name in ("final_ratio", "worst_final_ratio", "held_out_ratio"):
        if summary[name].notna().any():
            text[name] = summary[name].map("{:.4f}".format).replace("nan", "")
    for name in ("frc_change", "half_frc_change", "phase_change_rad", "artefact_change_rad"):
        if name in summary and summary[name].notna().any():
            text[name] = summary[name].map("{:+.2g}".format)
    text["rejected"] = summary["rejected"].map("{:.0%}".format)
    text["inference_seconds"] = summary["inference_seconds"].map("{:.2g}".format)
    shares = summary[["share_steps", "share_inference", "share_look_ahead"]]
    if shares.notna().any(axis=None):
        text["clock"] = shares.map("{:.0%}".format).agg(", ".join, axis=1)
    return text.rename(columns={name: title.format(metric=metric) for name, title in HEADINGS.items()})


def between_text(low: float, high: float) -> str:
    """A median that lies between two values, 0 and infinity for no limit."""
    if np.isnan(low):
        return "not known"
    if low == high:
        return f"{low:.2f}"
    if np.isinf(high):
        return f"above {low:.2f}" if low > 0 else "not known"
    return f"{low:.2f} to {high:.2f}" if low > 0 else f"below {high:.2f}"


def interval_text(row: Any) -> str:
    """The 95 % interval of a row of the summary."""
    low, high = row.interval_low, row.interval_high
    if not np.isfinite(high):
        return "too few pairs" if row.counted < FEWEST else f"above {low:.2f}" if low > 0 else "no limit"
    return f"{low:.2f} to {high:.2f}" if low > 0 else f"below {high:.2f}"
