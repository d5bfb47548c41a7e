"""One figure drawn by itself, as the page draws it."""

from __future__ import annotations

from typing import Any

import pandas as pd
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind
from ptychosuite.reporting.figures.material import Material, RunFiles


def draw(figure: FigureKind, table: pd.DataFrame, dataset: Any = None, store: Any = None) -> Drawn:
    """What ``figure`` shows of the runs in ``table``."""
    files = RunFiles(store)
    material = Material(table, dataset, files).narrowed(figure.where)
    files.pictured.update(figure.pictured(material))
    return figure.draw(material)
