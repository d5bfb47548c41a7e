"""How figures look, and how they are saved.

The pages' templates, which share one style sheet.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jinja2
import matplotlib as mpl
from matplotlib.figure import Figure

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
