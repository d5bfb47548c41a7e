"""Fourier ring correlation curves."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ptychosuite.analysis.labels import line_labels
from ptychosuite.core.figures import RingsFigure
from ptychosuite.reporting.figures import Drawn, NothingToDraw, factor_column, narrow
from ptychosuite.reporting.style import COLOURS
from ptychosuite.store.layout import Store
from ptychosuite.store.read import read_run


def draw_rings(settings: RingsFigure, table: pd.DataFrame, store: Store) -> Drawn:
    """Median correlation over the runs of a line, against frequency as a share of Nyquist."""
    table = narrow(table, settings.where)
    labels = line_labels(table, factor_column(table, settings.line))
    figure = Figure(figsize=(5.2, 3.6))
    axis = figure.subplots()
    numbers = []
    thresholds: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # number of rings -> curve
    for number, (label, rows) in enumerate(table.groupby(labels, sort=False)):
        rings = [read_run(store.root / path, images=False).rings for path in rows["path"]]
        rings = [ring for ring in rings if ring]
        if not rings:
            continue
        longest = max(rings, key=lambda ring: len(ring["frequency"]))
        frequency, threshold = longest["frequency"], longest["threshold"]
        curves = [np.interp(frequency, ring["frequency"], ring["correlation"]) for ring in rings]
        correlation = np.median(curves, axis=0)
        axis.plot(frequency, correlation, color=COLOURS[number % len(COLOURS)], label=str(label))
        columns = {"line": label, "frequency": frequency, "correlation": correlation, "threshold": threshold}
        numbers.append(pd.DataFrame(columns))
        thresholds[len(frequency)] = (frequency, threshold)
    if not thresholds:
        raise NothingToDraw("no run has a ring correlation")
    for frequency, threshold in thresholds.values():
        axis.plot(frequency, threshold, color="0.4", linestyle=":", label="threshold")
    axis.set(xlim=(0, 1), ylim=(-0.05, 1.02), xlabel="spatial frequency / Nyquist", ylabel="ring correlation")
    figure.legend(loc="outside lower center", ncols=3)
    halves = "half_frc_crossing" in table and table["half_frc_crossing"].notna().any()
    with_what = (
        "between two half scans, half-bit threshold" if halves else "with the truth, one-bit threshold"
    )
    return Drawn(figure, f"Fourier ring correlation {with_what}.", pd.concat(numbers, ignore_index=True))
