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


HALVES = "between two half scans, half-bit threshold"
TRUTH = "with the truth, one-bit threshold"


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
            for label, planned in panel.rows.groupby(labels.loc[panel.rows.index], sort=False):
                for kind, rows in planned.groupby(_kinds(planned), sort=False):
                    curve = _median(rows, material)
                    if curve is not None:
                        _draw(axis, curve, series[str(label)])
                        told = {"panel": panel.title, "line": label, "planned": len(planned)}
                        numbers.append(curve.assign(**told, between=kind))
            axis.set(xlim=(0, 1), ylim=(-0.05, 1.02))
            axis.set(xlabel="spatial frequency / Nyquist", ylabel="ring correlation")
        set_titles(figure, axes, [panel.title for panel in shown])
        if not numbers:
            raise NothingToDraw("no run has a ring correlation")
        table = material.table
        outcomes = {str(label): Outcome.of_rows(rows) for label, rows in table.groupby(labels, sort=False)}
        draw_legend(figure, series, outcomes, material.column(self.line))
        every = pd.concat(numbers, ignore_index=True)
        caption = f"Fourier ring correlation {_what(every)}: {over}. {Outcome.of_rows(table).text}."
        return Drawn(figure, caption, every, alt=_in_words(every))


def _kinds(rows: pd.DataFrame) -> pd.Series:
    """Between what the rings of each row are, where it has any."""
    column = rows.get("half_frc_crossing")
    are_halves = column.notna() if column is not None else rows["status"].isna()
    return are_halves.map({True: HALVES, False: TRUTH})


def _what(numbers: pd.DataFrame) -> str:
    """Between what the rings are, and the thresholds; where lines differ in it, which are of what kind."""
    kinds = numbers.groupby("between", sort=False)["line"].unique()
    if len(kinds) == 1:
        return f"{kinds.index[0]} (dotted)"
    each = [f"{kind} ({', '.join(map(str, lines))})" for kind, lines in kinds.items()]
    return f"{', and '.join(each)}, thresholds dotted"


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
    from ptychosuite.metrics.frc import RingCorrelation, crossing

    sentences: list[Any] = []
    for (panel, line, _), curve in curves.groupby(["panel", "line", "between"], sort=False):
        where = f" in the panel {panel}" if panel else ""
        frequency, correlation, threshold = (
            curve[name].to_numpy() for name in ("frequency", "correlation", "threshold")
        )
        at = crossing(RingCorrelation(frequency, correlation, np.ones(len(curve), int)), threshold)
        falls = f"falls below its threshold at {at:.2g} of Nyquist" if at < 1 else "stays above its threshold"
        sentences.append(f"{line} {falls}{where}")
    return "; ".join(sentences[:24]) + "."
