"""Colour scales of pictures: robust, with what lies beyond them marked; what is hidden is hatched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize

NEUTRAL, HATCH = "#efefef", "#bdbdbd"  # of pixels that are not shown
SIGNALS = {  # below and above the scale: colours that the map itself has not
    "gray": ("#00a6d6", "#ff5000"),
    "cividis": ("#00c8ff", "#ff2d00"),
    "magma": ("#00c8ff", "#39d353"),
    "RdBu_r": ("#00b050", "#ffc800"),
}
CYCLIC = "twilight"
TAIL = 0.002  # share of the pixels at either end of a truth that its scale may leave out
ROOM = 0.25  # of the truth's span, by which the scale may grow for what runs have beyond it
NEARLY_ALL = 0.99  # of the pixels of a difference lie within its scale
WHOLE_CIRCLE_RAD = 1.6 * np.pi  # phases that span more are drawn over the whole circle


@dataclass
class Scale:
    """The colour scale of pictures that are meant to be compared, and what lay beyond it.

    Parameters
    ----------
    low, high
        Its ends.
    colour_map
        Name of the colour map; :data:`CYCLIC` for phases over the whole circle, which nothing lies beyond.
    """

    low: float
    high: float
    colour_map: str
    below: float = field(default=0.0, init=False)  # largest share of the pixels of a picture
    above: float = field(default=0.0, init=False)

    @property
    def colours(self) -> Colormap:
        under, over = SIGNALS.get(self.colour_map, (None, None))
        return mpl.colormaps[self.colour_map].with_extremes(bad=(0, 0, 0, 0), under=under, over=over)

    @property
    def extend(self) -> str:
        """Which ends of the colour bar have a tip in the signal colour."""
        return {(0, 0): "neither", (1, 0): "min", (0, 1): "max"}.get(
            (bool(self.below), bool(self.above)), "both"
        )

    def draw(self, axis: Axes, image: np.ndarray, mask: np.ndarray | None = None) -> Any:
        """Draw the pixels of ``image`` in ``mask``, the others hatched; what a bar is made of is returned."""
        visible = np.isfinite(image) if mask is None else mask & np.isfinite(image)
        if self.colour_map != CYCLIC and visible.any():
            slack = 1e-6 * (self.high - self.low)
            self.below = max(self.below, float((image[visible] < self.low - slack).mean()))
            self.above = max(self.above, float((image[visible] > self.high + slack).mean()))
        mappable = axis.imshow(
            np.ma.array(image, mask=~visible), norm=Normalize(self.low, self.high), cmap=self.colours
        )
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        axis.spines[:].set_visible(False)
        if not visible.all():
            axis.patch.set(facecolor=NEUTRAL, edgecolor=HATCH, hatch="////", linewidth=0)
        return mappable

    def told(self, name: str) -> str:
        """For a caption: the share of the pixels that lie beyond the scale; empty where none do."""
        most = max(self.below, self.above)
        if not most:
            return ""
        return f"{name}: up to {_per_cent(most)} of a picture beyond {self.low:.3g} to {self.high:.3g}"


def few_ticks(bar: Any) -> None:
    """Let the numbers below a colour bar not touch where it is short."""
    bar.ax.locator_params(nbins=3)
    bar.ax.xaxis.set_major_formatter("{x:g}")
    bar.ax.tick_params(labelsize="small")


def clipping(scales: Iterable[tuple[str, Scale]]) -> str:
    """A sentence on what lies beyond the scales of the panels so named; empty where nothing does."""
    told = [text for name, scale in scales if (text := scale.told(name))]
    return (
        f" Pixels in the colours at the tips of a bar lie beyond its scale ({'; '.join(told)})."
        if told
        else ""
    )


def _per_cent(share: float) -> str:
    return "less than 0.1 %" if share < 0.001 else f"{100 * share:.2g} %"


def scale_of(
    colour_map: str,
    truths: Sequence[np.ndarray],
    images: Sequence[np.ndarray],
    given: Sequence[float] | None = None,
) -> Scale:
    """For the values of pictures: as ``given``, else that of the truths with some room for the runs.

    Without a truth, nearly all the values of the runs.
    """
    if given is not None:
        return Scale(float(given[0]), float(given[1]), colour_map)
    exact, runs = ([image[np.isfinite(image)] for image in group] for group in (truths, images))
    exact, runs = ([image for image in group if image.size] for group in (exact, runs))
    main = np.array([np.quantile(each, (TAIL, 1 - TAIL)) for each in (exact or runs)])
    if not len(main):
        return Scale(0.0, 1.0, colour_map)
    low, high = float(main[:, 0].min()), float(main[:, 1].max())
    if exact:  # a few pixels far away, of the truth or of a run, make the others no darker
        room = ROOM * (high - low)
        seen = [(float(each.min()), float(each.max())) for each in exact]
        seen += [tuple(np.quantile(each, (TAIL, 1 - TAIL))) for each in runs]
        low = max(low - room, min(low, *(end for end, _ in seen)))
        high = min(high + room, max(high, *(end for _, end in seen)))
    return Scale(float(low), float(high if high > low else low + 1), colour_map)


def phase_scale(
    truths: Sequence[np.ndarray], images: Sequence[np.ndarray], given: Sequence[float] | None = None
) -> Scale:
    """For phases in radians: cyclic where they go round the whole circle."""
    scale = scale_of("cividis", truths, images, given)
    if scale.high - scale.low <= WHOLE_CIRCLE_RAD:
        return scale
    return whole_circle()


def whole_circle() -> Scale:
    """All phases, in a colour map whose ends meet."""
    return Scale(-np.pi, np.pi, CYCLIC)


def difference_scale(images: Sequence[np.ndarray]) -> Scale:
    """About zero, for the differences of several runs."""
    finite = [np.abs(image[np.isfinite(image)]) for image in images]
    pooled = np.concatenate([*finite, np.zeros(1)])
    reach = float(np.quantile(pooled, NEARLY_ALL)) or float(pooled.max()) or 1.0
    return Scale(-reach, reach, "RdBu_r")
