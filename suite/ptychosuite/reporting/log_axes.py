"""Ticks and numbers of logarithmic axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogFormatterSciNotation, NullLocator

PLAIN = (1e-3, 1e5)  # numbers from here to there are written without a power of ten


class LogNumbers(LogFormatterSciNotation):
    """Numbers of a logarithmic axis as one writes them: 0.05, 1, 300, and powers of ten beyond."""

    def __call__(self, x: float, pos: Any = None) -> str:
        text: str = super().__call__(x, pos)
        return f"{x:g}" if text and PLAIN[0] <= abs(x) < PLAIN[1] else text


def number_axes(axes: Axes, is_small: bool) -> None:
    """Number both axes of a log-log panel.

    There are no numbers between powers of ten along the horizontal axis where one of these is in view: they
    would touch. In a small panel that shows two or more there are no ticks between them either: they take
    most of the time of drawing.
    """
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        low, high = np.log10(limits)
        powers = int(np.floor(high) - np.ceil(low)) + 1
        axis.set_major_formatter(LogNumbers())
        axis.set_minor_formatter(LogNumbers(minor_thresholds=(1, 0.4)))
        if is_small and powers > 1:
            axis.set_minor_locator(NullLocator())
        elif powers > 0 and axis is axes.xaxis:
            axis.set_minor_formatter("")
