"""Every run as a dot."""

from dataclasses import dataclass
from typing import ClassVar

from ptychosuite.reporting.figures.figure_kind import Drawn, Names


@dataclass(frozen=True)
class DotsFigure:
    """The final values of a metric, a dot a run, a row a value of ``row``.

    Parameters
    ----------
    metric
        What is drawn.
    row
        The factor that parts the rows.
    """

    names: ClassVar = Names(metrics=("metric",), factors=("row",))

    metric: str = "residual"
    row: str = "solver"

    def draw(self, material):
        from matplotlib.figure import Figure  # here, so that planning a study does not wait for it

        metric, row = material.column(self.metric), material.column(self.row)
        numbers = material.table[[row, metric]].dropna()
        figure = Figure(figsize=(5, 2.5))
        axis = figure.subplots()
        axis.plot(numbers[metric], numbers[row].astype(str), ".")
        axis.set(xlabel=self.metric, ylabel=self.row)
        return Drawn(figure, f"The {self.metric} of {len(numbers)} runs.", numbers)
