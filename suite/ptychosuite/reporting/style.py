"""How figures look and what several kinds share (sizes, scales, titles); how they and pages are saved."""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine

# Okabe and Ito's palette: told apart by colour-blind readers, and in print
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
PANEL_INCHES = 3.4
PRINT_DPI = 160
SCREEN_DPI = 105
WEBP_QUALITY = 85
FORMATS = ("pdf", "png", "svg")
WRITTEN: dict[str, dict[str, Any]] = {  # without dates; a PNG is packed quickly, and a little larger
    "pdf": {"metadata": {"CreationDate": None}},
    "png": {"pil_kwargs": {"compress_level": 3}},
    "svg": {"metadata": {"Date": None}},
}
CANVASES: dict[str, Any] = {"pdf": FigureCanvasPdf, "svg": FigureCanvasSVG}

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
    "savefig.dpi": PRINT_DPI,
    "svg.fonttype": "none",  # text that can be searched and copied
    "svg.hashsalt": "ptychosuite",  # the same figure gives the same file
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw without a display, in the house style."""
    with mpl.rc_context(SETTINGS):
        yield


def picture(figure: Figure) -> bytes:
    """A WebP for a page: a tenth of the PNG for print."""
    content = io.BytesIO()
    _write(figure, content, "webp", SCREEN_DPI, pil_kwargs={"quality": WEBP_QUALITY})
    return content.getvalue()


def lay_out(figure: Figure) -> None:
    """Find the places of all that is in ``figure`` once, for every form that it is saved in."""
    engine = figure.get_layout_engine()
    if engine is None or isinstance(engine, PlaceHolderLayoutEngine):
        return
    with warnings.catch_warnings():  # a figure too small for its text is drawn as it is
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        engine.execute(figure)
    figure.set_layout_engine("none")


def save(figure: Figure, stem: Path) -> dict[str, Path]:
    """Save as PDF, PNG and SVG beside each other, without dates in them.

    By the canvases themselves: ``savefig`` draws each form twice, the first time to find the layout.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    lay_out(figure)
    files = {suffix: stem.with_name(f"{stem.name}.{suffix}") for suffix in FORMATS}
    for suffix, file in files.items():
        _write(figure, file, suffix, PRINT_DPI, **WRITTEN[suffix])
    return files


def _write(figure: Figure, target: Any, form: str, dpi: int, **settings: Any) -> None:
    figure.set_dpi(dpi)
    canvas: Any = CANVASES.get(form, FigureCanvasAgg)(figure)
    getattr(canvas, f"print_{form}")(target, **settings)


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
TITLE_LETTERS = 42  # in a line
WIDTHS = {"column": 3.5, "page": 7.2}  # inches
LETTER_INCHES = 0.082  # of a panel's title, on average
NAME_INCHES = 0.072  # of a letter beside an axis
BELOW_INCHES = 0.55  # what a panel's height holds beside its axes: ticks, and a name below
BOLD_INCHES = 0.105  # of a figure's title
AROUND_INCHES = 0.8  # what stands beside and below pictures: names and colour bars
NARROW_INCHES = 1.3  # pictures below this have small titles and few ticks


def width_of(width: str | None, natural: float) -> float:
    """Inches of a figure of ``width``, "column" or "page"; ``natural`` where none is given."""
    return WIDTHS.get(width or "", natural)


def photographs_size(columns: int, tile: tuple[float, float], width: str | None) -> tuple[float, float]:
    """Width of a figure with ``columns`` pictures side by side, and height of a picture.

    Parameters
    ----------
    tile
        Width and height of a picture, in inches, where no width is given.
    """
    inches = width_of(width, tile[0] * columns + AROUND_INCHES)
    return inches, tile[1] * (inches - AROUND_INCHES) / (tile[0] * columns)


def set_titles(figure: Figure, axes: Sequence[Axes], titles: Sequence[str]) -> None:
    """Titles of panels of equal width, on as many lines as they need."""
    columns = axes[0].get_gridspec().ncols  # type: ignore[union-attr]
    letters = max(12, int((figure.get_figwidth() / columns - 0.5) / LETTER_INCHES))
    for axis, title in zip(axes, titles, strict=False):
        axis.set_title(textwrap.fill(title, min(letters, TITLE_LETTERS)))


def on_lines(label: str, letters: int, indent: str = "") -> str:
    """``label`` of a line on lines of so many letters; a setting stays beside its value."""
    kept = "\N{NO-BREAK SPACE}"
    together = re.sub(r"(?<=\w) (?=[-+]?\d)", kept, label)
    return textwrap.fill(together, letters, subsequent_indent=indent).replace(kept, " ")


def name_values(axis: Axes, name: str) -> None:
    """Name an axis' values beside it, on as many lines as its height makes necessary."""
    figure, rows = axis.get_figure(root=True), axis.get_gridspec().nrows  # type: ignore[union-attr]
    inches = figure.get_figheight() / rows - BELOW_INCHES - 0.7 / rows  # type: ignore[union-attr]
    letters = max(12, int(inches / NAME_INCHES))
    axis.set_ylabel(textwrap.fill(name, letters, break_on_hyphens=False))


def set_heading(figure: Figure, title: str) -> None:
    """Title of a whole figure, on as many lines as it needs."""
    letters = int(figure.get_figwidth() / BOLD_INCHES)
    figure.suptitle(textwrap.fill(title, letters), fontsize="large", fontweight="bold")


def grid(
    panels: int, share: bool, extra_inches: float = 0.0, width: str | None = None, columns: int | None = None
) -> tuple[Figure, list[Axes]]:
    """A figure with at least ``panels`` axes side by side, the rest of them hidden.

    Parameters
    ----------
    width
        "column" or "page" of a journal; as wide as its panels by default.
    columns
        Axes side by side, but for a column, which has room for one; as many as look well by default.
    """
    if columns is None or width == "column":
        columns = min(panels, {"column": 1, "page": 2}.get(width or "", 2 if panels in (2, 4) else 3))
    rows = -(-panels // columns)
    inches = width_of(width, max(columns * (PANEL_INCHES + extra_inches) + 0.4, 4.6))
    height = 0.85 * PANEL_INCHES if width is None else min(0.85 * PANEL_INCHES, 0.8 * inches / columns)
    figure = Figure(figsize=(inches, rows * height + 0.7))
    axes = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share).ravel().tolist()
    for axis in axes[panels:]:
        axis.set_visible(False)
    return figure, axes


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
