"""Fourier ring correlation curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ptychosuite.analysis.labels import line_labels
from ptychosuite.errors import NothingToDraw
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind, Names

if TYPE_CHECKING:
    from ptychosuite.reporting.figures.material import Material


@dataclass(frozen=True)
class RingsFigure(FigureKind):
    """Fourier ring correlation against spatial frequency, one line a ``line`` value, with its threshold."""

    names: ClassVar[Names] = Names(factors=("line",))

    line: str = "solver"

    def draw(self, material: Material) -> Drawn:
        """Median correlation over the runs of a line, against frequency as a share of Nyquist."""
        import pandas as pd
        from matplotlib.figure import Figure

        from ptychosuite.reporting.style import colours

        table = material.table
        labels = line_labels(table, material.column(self.line))
        figure = Figure(figsize=(5.2, 3.6))
        axis = figure.subplots()
        numbers = []
        thresholds: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # number of rings -> curve
        colour = colours(labels)
        for label, rows in table.groupby(labels, sort=False):
            rings = [material.files.run(path).rings for path in rows["path"]]
            rings = [ring for ring in rings if ring]
            if not rings:
                continue
            longest = max(rings, key=lambda ring: len(ring["frequency"]))
            frequency, threshold = longest["frequency"], longest["threshold"]
            curves = [np.interp(frequency, ring["frequency"], ring["correlation"]) for ring in rings]
            correlation = np.median(curves, axis=0)
            axis.plot(frequency, correlation, color=colour[str(label)], label=str(label))
            curve = {"frequency": frequency, "correlation": correlation, "threshold": threshold}
            numbers.append(pd.DataFrame({"line": label, **curve}))
            thresholds[len(frequency)] = (frequency, threshold)
        if not thresholds:
            raise NothingToDraw("no run has a ring correlation")
        for frequency, threshold in thresholds.values():
            axis.plot(frequency, threshold, color="0.4", linestyle=":", label="threshold")
        axis.set(xlim=(0, 1), ylim=(-0.05, 1.02))
        axis.set(xlabel="spatial frequency / Nyquist", ylabel="ring correlation")
        figure.legend(loc="outside lower center", ncols=3)
        halves = "half_frc_crossing" in table and table["half_frc_crossing"].notna().any()
        with_what = (
            "between two half scans, half-bit threshold" if halves else "with the truth, one-bit threshold"
        )
        return Drawn(figure, f"Fourier ring correlation {with_what}.", pd.concat(numbers, ignore_index=True))
