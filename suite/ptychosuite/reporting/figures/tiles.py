"""What pictures in a figure have in common: empty places, words in the place of a picture, colour bars."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ptychosuite.reporting.photographs import Scale


def is_narrow(axis: Axes) -> bool:
    """Whether a picture has room for small titles and few ticks alone."""
    from ptychosuite.reporting.style import AROUND_INCHES, NARROW_INCHES

    columns = axis.get_gridspec().ncols  # type: ignore[union-attr]
    figure: Any = axis.get_figure()
    return bool((figure.get_figwidth() - AROUND_INCHES) / columns < NARROW_INCHES)


def leave_empty(axis: Axes) -> None:
    """No ticks, no frame: where there is no picture."""
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    axis.spines[:].set_visible(False)


def say_instead(axis: Axes, note: str) -> None:
    """Words in the place of a picture."""
    axis.set_box_aspect(1)
    axis.patch.set_facecolor("#f6f6f6")
    words = note.replace(", ", ",\n")
    axis.text(0.5, 0.5, words, ha="center", va="center", color="#b3261e", transform=axis.transAxes)


def add_bar(
    figure: Figure, axes: Iterable[Axes], scale: Scale, label: str = "", location: str = "bottom"
) -> None:
    """The colour bar of axes that share a scale, with tips where pixels lie beyond it."""
    from ptychosuite.reporting.photographs import few_ticks

    mappable = next((axis.images[0] for axis in axes if axis.images), None)
    if mappable is None:
        return
    beside: dict[str, Any] = {"shrink": 0.85, "pad": 0.02} if location == "bottom" else {}
    bar = figure.colorbar(
        mappable, ax=list(axes), location=location, extend=scale.extend, label=label, **beside
    )
    if location == "bottom":
        few_ticks(bar)
    if is_narrow(mappable.axes):
        bar.set_label(label, fontsize="x-small")
        bar.ax.tick_params(labelsize="x-small")
        bar.ax.locator_params(nbins=3)
        inside = [tick for tick in bar.get_ticks() if scale.low <= tick <= scale.high]
        bar.set_ticks(inside[:: max(1, len(inside) - 1)])  # the outer two: more may touch
