"""Ticks and numbers of logarithmic axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, LogFormatterSciNotation, NullLocator

PLAIN = (1e-3, 1e5)  # numbers from here to there are written without a power of ten
RATIO_TICKS = (  # the first whose ticks have room: base, and the ticks from one power to the next
    (2, (1, 1.25, 1.5, 1.75)), (2, (1, 1.5)), (2, (1,)), (10, (1, 2, 5)), (10, (1, 3)), (10, (1,)),
    (100, (1,)),
)  # fmt: skip
TICK_INCHES = 0.42  # that the number of a tick takes


class LogNumbers(LogFormatterSciNotation):
    """Numbers of a logarithmic axis as one writes them: 0.05, 1, 300, and powers of ten beyond."""

    def __call__(self, x: float, pos: Any = None) -> str:
        text: str = super().__call__(x, pos)
        return f"{x:g}" if text and PLAIN[0] <= abs(x) < PLAIN[1] else text


def number_axes(axes: Axes, is_small: bool) -> None:
    """Number both axes of a log-log panel; one that is linear is left as it is.

    There are no numbers between powers of ten along the horizontal axis where one of these is in view: they
    would touch. In a small panel that shows two or more there are no ticks between them either: they take
    most of the time of drawing.
    """
    for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
        if axis.get_scale() != "log":
            continue
        low, high = np.log10(limits)
        powers = int(np.floor(high) - np.ceil(low)) + 1
        axis.set_major_formatter(LogNumbers())
        axis.set_minor_formatter(LogNumbers(minor_thresholds=(1, 0.4)))
        if is_small and powers > 1:
            axis.set_minor_locator(NullLocator())
        elif powers > 0 and axis is axes.xaxis:
            axis.set_minor_formatter("")


def number_ratios(axes: Axes, most: float, inches: float) -> None:
    """Number the horizontal axis of ratios from 1 to ``most``, which is ``inches`` long."""
    for base, steps in RATIO_TICKS:
        powers = float(base) ** np.arange(1 + int(np.log(most) / np.log(base)))
        ticks = np.outer(powers, steps).ravel()
        ticks = ticks[ticks <= most]
        closest = np.log(ticks[1:] / ticks[:-1]).min(initial=np.inf) / np.log(most) * inches
        if closest > TICK_INCHES:
            break
    axes.xaxis.set_major_locator(FixedLocator(ticks.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
