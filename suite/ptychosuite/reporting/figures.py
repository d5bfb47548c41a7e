"""Convergence curves and heatmaps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from ptychosuite.analysis.convergence import Band, band
from ptychosuite.analysis.labels import METRIC_NAMES, column_name, line_labels, value_text
from ptychosuite.analysis.tables import TIMES, timed
from ptychosuite.core.figures import ConvergenceFigure, HeatmapFigure
from ptychosuite.errors import StudyError, nearest
from ptychosuite.reporting.style import COLOURS, PANEL_INCHES

LOG_SCALE_RATIO = 30  # heatmap values that span more than this get a logarithmic colour scale


@dataclass(frozen=True)
class Drawn:
    """A figure, what it says in words, and the numbers it shows."""

    figure: Figure
    caption: str
    numbers: pd.DataFrame
    is_photograph: bool = False  # pixels rather than lines: the page embeds a PNG
    table: pd.DataFrame | None = None  # text that the page shows below the figure


class NothingToDraw(Exception):
    """The runs a figure is about have no results yet; the page says so in its place."""


def narrow(table: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """The rows that a figure's ``where`` asks for; factors by short name or dotted path.

    Raises
    ------
    StudyError
        No such factor.
    NothingToDraw
        No run is left.
    """
    result = table
    for name, wanted in where.items():
        column = factor_column(table, name)
        values = wanted if isinstance(wanted, list) else [wanted]
        result = result[result[column].isin(values)]
    if result.empty:
        shown = ", ".join(f"{name}: {value}" for name, value in where.items())
        raise NothingToDraw(f"no run with {{{shown}}} has results")
    result.attrs = table.attrs
    return result


def factor_column(table: pd.DataFrame, name: str) -> str:
    """The column of a factor or metric named in a study file."""
    by_path = table.attrs["paths"].get(name) or table.attrs["paths"].get(f"{name}.name")
    for candidate in (by_path, name, column_name(name), name.rsplit(".", 1)[-1]):
        if candidate in table.columns:
            return str(candidate)
    raise StudyError(
        f"a figure asks for '{name}', which the results do not have; {nearest(name, table.columns)}"
    )


def draw_convergence(settings: ConvergenceFigure, table: pd.DataFrame, dataset: xr.Dataset) -> Drawn:
    """Log-log curves: a line is the median, its band the range over the runs that it stands for."""
    metric = column_name(settings.metric)
    if f"{metric}_curve" not in dataset:
        curves = [str(name).removesuffix("_curve") for name in dataset if str(name).endswith("_curve")]
        raise StudyError(f"a figure asks for curves of '{settings.metric}'; {nearest(metric, curves)}")
    table = narrow(table, settings.where)
    table, note = timed(table) if settings.x in TIMES else (table, "")
    line = factor_column(table, settings.line)
    labels = line_labels(table, line)
    colours = dict(zip(dict.fromkeys(labels), _cycle(COLOURS), strict=False))
    panels = _panels(table, settings.panel)
    figure, axes = _grid(len(panels), share=True)
    numbers = []
    for axis, (title, rows) in zip(axes, panels, strict=False):
        for label, members in rows.groupby(labels.loc[rows.index], sort=False):
            curve = band(dataset, members, metric, settings.x)
            _draw_band(axis, curve, str(label), colours[label])
            numbers.append(_band_numbers(curve, title, str(label)))
        axis.set(xscale="log", yscale="log", title=title)
    x_name = METRIC_NAMES[settings.x] + note
    for axis in axes[: len(panels)]:
        axis.set_xlabel(x_name + (" (the start is 1)" if settings.x == "iteration" else ""))
    axes[0].set_ylabel(METRIC_NAMES.get(metric, metric))
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=_legend_columns(figure, names))
    pooled = _pooled(table, [line, settings.panel])
    name = METRIC_NAMES.get(metric, metric)
    caption = f"{_capitalised(name)} against {x_name}: median and range over {pooled}."
    if any(np.isfinite(entry["hit"]).any() for entry in numbers):
        caption += " A hollow circle marks where the tolerance is met; beyond it the line is dashed."
    return Drawn(figure, caption, pd.concat(numbers, ignore_index=True).drop(columns="hit"))


def _legend_columns(figure: Figure, names: Sequence[str]) -> int:
    """As many as fit side by side, four at most."""
    entry_in = 0.7 + 0.075 * max(map(len, names), default=0)
    return max(1, min(4, len(names), int(figure.get_figwidth() / entry_in)))


def draw_heatmap(settings: HeatmapFigure, table: pd.DataFrame, dataset: xr.Dataset) -> Drawn:
    """Medians over two factors. A cell whose runs mostly never meet the tolerance says so."""
    table = narrow(table, settings.where)
    value = factor_column(table, settings.value)
    table, note = timed(table) if value in TIMES else (table, "")
    x, y = factor_column(table, settings.x), factor_column(table, settings.y)
    if x == y:
        raise StudyError(f"a heatmap has '{settings.x}' on both axes; name two factors")
    if table[value].dtype.kind not in "fi":
        raise StudyError(f"a heatmap asks for '{settings.value}', which is no number; name a metric")
    keyed = table.assign(
        **{f"_{name}": line_labels(table, name) if name == "solver" else table[name] for name in (x, y)}
    )
    keyed.attrs = table.attrs
    censored = value == "iterations_to_tol"
    if censored:
        keyed[value] = keyed[value].fillna(np.inf)
    panels = _panels(keyed, settings.panel)
    grids = [
        (title, rows.pivot_table(value, f"_{y}", f"_{x}", aggfunc="median", sort=False, dropna=False))
        for title, rows in panels
    ]
    finite = np.concatenate([grid.to_numpy(dtype=float).ravel() for _, grid in grids])
    finite = finite[np.isfinite(finite)]
    norm = _colour_scale(finite)
    longest = max(len(value_text(label)) for _, grid in grids for label in grid.index)
    figure, axes = _grid(len(panels), share=False, extra_inches=0.06 * longest)
    for axis, (title, grid) in zip(axes, grids, strict=False):
        image = _draw_grid(axis, grid, norm)
        axis.set(title=title, xlabel=settings.x.rsplit(".", 1)[-1])
    name = METRIC_NAMES.get(value, value) + note
    figure.colorbar(image, ax=list(axes[: len(panels)]), label=name, shrink=0.8)
    caption = f"Median of the {name} over {_pooled(table, [x, y, settings.panel])}."
    if censored:
        caption += " A dash: at least half of the runs never meet the tolerance."
    numbers = keyed.groupby([f"_{y}", f"_{x}"], sort=False, dropna=False)[value].median().reset_index()
    return Drawn(figure, caption, numbers.rename(columns={f"_{x}": x, f"_{y}": y}))


def _draw_band(axis: Axes, curve: Band, label: str, colour: str) -> None:
    axis.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
    if not np.isfinite(curve.hit):
        axis.plot(curve.x, curve.median, color=colour, label=label)
        return
    before, after = curve.x <= curve.hit, curve.x >= curve.hit
    axis.plot(curve.x[before], curve.median[before], color=colour, label=label)
    axis.plot(curve.x[after], curve.median[after], color=colour, linestyle=(0, (3, 1.5)))
    axis.plot(curve.hit, curve.at_hit(), "o", mfc="white", mec=colour, mew=1.6, ms=6)


def _band_numbers(curve: Band, panel: str, label: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "panel": panel,
            "line": label,
            "x": curve.x,
            "median": curve.median,
            "low": curve.low,
            "high": curve.high,
            "runs": curve.runs,
            "hit": curve.hit,
        }
    )


def _draw_grid(axis: Axes, grid: pd.DataFrame, norm: Normalize) -> Any:
    values = grid.to_numpy(dtype=float)
    image = axis.imshow(
        np.where(np.isfinite(values), values, np.nan), norm=norm, cmap="viridis_r", aspect="auto"
    )
    axis.grid(False)
    axis.set_xticks(range(grid.shape[1]), [value_text(v) for v in grid.columns])
    axis.set_yticks(range(grid.shape[0]), [value_text(v) for v in grid.index])
    for (row, column), value in np.ndenumerate(values):
        text = f"{value:.3g}" if np.isfinite(value) else "–" if np.isinf(value) else ""
        dark = np.isfinite(value) and norm(value) > 0.5
        axis.text(column, row, text, ha="center", va="center", color="white" if dark else "black", fontsize=8)
    return image


def _colour_scale(values: np.ndarray) -> Normalize:
    if values.size == 0:
        return Normalize(0, 1)
    low, high = float(values.min()), float(values.max())
    if low > 0 and high / low > LOG_SCALE_RATIO:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + 1)


def _panels(table: pd.DataFrame, panel: str | None) -> list[tuple[str, pd.DataFrame]]:
    if panel is None:
        return [("", table)]
    column = factor_column(table, panel)
    name = panel.rsplit(".", 1)[-1]
    result = []
    for value, rows in table.groupby(column, sort=True, dropna=False):
        rows.attrs = table.attrs
        result.append((f"{name} {value_text(value)}", rows))
    return result


def _grid(panels: int, share: bool, extra_inches: float = 0.0) -> tuple[Figure, list[Axes]]:
    columns = min(panels, 2 if panels in (2, 4) else 3)
    rows = -(-panels // columns)
    width = columns * (PANEL_INCHES + extra_inches) + 0.4
    figure = Figure(figsize=(max(width, 4.6), rows * PANEL_INCHES * 0.85 + 0.7))
    axes = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share).ravel().tolist()
    for axis in axes[panels:]:
        axis.set_visible(False)
    return figure, axes


def _pooled(table: pd.DataFrame, separated: Sequence[str | None]) -> str:
    """What a median is taken over: "3 seeds", or every factor that no axis of the figure separates."""
    shown = {factor_column(table, name) for name in separated if name}
    if "solver" in shown:
        shown |= {*table.attrs["solver_settings"], "fast_forward"}
    factors = [
        name
        for name in table.attrs["factors"]
        if name not in shown and name in table and table[name].nunique(dropna=False) > 1
    ]
    counts = [f"{table[name].nunique(dropna=False)} {name}s" for name in factors]
    return " x ".join(counts) if counts else "a single run each"


def _cycle(values: Sequence[str]) -> Any:
    while True:
        yield from values


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]
