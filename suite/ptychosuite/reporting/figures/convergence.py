"""Convergence curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ptychosuite.analysis.labels import column_name, metric_label
from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.errors import NothingToDraw, StudyError, nearest
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind, Names
from ptychosuite.reporting.figures.wanted import Ends, OneOrMore, listed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ptychosuite.analysis.bands import Band
    from ptychosuite.reporting.figures.material import Material
    from ptychosuite.reporting.page_content import Series

MARKS = 6  # on a line, about
FEW_PANELS = 4
HIT_POINTS = 6.5  # size of the circle where the tolerance is met


@dataclass(frozen=True)
class ConvergenceFigure(FigureKind):
    """Curves of ``metric``, one line a ``line`` value, one panel a problem and ``panel`` value.

    The vertical axis is logarithmic, and linear for a metric of which a median is below 0.
    Medians are taken over the seeds, and over the factors that ``pool`` names.

    Parameters
    ----------
    metric
        One metric or a list of several, side by side.
    x
        "iteration", "seconds" or "data_passes".
    line
        The factor whose values have a line each.
    panel
        The factor whose values have a panel each.
    pool
        Factors that are no panels: medians are taken over them too.
    scale
        Lower and upper end of the vertical axis, where figures of a study are to share it.
    """

    runs: ClassVar[Literal["ended", "all"]] = "all"
    names: ClassVar[Names] = Names(curves=("metric",), factors=("line", "panel", "pool"))

    metric: OneOrMore = "residual"
    x: Literal["iteration", "seconds", "data_passes"] = "iteration"
    line: str = "solver"
    panel: str | None = None
    pool: OneOrMore = ()
    scale: Ends | None = None

    @property
    def stem(self) -> str:
        return "-".join(["convergence", *listed(self.metric), self.x]).replace("_", "-")

    def draw(self, material: Material) -> Drawn:
        """A line is the median of the completed runs, its band how well it is known; log-log if it can be."""
        import pandas as pd

        from ptychosuite.reporting.legend import draw_legend
        from ptychosuite.reporting.log_axes import number_axes
        from ptychosuite.reporting.panels import panels
        from ptychosuite.reporting.style import grid, name_values, set_titles

        metrics = [self._curves_of(name, material) for name in listed(self.metric)]
        material, without = material.computed_here()
        material, note = material.timed(self.x)
        shown, over = panels(material, self.panel, [material.column(self.line)], listed(self.pool))
        side_by_side = len(metrics) if len(metrics) > 1 else None
        figure, axes = grid(
            len(shown) * len(metrics), len(metrics) == 1, width=self.width, columns=side_by_side
        )
        series, labels = material.series(self.line), material.lines(self.line)
        numbers = []
        places = [(panel, metric) for panel in shown for metric in metrics]
        for axis, (panel, metric) in zip(axes, places, strict=False):
            for label, members in panel.rows.groupby(labels.loc[panel.rows.index], sort=False):
                drawn = _draw_line(axis, members, material, metric, self.x, series[str(label)])
                numbers.append(pd.DataFrame({"panel": panel.title, "metric": metric, "line": label, **drawn}))
            if axis is axes[0] or len(metrics) > 1:
                name_values(axis, metric_label(metric))
        curves = pd.concat(numbers, ignore_index=True)
        if curves["median"].isna().all():
            raise NothingToDraw("no run that completed has such a curve")
        linear = set(curves.loc[curves["median"] < 0, "metric"])
        for axis, (_, metric) in zip(axes, places, strict=False):
            axis.set(xscale="log", yscale="linear" if metric in linear else "log")
            if self.scale is not None:
                axis.set_ylim(*self.scale)
        for place in range(len(metrics) if len(metrics) > 1 else 0):
            _share_limits(axes[place : len(places) : len(metrics)])
        set_titles(figure, axes, [panel.title for panel, _ in places])
        x_name = metric_label(self.x) + note + without
        for axis in axes[: len(places)]:
            axis.set_xlabel(x_name + (" (the start is 1)" if self.x == "iteration" else ""))
            number_axes(axis, is_small=len(places) > FEW_PANELS)
        lines = material.table.groupby(labels, sort=False)
        outcomes = {str(label): Outcome.of_rows(rows) for label, rows in lines}
        draw_legend(figure, series, outcomes, material.column(self.line))
        caption = _caption(metrics, x_name, over, Outcome.of_rows(material.table), curves)
        return Drawn(figure, caption, curves.drop(columns="hit"), alt=_in_words(curves, metrics))

    def _curves_of(self, wanted: str, material: Material) -> str:
        metric = column_name(wanted)
        if f"{metric}_curve" not in material.dataset:
            curves = [str(name).removesuffix("_curve") for name in material.dataset if "_curve" in str(name)]
            raise StudyError(f"a figure asks for curves of '{wanted}'; {nearest(metric, curves)}")
        return metric


def _draw_line(
    axis: Axes, members: pd.DataFrame, material: Material, metric: str, x: Any, series: Series
) -> dict[str, Any]:
    """Draw one line; its numbers, a column each."""
    from ptychosuite.analysis.bands import band
    from ptychosuite.reporting.series import line_style

    curve = band(material.dataset, members, metric, x)
    outcome = Outcome.of_rows(members)
    if curve.runs:
        axis.fill_between(curve.x, curve.low, curve.high, color=series.colour, alpha=0.18, linewidth=0)
        style = line_style(series) | {"markevery": _marked(curve.x)}
        before = np.ones(len(curve.x), bool) if np.isnan(curve.hit) else curve.x <= curve.hit
        axis.plot(curve.x, np.where(before, curve.median, np.nan), **style)
        if not before.all():
            after = curve.x >= curve.hit
            axis.plot(curve.x, np.where(after, curve.median, np.nan), **style, alpha=0.45)
        _draw_hit(axis, curve, series.colour)
    nothing = np.array([np.nan])
    return {
        "x": curve.x if curve.runs else nothing,
        "median": curve.median if curve.runs else nothing,
        "low": curve.low if curve.runs else nothing,
        "high": curve.high if curve.runs else nothing,
        "alive": curve.alive if curve.runs else 0,
        "runs": curve.runs,
        "planned": outcome.planned,
        "hit": curve.hit,
    }


def _share_limits(panels: Sequence[Axes]) -> None:
    """Let panels that are to be compared have the same scale."""
    lows, highs = zip(*(panel.get_ylim() for panel in panels), strict=True)
    for panel in panels:
        panel.set_ylim(min(lows), max(highs))


def _draw_hit(axis: Axes, curve: Band, colour: str) -> None:
    if np.isfinite(curve.hit):
        axis.plot(curve.hit, curve.at_hit, "o", mfc="white", mec=colour, mew=1.6, ms=HIT_POINTS, zorder=4)


def _marked(x: np.ndarray) -> list[int]:
    """About :data:`MARKS` places, evenly spread on a logarithmic axis."""
    return np.unique(np.searchsorted(x, np.geomspace(x[0], x[-1], MARKS) * (1 - 1e-9))).tolist()


def _caption(metrics: Sequence[str], x_name: str, over: str, outcome: Outcome, curves: pd.DataFrame) -> str:
    from ptychosuite.analysis.statistics import interval_name

    what = " and ".join(metric_label(metric) for metric in metrics)
    caption = f"{what[0].upper()}{what[1:]} against {x_name}: {over}"
    if curves["low"].notna().any():
        caption += f", with the {interval_name(curves['runs'])}"
    caption += f". {outcome.text}"
    caption += "." if outcome.is_whole else "; the others have no part in the medians."
    if (curves["alive"] < curves["runs"]).any():
        caption += " A run that has stopped keeps its last value."
    if np.isfinite(curves["hit"]).any():
        caption += " A circle marks where half of the runs have met the tolerance; the line goes on paler."
    lowest = curves.groupby("metric")["median"].transform("min")
    if lost := int(((lowest == 0) & (curves["median"] == 0)).sum()):
        points = "1 point" if lost == 1 else f"{lost} points"
        caption += f" {points} of the medians at 0 cannot be shown on a logarithmic scale."
    return caption


def _in_words(curves: pd.DataFrame, metrics: Sequence[str]) -> str:
    """Where the lines end."""
    sentences = []
    ends = curves.dropna(subset=["median"]).groupby(["metric", "panel", "line"], sort=False).last()
    for (metric, panel, line), end in ends.iterrows():
        where = f" in the panel {panel}" if panel else ""
        sentences.append(f"{line} ends at {metric_label(metric)} {end['median']:.3g}{where}")
    return f"Curves of {len(metrics)} metrics. " * (len(metrics) > 1) + "; ".join(sentences[:24]) + "."
