"""Convergence curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ptychosuite.analysis.labels import column_name, line_labels, metric_label
from ptychosuite.errors import StudyError, nearest
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind, Names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ptychosuite.analysis.tables import Band
    from ptychosuite.reporting.figures.material import Material


@dataclass(frozen=True)
class ConvergenceFigure(FigureKind):
    """Curves of ``metric``, one line a ``line`` value, one panel a ``panel`` value, a band over the rest.

    ``x`` is "iteration", "seconds" or "data_passes".
    """

    names: ClassVar[Names] = Names(curves=("metric",), factors=("line", "panel"))

    metric: str = "residual"
    x: Literal["iteration", "seconds", "data_passes"] = "iteration"
    line: str = "solver"
    panel: str | None = None

    @property
    def stem(self) -> str:
        return f"convergence-{self.metric}-{self.x}".replace("_", "-")

    def draw(self, material: Material) -> Drawn:
        """Log-log curves: a line is the median, its band the range over the runs that it stands for."""
        import pandas as pd

        from ptychosuite.analysis.tables import band
        from ptychosuite.reporting.style import colours, grid, legend_columns, panels, pooled

        metric = column_name(self.metric)
        if f"{metric}_curve" not in material.dataset:
            curves = [str(name).removesuffix("_curve") for name in material.dataset if "_curve" in str(name)]
            raise StudyError(f"a figure asks for curves of '{self.metric}'; {nearest(metric, curves)}")
        material, note = material.timed(self.x)
        line = material.column(self.line)
        labels = line_labels(material.table, line)
        colour = colours(labels)
        shown = panels(material, self.panel)
        figure, axes = grid(len(shown), share=True)
        numbers = []
        for axis, (title, rows) in zip(axes, shown, strict=False):
            for label, members in rows.groupby(labels.loc[rows.index], sort=False):
                curve = band(material.dataset, members, metric, self.x)
                _draw_band(axis, curve, str(label), colour[str(label)])
                numbers.append(pd.DataFrame({"panel": title, "line": str(label), **_numbers(curve)}))
            axis.set(xscale="log", yscale="log", title=title)
        x_name = metric_label(self.x) + note
        for axis in axes[: len(shown)]:
            axis.set_xlabel(x_name + (" (the start is 1)" if self.x == "iteration" else ""))
        name = metric_label(metric)
        axes[0].set_ylabel(name)
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=legend_columns(figure, names))
        over = pooled(material, [line, self.panel])
        caption = f"{name[0].upper()}{name[1:]} against {x_name}: median and range over {over}."
        if any(np.isfinite(entry["hit"]).any() for entry in numbers):
            caption += " A hollow circle marks where the tolerance is met; beyond it the line is dashed."
        return Drawn(figure, caption, pd.concat(numbers, ignore_index=True).drop(columns="hit"))


def _draw_band(axis: Axes, curve: Band, label: str, colour: str) -> None:
    axis.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
    if not np.isfinite(curve.hit):
        axis.plot(curve.x, curve.median, color=colour, label=label)
        return
    before, after = curve.x <= curve.hit, curve.x >= curve.hit
    axis.plot(curve.x[before], curve.median[before], color=colour, label=label)
    axis.plot(curve.x[after], curve.median[after], color=colour, linestyle=(0, (3, 1.5)))
    axis.plot(curve.hit, curve.at_hit(), "o", mfc="white", mec=colour, mew=1.6, ms=6)


def _numbers(curve: Band) -> dict[str, Any]:
    """A column each."""
    return {
        "x": curve.x,
        "median": curve.median,
        "low": curve.low,
        "high": curve.high,
        "runs": curve.runs,
        "hit": curve.hit,
    }
