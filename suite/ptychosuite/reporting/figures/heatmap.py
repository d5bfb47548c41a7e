"""Heat maps of a metric over two factors."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ptychosuite.analysis.labels import line_labels, metric_label
from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.errors import StudyError
from ptychosuite.metrics.metric import Metric, metric_of
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind, Names
from ptychosuite.reporting.figures.wanted import Ends, OneOrMore, listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ptychosuite.analysis.heat_grid import HeatCell, HeatGrid
    from ptychosuite.reporting.figures.material import Material

LETTER_INCHES, COLUMN_LETTERS = 0.075, 24
CELL_INCHES = (0.62, 0.36)  # at least so wide and high that labels do not touch
WORDS = {
    "never": "never",
    "none": "no value",
    "diverged": "diverged",
    "failed": "failed",
    "missing": "missing",
    "empty": "",
}


@dataclass(frozen=True)
class HeatmapFigure(FigureKind):
    """Median of the metric ``value`` over two factors, one panel a problem and ``panel`` value.

    Medians are taken over the seeds, and over the factors that ``pool`` names.

    Parameters
    ----------
    x, y
        The two factors.
    value
        The metric.
    panel
        The factor whose values have a panel each.
    pool
        Factors that are no panels: medians are taken over them too.
    scale
        Lower and upper end of the colour scale, where figures of a study are to share it.
    """

    runs: ClassVar[Literal["ended", "all"]] = "all"
    names: ClassVar[Names] = Names(metrics=("value",), factors=("panel", "pool"), axes=("x", "y"))

    x: str
    y: str
    value: str = "error"
    panel: str | None = None
    pool: OneOrMore = ()
    scale: Ends | None = None

    @property
    def stem(self) -> str:
        return f"heatmap-{self.value}".replace("_", "-")

    def draw(self, material: Material) -> Drawn:
        """Medians over two factors; a cell without a number says why."""
        import pandas as pd

        from ptychosuite.analysis.heat_grid import shades
        from ptychosuite.reporting.style import colour_scale, set_titles

        grids, metric, note, over = self.grids(material)
        values = np.concatenate([grid.values().ravel() for grid in grids])
        norm = colour_scale(np.asarray(self.scale or values[np.isfinite(values)]))
        direction = metric.better if metric else "neither"
        figure, axes = _canvas(grids, self.width)
        for axis, grid, shade in zip(axes, grids, shades(grids, metric), strict=False):
            image = _draw_grid(axis, grid, norm, "viridis" if direction == "higher" else "viridis_r", shade)
            axis.set(xlabel=self.x.rsplit(".", 1)[-1], ylabel=self.y.rsplit(".", 1)[-1])
        set_titles(figure, axes, [grid.title for grid in grids])
        name = metric_label(material.column(self.value)) + note
        if np.isfinite(values).any():
            label = name if direction == "neither" else f"{name} (brighter is better)"
            place = "bottom" if self.width == "column" else "right"
            inches = 0.5 * figure.get_figwidth() if place == "bottom" else 0.8 * figure.get_figheight()
            label = textwrap.fill(label, int(inches / 0.075))
            figure.colorbar(image, ax=list(axes[: len(grids)]), label=label, shrink=0.8, location=place)
        numbers = pd.DataFrame([line for grid in grids for line in _numbers(grid)])
        told, _ = material.timed(material.column(self.value))
        caption = _caption(name, over, grids, metric, Outcome.of_rows(told.table))
        return Drawn(figure, caption, numbers, alt=_in_words(grids, name))

    def grids(self, material: Material) -> tuple[list[HeatGrid], Metric | None, str, str]:
        """The cells of each panel, the metric, what belongs to its name, and what medians are over."""
        from ptychosuite.analysis.heat_grid import heat_grid
        from ptychosuite.reporting.panels import panels

        value = material.column(self.value)
        material, note = material.timed(value)
        x, y = material.column(self.x), material.column(self.y)
        if x == y:
            raise StudyError(f"a heatmap has '{self.x}' on both axes; name two factors")
        if material.table[value].dtype.kind not in "fi":
            raise StudyError(f"a heatmap asks for '{self.value}', which is no number; name a metric")
        metric = metric_of(value)
        shown, over = panels(material, self.panel, [x, y], listed(self.pool))
        keys = material.whole.assign(
            **{name: line_labels(material.whole, name) for name in (x, y) if name == "solver"}
        )
        grids = [
            heat_grid(panel.title, panel.rows, keys.loc[panel.rows.index, [x, y]], x, y, metric, value)
            for panel in shown
        ]
        return grids, metric, note, over


def _canvas(grids: list[HeatGrid], width: str | None) -> tuple[Any, list[Axes]]:
    """Axes with room for every label."""
    from matplotlib.figure import Figure

    from ptychosuite.reporting.style import width_of

    most_columns, most_rows = (
        max(len(getattr(grid, name)) for grid in grids) for name in ("columns", "rows")
    )
    names = LETTER_INCHES * max(len(row) for grid in grids for row in grid.rows) + 0.5
    below = max(_inches_below(grid) for grid in grids)
    columns = min(len(grids), 2 if most_columns <= 5 and width != "column" else 1)
    rows = -(-len(grids) // columns)
    names = max(names, below)  # the first of the tilted names reaches as far to the left
    inches = columns * (max(2.2, most_columns * CELL_INCHES[0]) + names) + 1.0
    height = rows * (max(1.2, most_rows * CELL_INCHES[1]) + 0.8 + below) + (0.9 if width == "column" else 0.2)
    figure = Figure(figsize=(width_of(width, inches), height))
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axis in axes[len(grids) :]:
        axis.set_visible(False)
    return figure, axes


def _is_tilted(grid: HeatGrid) -> bool:
    """Whether names of columns would run into each other side by side."""
    return max(map(len, grid.columns)) > 7


def _columns_named(grid: HeatGrid) -> list[str]:
    from ptychosuite.reporting.style import on_lines

    return [on_lines(name, COLUMN_LETTERS) for name in grid.columns]


def _inches_below(grid: HeatGrid) -> float:
    """What tilted names of columns need below a grid, beyond one line."""
    if not _is_tilted(grid):
        return 0.0
    names = [name.splitlines() for name in _columns_named(grid)]
    longest = max(len(line) for lines in names for line in lines)
    return LETTER_INCHES * (0.64 * longest + 1.5 * (max(map(len, names)) - 1))


def _draw_grid(axis: Axes, grid: HeatGrid, norm: Any, colour_map: str, shade: np.ndarray) -> Any:
    """One panel, in which what is better is brighter and the best is framed."""
    from matplotlib.patches import Rectangle

    image = axis.imshow(grid.values(), norm=norm, cmap=colour_map, aspect="auto")
    axis.grid(False)
    tilted: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axis.set_xticks(range(len(grid.columns)), _columns_named(grid), **(tilted if _is_tilted(grid) else {}))
    axis.set_yticks(range(len(grid.rows)), grid.rows)
    for row, line in enumerate(grid.cells):
        for column, cell in enumerate(line):
            place = (column - 0.5, row - 0.5)
            if cell.state in ("diverged", "failed"):
                axis.add_patch(
                    Rectangle(place, 1, 1, fill=False, hatch="////", edgecolor="0.75", linewidth=0)
                )
            is_dark = cell.state == "value" and shade[row, column] < 0.5
            axis.text(
                column, row, cell_text(cell), ha="center", va="center", fontsize=7,
                color="white" if is_dark else "black", weight="bold" if cell.is_best else "normal",
            )  # fmt: skip
            if cell.is_best:
                inner = (place[0] + 0.04, place[1] + 0.04)
                axis.add_patch(Rectangle(inner, 0.92, 0.92, fill=False, edgecolor="#D55E00", linewidth=1.6))
    return image


def cell_text(cell: HeatCell) -> str:
    """A number, or why there is none; with how many of the planned runs completed, where not all did."""
    if cell.state == "none" and np.isinf(cell.value):
        return "infinite"
    if cell.state != "value":
        return WORDS[cell.state]
    return f"{cell.value:.3g}" + ("" if cell.outcome.is_whole else f"\n{cell.outcome.short}")


def _numbers(grid: HeatGrid) -> list[dict[str, Any]]:
    return [
        {
            "panel": grid.title, "row": row, "column": column, "median": cell.value, "low": cell.low,
            "high": cell.high, "state": cell.state, "best": cell.is_best, "planned": cell.outcome.planned,
            **{status.replace("-", "_"): n for status, n in cell.outcome.counts.items()},
        }
        for row, line in zip(grid.rows, grid.cells, strict=True)
        for column, cell in zip(grid.columns, line, strict=True)
    ]  # fmt: skip


def _caption(name: str, over: str, grids: list[HeatGrid], metric: Metric | None, outcome: Outcome) -> str:
    states = {cell.state for grid in grids for line in grid.cells for cell in line}
    caption = f"{name[0].upper()}{name[1:]}, {over}; {outcome.text}."
    if metric is not None and metric.better != "neither":
        caption += f" {metric.better.capitalize()} is better"
        caption += ", and brighter; the best is framed." if "value" in states else "."
    if "never" in states:
        caption += " Never: at least half of the runs that ended never meet the tolerance."
    if states & {"failed", "diverged"}:
        caption += " Hatched: no run completed."
    if "none" in states:
        caption += (
            " No value: the runs that completed have no number of it; infinite: their median has no end."
        )
    if "missing" in states:
        caption += " Missing: no run has a result."
    if "empty" in states:
        caption += " Empty: none was planned."
    return caption


def _in_words(grids: list[HeatGrid], name: str) -> str:
    """Where the best are."""
    best = [
        f"{row} at {column}{' in the panel ' + grid.title if grid.title else ''}: {cell.value:.3g}"
        for grid in grids
        for row, line in zip(grid.rows, grid.cells, strict=True)
        for column, cell in zip(grid.columns, line, strict=True)
        if cell.is_best
    ]
    return f"Table of the {name}. " + (
        f"Best: {'; '.join(best[:24])}." if best else "No cell is marked as best."
    )
