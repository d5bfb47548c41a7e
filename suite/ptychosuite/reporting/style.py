"""How figures look and what several kinds share (panels, colours); how they and pages are saved."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from ptychosuite.analysis.labels import value_text
from ptychosuite.reporting.figures.material import Material

# Okabe and Ito's palette: told apart by colour-blind readers, and in print
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
PANEL_INCHES = 3.4
SCREEN_DPI = 105
FORMATS = ("pdf", "png", "svg")

SETTINGS: Any = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "date.converter": "concise",
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "image.interpolation": "nearest",
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "pdf.fonttype": 42,
    "savefig.dpi": 160,
    "svg.hashsalt": "ptychosuite",  # the same figure gives the same file
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw without a display, in the house style."""
    with mpl.rc_context(SETTINGS):
        yield


def picture(figure: Figure) -> bytes:
    """A PNG for a page: smaller than the one for print."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=SCREEN_DPI)
    return content.getvalue()


def save(figure: Figure, stem: Path) -> dict[str, Path]:
    """Save as PDF, PNG and SVG beside each other, without dates in them."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    files = {}
    for suffix in FORMATS:
        file = stem.with_name(f"{stem.name}.{suffix}")
        metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}[suffix]
        figure.savefig(file, metadata=metadata)
        files[suffix] = file
    return files


def render(name: str, /, **content: Any) -> str:
    """The page of template ``name``, below ``suite/ptychosuite/reporting/templates``."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ptychosuite.reporting"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(**content)


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
