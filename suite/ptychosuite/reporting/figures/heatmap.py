"""Heat maps of a metric over two factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ptychosuite.analysis.labels import line_labels, metric_label, value_text
from ptychosuite.errors import StudyError
from ptychosuite.metrics.metric import metric_of
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind, Names

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

    from ptychosuite.reporting.figures.material import Material


@dataclass(frozen=True)
class HeatmapFigure(FigureKind):
    """Median of the metric ``value`` over two factors, one panel a ``panel`` value."""

    names: ClassVar[Names] = Names(metrics=("value",), factors=("panel",), axes=("x", "y"))

    x: str
    y: str
    value: str = "error"
    panel: str | None = None

    @property
    def stem(self) -> str:
        return f"heatmap-{self.value}".replace("_", "-")

    def draw(self, material: Material) -> Drawn:
        """Medians over two factors. A cell whose runs mostly never meet the tolerance says so."""
        from ptychosuite.reporting.style import colour_scale, grid, panels, pooled

        value = material.column(self.value)
        material, note = material.timed(value)
        x, y = material.column(self.x), material.column(self.y)
        metric = metric_of(value)
        censored = metric is not None and bool(metric.count_name)
        higher_is_better = metric is not None and metric.better == "higher"
        keyed = self._keyed(material, value, x, y, censored)
        grids = [
            (title, rows.pivot_table(value, f"_{y}", f"_{x}", aggfunc="median", sort=False, dropna=False))
            for title, rows in panels(keyed, self.panel)
        ]
        cells = np.concatenate([grid.to_numpy(dtype=float).ravel() for _, grid in grids])
        norm = colour_scale(cells[np.isfinite(cells)])
        longest = max(len(value_text(label)) for _, grid in grids for label in grid.index)
        figure, axes = grid(len(grids), share=False, extra_inches=0.06 * longest)
        for axis, (title, medians) in zip(axes, grids, strict=False):
            image = _draw_grid(axis, medians, norm, higher_is_better)
            axis.set(title=title, xlabel=self.x.rsplit(".", 1)[-1])
        name = metric_label(value) + note
        figure.colorbar(image, ax=list(axes[: len(grids)]), label=name, shrink=0.8)
        caption = f"Median of the {name} over {pooled(material, [x, y, self.panel])}."
        if censored:
            caption += " A dash: at least half of the runs never meet the tolerance."
        by_cell = keyed.table.groupby([f"_{y}", f"_{x}"], sort=False, dropna=False)
        numbers = by_cell[value].median().reset_index()
        return Drawn(figure, caption, numbers.rename(columns={f"_{x}": x, f"_{y}": y}))

    def _keyed(self, material: Material, value: str, x: str, y: str, censored: bool) -> Material:
        """The runs with columns ``_x`` and ``_y``: what a cell is called by."""

        table = material.table
        if x == y:
            raise StudyError(f"a heatmap has '{self.x}' on both axes; name two factors")
        if table[value].dtype.kind not in "fi":
            raise StudyError(f"a heatmap asks for '{self.value}', which is no number; name a metric")
        keys = {f"_{name}": line_labels(table, name) if name == "solver" else table[name] for name in (x, y)}
        keyed = table.assign(**keys)
        if censored:
            keyed[value] = keyed[value].fillna(np.inf)
        return material.of(keyed)


def _draw_grid(axis: Axes, grid: pd.DataFrame, norm: Normalize, bright_high: bool) -> Any:
    """One panel, in which what is better is brighter."""
    values = grid.to_numpy(dtype=float)
    finite = np.where(np.isfinite(values), values, np.nan)
    cmap = "viridis" if bright_high else "viridis_r"
    image = axis.imshow(finite, norm=norm, cmap=cmap, aspect="auto")
    axis.grid(False)
    axis.set_xticks(range(grid.shape[1]), [value_text(v) for v in grid.columns])
    axis.set_yticks(range(grid.shape[0]), [value_text(v) for v in grid.index])
    for (row, column), value in np.ndenumerate(values):
        text = f"{value:.3g}" if np.isfinite(value) else "–" if np.isinf(value) else ""
        dark = np.isfinite(value) and (norm(value) > 0.5) != bright_high
        axis.text(column, row, text, ha="center", va="center", color="white" if dark else "black", fontsize=8)
    return image
