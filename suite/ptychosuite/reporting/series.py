"""One map of lines to colour, dash and marker for a whole study: unique, and told apart in grey as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ptychosuite.analysis.labels import line_labels
from ptychosuite.registry.lookup import names
from ptychosuite.reporting.page_content import Series

# The first six are Okabe and Ito's, told apart by colour-blind readers; all stand on white and on black.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F", "#8C564B", "#9467BD",
           "#A8A000")  # fmt: skip
DASHES: tuple[tuple[float, ...], ...] = (  # in widths of the line; their number and that of the markers
    (), (4, 1.5), (1, 1), (6, 1.5, 1, 1.5), (8, 2), (2, 1), (6, 1.2, 1, 1.2, 1, 1.2),
)  # fmt: skip
MARKERS = {  # d3's name -> matplotlib's
    "circle": "o", "square": "s", "triangle": "^", "diamond": "D", "star": "*", "cross": "P", "wye": "1",
    "times": "x", "asterisk": (6, 2, 0),
}  # fmt: skip
SCREEN_WIDTH = 2  # px of a line on the page


def styled(labels: Sequence[str], slots: Mapping[str, int] | None = None) -> dict[str, Series]:
    """A style for each of ``labels``.

    Parameters
    ----------
    labels
        All that a study has, in its order; those that are there twice count once.
    slots
        Label -> the place in the palette that it has in every study; no two have the same.
    """
    own = dict(slots or {})
    free = (place for place in range(len(labels) + len(own)) if place not in own.values())
    return {
        label: _style(label, own[label] if label in own else next(free)) for label in dict.fromkeys(labels)
    }


def _style(label: str, place: int) -> Series:
    dash = DASHES[place % len(DASHES)]
    return Series(
        label=label,
        colour=COLOURS[place % len(COLOURS)],
        dash=" ".join(f"{SCREEN_WIDTH * length:g}" for length in dash) or "none",
        marker=list(MARKERS)[place % len(MARKERS)],
    )


def series_of(study: pd.DataFrame, factor: str) -> dict[str, Series]:
    """Label -> style of the lines that ``factor`` makes of the planned runs of a study.

    The first line of a solver has the place that the solver has in every study.
    """
    labels = line_labels(study, factor)
    if factor != "solver":
        return styled(labels.unique().tolist())
    known = list(names("solvers"))
    slots: dict[str, int] = {}
    for solver, label in zip(study["solver"], labels, strict=True):
        if solver in known and known.index(solver) not in slots.values():
            slots.setdefault(label, known.index(solver))
    return styled(labels.unique().tolist(), slots)


def line_style(series: Series) -> dict[str, Any]:
    """Colour, dash and marker in matplotlib's words."""
    dash = () if series.dash == "none" else tuple(float(d) / SCREEN_WIDTH for d in series.dash.split())
    return {
        "color": series.colour,
        "linestyle": (0, dash) if dash else "solid",
        "marker": MARKERS[series.marker],
        "markersize": 4.5,
        "markeredgewidth": 1.0,
    }
