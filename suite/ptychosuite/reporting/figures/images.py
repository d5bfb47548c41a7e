"""Pictures of reconstructions beside the truth: objects and probes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import BeforeValidator

from ptychosuite.errors import NothingToDraw
from ptychosuite.metrics.image import bounding_box
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind
from ptychosuite.reporting.figures.gallery import Gallery, Tile, gallery, pictured
from ptychosuite.reporting.figures.tiles import add_bar, is_narrow, leave_empty, say_instead
from ptychosuite.reporting.figures.wanted import Ends

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ptychosuite.reporting.figures.material import Material
    from ptychosuite.reporting.photographs import Scale

TITLES = {
    "magnitude": "magnitude",
    "phase": "phase / rad",
    "difference": "magnitude − truth",
    "phase-difference": "phase − truth / rad",
}

Panel = Literal["magnitude", "phase", "difference", "phase-difference"]
Panels = Annotated[
    Sequence[Panel], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]


@dataclass(frozen=True)
class Pixels:
    """One picture: an image (H, W), and which of its pixels there are."""

    image: np.ndarray
    mask: np.ndarray

    @property
    def values(self) -> np.ndarray:
        return self.image[self.mask]


@dataclass(frozen=True)
class ImagesFigure(FigureKind):
    """Reconstructed objects, one row a line of a condition, and their differences to the truth.

    Parameters
    ----------
    show
        The columns.
    magnitude, phase
        Ends of the colour scale, in radians for the phase, where figures of a study are to share it; found
        from the pictures by default.
    """

    runs: ClassVar[Literal["ended", "all"]] = "all"

    show: Panels = ("magnitude", "phase", "difference", "phase-difference")
    magnitude: Ends | None = None
    phase: Ends | None = None

    def pictured(self, material: Material) -> Sequence[str]:
        return pictured(material)

    def draw(self, material: Material) -> Drawn:
        """Each condition below its truth, in the gauge of the metrics; one colour scale a column."""
        from matplotlib.figure import Figure

        from ptychosuite.reporting.photographs import clipping
        from ptychosuite.reporting.style import photographs_size

        shown = gallery(material)
        columns = [panel for panel in self.show if _is_known(panel, shown)]
        if not columns:
            raise NothingToDraw("the truth is not known")
        pictures = [
            {panel: _pixels(panel, tile, window) for panel in columns}
            for block in shown.blocks
            for window in [_window(block)]
            for tile in block
        ]
        scales = {panel: self._scale(panel, shown, pictures) for panel in columns}
        inches, height = photographs_size(len(columns), (2.15, 1.95), self.width)
        figure = Figure(figsize=(inches, height * len(pictures) + 0.6))
        axes = figure.subplots(len(pictures), len(columns), squeeze=False)
        once = _say_once(figure, shown, axes[0, 0])
        for line, tile, found in zip(axes, shown.tiles, pictures, strict=True):
            _draw_row(line, tile, once, [(scales[panel], found[panel]) for panel in columns])
        for line, panel in zip(axes.T, columns, strict=True):
            _set_title(line[0], TITLES[panel])
            add_bar(figure, line, scales[panel])
        caption = shown.caption(material.table) + _hatched(shown, columns)
        caption += clipping((TITLES[panel], scales[panel]) for panel in columns)
        return Drawn(
            figure, caption, shown.numbers(material.table, "row"), _told(shown, columns), is_photograph=True
        )

    def _scale(
        self, panel: Panel, shown: Gallery, pictures: Sequence[Mapping[Panel, Pixels | None]]
    ) -> Scale:
        from ptychosuite.reporting.photographs import difference_scale, phase_scale, scale_of

        found = [(tile.is_truth, each[panel]) for tile, each in zip(shown.tiles, pictures, strict=True)]
        truths = [pixels.values for is_truth, pixels in found if is_truth and pixels is not None]
        runs = [pixels.values for is_truth, pixels in found if not is_truth and pixels is not None]
        if panel.endswith("difference"):
            return difference_scale(runs)
        if panel == "phase":
            return phase_scale(truths, runs, self.phase)
        return scale_of("gray", truths, runs, self.magnitude)


@dataclass(frozen=True)
class ProbeFigure(FigureKind):
    """Probes, magnitude above phase, one column a line; two rows a condition.

    Parameters
    ----------
    magnitude
        Ends of the colour scale, where figures of a study are to share it; found from the pictures by
        default.
    """

    runs: ClassVar[Literal["ended", "all"]] = "all"

    magnitude: Ends | None = None

    def pictured(self, material: Material) -> Sequence[str]:
        return pictured(material)

    def draw(self, material: Material) -> Drawn:
        """The true probe and those that the runs ended with, in the gauge that their objects are drawn in."""
        from matplotlib.figure import Figure

        from ptychosuite.reporting.photographs import clipping, scale_of, whole_circle
        from ptychosuite.reporting.style import photographs_size

        shown = gallery(material)
        columns = max(len(block) for block in shown.blocks)
        truths, runs = _probe_magnitudes(shown)
        if not truths and not runs:
            raise NothingToDraw("no run has kept its probe")
        ends = self.magnitude or (0.0, scale_of("magma", truths, runs).high)
        magnitude, phase = scale_of("magma", truths, runs, ends), whole_circle()
        inches, height = photographs_size(columns, (1.9, 4.1), self.width)
        figure = Figure(
            figsize=(inches if self.width else max(4.2, inches), height * len(shown.blocks) + 0.3)
        )
        axes = figure.subplots(2 * len(shown.blocks), columns, squeeze=False)
        once = _say_once(figure, shown, axes[0, 0])
        for number, block in enumerate(shown.blocks):
            tiles = [tile.without_condition for tile in block] if once else block
            _draw_probes(axes[2 * number : 2 * number + 2], tiles, magnitude, phase)
        for upper, lower in zip(axes[::2], axes[1::2], strict=True):
            add_bar(figure, upper, magnitude, "magnitude", "right")
            add_bar(figure, lower, phase, "phase / rad", "right")
        caption = f"Reconstructed probes. {shown.caption(material.table)}"
        caption += clipping([("magnitude", magnitude)])
        told = f"Magnitude above phase of {_words(shown)}."
        return Drawn(figure, caption, shown.numbers(material.table, "column"), told, is_photograph=True)


def _is_known(panel: str, shown: Gallery) -> bool:
    return not panel.endswith("difference") or any(tile.truth is not None for tile in shown.runs)


def _window(block: Sequence[Tile]) -> tuple[slice, slice]:
    """Rows and columns around all pixels that are compared in a block, with a margin."""
    areas = [tile.shown.compared for tile in block if tile.shown is not None]
    if not areas:
        return slice(None), slice(None)
    box = bounding_box(np.logical_or.reduce(areas))
    margin = [max(1, (side.stop - side.start) // 50) for side in box]
    rows, columns = (
        slice(max(0, side.start - more), side.stop + more) for side, more in zip(box, margin, strict=True)
    )
    return rows, columns


def _pixels(panel: str, tile: Tile, window: tuple[slice, slice]) -> Pixels | None:
    """What a panel shows of a run; None where it shows nothing."""
    whole = _whole(panel, tile)
    return None if whole is None else Pixels(whole.image[window], whole.mask[window])


def _whole(panel: str, tile: Tile) -> Pixels | None:
    shown, truth = tile.shown, tile.truth
    if shown is None:
        return None
    if panel == "magnitude":
        return Pixels(np.abs(shown.object), shown.compared)
    if panel == "phase":
        return Pixels(np.angle(shown.object), shown.compared)
    if truth is None or tile.is_truth:
        return None
    if panel == "difference":
        return Pixels(np.abs(shown.object) - np.abs(truth.object), shown.compared)
    return Pixels(np.angle(shown.object * truth.object.conj()), shown.scanned)


def _draw_row(
    axes: Sequence[Axes], tile: Tile, said: bool, pictures: Sequence[tuple[Scale, Pixels | None]]
) -> None:
    """Draw the pictures of one run; ``said`` is whether its condition stands elsewhere."""
    for axis, (scale, pixels) in zip(axes, pictures, strict=True):
        if pixels is None:
            leave_empty(axis)
        else:
            scale.draw(axis, pixels.image, pixels.mask)
    size = "small" if is_narrow(axes[0]) else "medium"
    axes[0].set_ylabel(tile.without_condition.label if said else tile.label, fontsize=size)
    if tile.shown is None:
        say_instead(axes[0], tile.note)


def _say_once(figure: Figure, shown: Gallery, axis: Axes) -> bool:
    """Whether the only condition stands at the side, where pictures are too small to say it beside each."""
    if len(shown.blocks) > 1 or not is_narrow(axis):
        return False
    figure.supylabel(shown.tiles[0].condition, fontsize="small")
    return True


def _set_title(axis: Axes, title: str) -> None:
    """Above a picture, on two lines where it is narrow."""
    if is_narrow(axis):
        axis.set_title(title.replace(" − ", "\n− "), fontsize="small")
    else:
        axis.set_title(title)


def _draw_probes(axes: Any, block: Sequence[Tile], magnitude: Scale, phase: Scale) -> None:
    """Magnitude and phase, (2, n) axes, of a block of at most n tiles."""
    for tile, (upper, lower) in zip(block, axes.T, strict=False):
        probe = _probe(tile)
        upper.set_title(tile.label, fontsize="small" if is_narrow(upper) else "medium")
        if probe is None:
            leave_empty(upper)
            leave_empty(lower)
            say_instead(upper, tile.note or "no probe was kept")
            continue
        magnitude.draw(upper, np.abs(probe))
        phase.draw(lower, np.angle(probe))
    for axis in axes[:, len(block) :].ravel():
        axis.axis("off")


def _probe(tile: Tile) -> np.ndarray | None:
    return None if tile.shown is None else tile.shown.probe


def _probe_magnitudes(shown: Gallery) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Those of the truths, and those of the runs."""
    found = [(tile.is_truth, np.abs(probe)) for tile in shown.tiles if (probe := _probe(tile)) is not None]
    truths = [image for is_truth, image in found if is_truth]
    return truths, [image for is_truth, image in found if not is_truth]


def _hatched(shown: Gallery, columns: Sequence[str]) -> str:
    """A sentence on the pixels that are hatched; empty where there are none."""
    seen = [tile.shown for tile in shown.tiles if tile.shown is not None]
    nowhere = any(not each.compared.all() for each in seen)
    in_part = any(each.compared.all() and not each.scanned.all() for each in seen)
    if nowhere and in_part:
        there = "magnitudes are compared there too where the probe is known"
        return f" Hatched: pixels that were not scanned; {there}."
    if nowhere:
        return " Hatched: pixels that were not scanned; they are not compared."
    if "phase-difference" in columns and in_part:
        return " Hatched: pixels that were not scanned; magnitudes are compared there too, phases are not."
    return ""


def _told(shown: Gallery, columns: Sequence[str]) -> str:
    names = ", ".join(TITLES[panel].removesuffix(" / rad") for panel in columns)
    return f"A grid of pictures: {names} in columns; in rows {_words(shown)}."


def _words(shown: Gallery) -> str:
    return "; ".join(tile.words for tile in shown.tiles)
