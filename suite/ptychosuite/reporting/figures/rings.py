"""Fourier ring correlation curves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.core.runs import Status
from ptychosuite.errors import NothingToDraw
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind, Names
from ptychosuite.reporting.figures.wanted import OneOrMore, listed

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ptychosuite.reporting.figures.material import Material
    from ptychosuite.reporting.page_content import Series


@dataclass(frozen=True)
class RingsFigure(FigureKind):
    """Fourier ring correlation against spatial frequency, one line a ``line`` value, with its threshold.

    Medians are taken over the seeds, and over the factors that ``pool`` names.

    Parameters
    ----------
    line
        The factor whose values have a line each.
    pool
        Factors that are no panels: medians are taken over them too.
    """

    runs: ClassVar[Literal["ended", "all"]] = "all"
    names: ClassVar[Names] = Names(factors=("line", "pool"))

    line: str = "solver"
    pool: OneOrMore = ()

    def draw(self, material: Material) -> Drawn:
        """Median correlation over the completed runs of a line, against frequency as a share of Nyquist."""
        import pandas as pd

        from ptychosuite.reporting.legend import draw_legend
        from ptychosuite.reporting.panels import panels
        from ptychosuite.reporting.style import grid, set_titles

        shown, over = panels(material, None, [material.column(self.line)], listed(self.pool))
        labels, series = material.lines(self.line), material.series(self.line)
        figure, axes = grid(len(shown), share=True, width=self.width)
        numbers = []
        for axis, panel in zip(axes, shown, strict=False):
            for label, rows in panel.rows.groupby(labels.loc[panel.rows.index], sort=False):
                curve = _median(rows, material)
                if curve is not None:
                    _draw(axis, curve, series[str(label)])
                    numbers.append(curve.assign(panel=panel.title, line=label, planned=len(rows)))
            axis.set(xlim=(0, 1), ylim=(-0.05, 1.02))
            axis.set(xlabel="spatial frequency / Nyquist", ylabel="ring correlation")
        set_titles(figure, axes, [panel.title for panel in shown])
        if not numbers:
            raise NothingToDraw("no run has a ring correlation")
        table = material.table
        outcomes = {str(label): Outcome.of_rows(rows) for label, rows in table.groupby(labels, sort=False)}
        draw_legend(figure, series, outcomes, material.column(self.line))
        halves = "half_frc_crossing" in table and table["half_frc_crossing"].notna().any()
        with_what = (
            "between two half scans, half-bit threshold" if halves else "with the truth, one-bit threshold"
        )
        outcome = Outcome.of_rows(table)
        caption = f"Fourier ring correlation {with_what} (dotted): {over}. {outcome.text}."
        every = pd.concat(numbers, ignore_index=True)
        return Drawn(figure, caption, every, alt=_in_words(every))


def _median(rows: pd.DataFrame, material: Material) -> pd.DataFrame | None:
    """Correlation and threshold by frequency; None where no run that completed has any."""
    import pandas as pd

    completed = rows.loc[rows["status"] == Status.COMPLETED, "path"]
    rings = [ring for path in completed if (ring := material.files.run(path).rings)]
    if not rings:
        return None
    longest = max(rings, key=lambda ring: len(ring["frequency"]))
    frequency = longest["frequency"]
    curves = [np.interp(frequency, ring["frequency"], ring["correlation"]) for ring in rings]
    return pd.DataFrame(
        {
            "frequency": frequency,
            "correlation": np.median(curves, axis=0),
            "threshold": longest["threshold"],
            "runs": len(rings),
        }
    )


def _draw(axis: Axes, curve: pd.DataFrame, series: Series) -> None:
    from ptychosuite.reporting.series import line_style

    every = max(1, len(curve) // 6)
    axis.plot(curve["frequency"], curve["correlation"], **line_style(series), markevery=every)
    axis.plot(curve["frequency"], curve["threshold"], color="0.4", linestyle=":", linewidth=1)


def _in_words(curves: pd.DataFrame) -> str:
    sentences: list[Any] = []
    for (panel, line), curve in curves.groupby(["panel", "line"], sort=False):
        below = curve["frequency"][(curve["correlation"] < curve["threshold"]) & (curve["frequency"] > 0)]
        where = f" in the panel {panel}" if panel else ""
        crossing = (
            f"falls below its threshold at {below.iloc[0]:.2g} of Nyquist" if len(below) else "never falls"
        )
        sentences.append(f"{line} {crossing}{where}")
    return "; ".join(sentences[:24]) + "."
