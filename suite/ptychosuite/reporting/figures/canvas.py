"""What several kinds of figures share: panels, colours, and what a median is taken over."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from ptychosuite.analysis.labels import line_labels, value_text
from ptychosuite.reporting.figures.material import Material
from ptychosuite.reporting.style import COLOURS, PANEL_INCHES

LOG_SCALE_RATIO = 30  # values that span more than this get a logarithmic colour scale


def panels(material: Material, panel: str | None) -> list[tuple[str, pd.DataFrame]]:
    """Title and runs of each panel: one a value of the factor ``panel``, or a single one without title."""
    if panel is None:
        return [("", material.table)]
    name = panel.rsplit(".", 1)[-1]
    result = []
    for value, rows in material.table.groupby(material.column(panel), sort=True, dropna=False):
        rows.attrs = material.table.attrs
        result.append((f"{name} {value_text(value)}", rows))
    return result


def grid(panels: int, share: bool, extra_inches: float = 0.0) -> tuple[Figure, list[Axes]]:
    """A figure with at least ``panels`` axes side by side, the rest of them hidden."""
    columns = min(panels, 2 if panels in (2, 4) else 3)
    rows = -(-panels // columns)
    width = columns * (PANEL_INCHES + extra_inches) + 0.4
    figure = Figure(figsize=(max(width, 4.6), rows * PANEL_INCHES * 0.85 + 0.7))
    axes = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share).ravel().tolist()
    for axis in axes[panels:]:
        axis.set_visible(False)
    return figure, axes


def colours(labels: Iterable[str]) -> dict[str, str]:
    """A colour for each line."""
    return dict(zip(dict.fromkeys(labels), itertools.cycle(COLOURS), strict=False))


def colour_scale(values: np.ndarray) -> Normalize:
    """From the least to the largest of finite ``values``; logarithmic where they span much."""
    if values.size == 0:
        return Normalize(0, 1)
    low, high = float(values.min()), float(values.max())
    if low > 0 and high / low > LOG_SCALE_RATIO:
        return LogNorm(low, high)
    return Normalize(low, high if high > low else low + 1)


def legend_columns(figure: Figure, names: Sequence[str]) -> int:
    """As many as fit side by side, four at most."""
    entry_in = 0.7 + 0.075 * max(map(len, names), default=0)
    return max(1, min(4, len(names), int(figure.get_figwidth() / entry_in)))


def pooled(material: Material, separated: Sequence[str | None]) -> str:
    """What a median is taken over: "3 seeds", or every factor that no axis of the figure separates."""
    table = material.table
    shown = {material.column(name) for name in separated if name}
    if "solver" in shown:
        shown |= {*table.attrs["solver_settings"], "fast_forward"}
    factors = [
        name
        for name in table.attrs["factors"]
        if name not in shown and name in table and table[name].nunique(dropna=False) > 1
    ]
    counts = [f"{table[name].nunique(dropna=False)} {name}s" for name in factors]
    return " x ".join(counts) if counts else "a single run each"


def row_labels(rows: pd.DataFrame) -> list[str]:
    """Solver, and any other factor that differs between the rows."""
    hidden = {"solver", "seed", "fast_forward", *rows.attrs["solver_settings"]}
    others = [name for name in rows.attrs["factors"] if name not in hidden and rows[name].nunique() > 1]
    labels = line_labels(rows, "solver")
    texts = []
    for label, (_, row) in zip(labels, rows.iterrows(), strict=True):
        extra = "\n".join(f"{name} {value_text(row[name])}" for name in others)
        texts.append(label.replace(" (", "\n(") + (f"\n{extra}" if extra else ""))
    return texts


def show_image(axis: Axes, image: np.ndarray, norm: Normalize, colour_map: str) -> Any:
    """An image without a frame; what a colour bar is made of is returned."""
    mappable = axis.imshow(image, norm=norm, cmap=colour_map)
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    axis.spines[:].set_visible(False)
    return mappable
