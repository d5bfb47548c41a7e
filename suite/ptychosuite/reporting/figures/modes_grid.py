"""Mutually incoherent modes of the probe, beside the true ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ptychosuite.errors import NothingToDraw
from ptychosuite.metrics.modes import powers
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind
from ptychosuite.reporting.figures.gallery import Tile, gallery, pictured
from ptychosuite.reporting.figures.tiles import add_bar, is_narrow, leave_empty, say_instead

if TYPE_CHECKING:
    import pandas as pd

    from ptychosuite.core.problem import Problem
    from ptychosuite.reporting.figures.material import Material
    from ptychosuite.reporting.photographs import Scale

MAX_MODES = 8
CAPTION = (
    "Modes of the probe, strongest first, magnitude above phase, with their share of the power; one scale of "
    "magnitudes a column."
)
PHASES = " Each is known up to a phase of its own; it has the one nearest to the true mode's."


@dataclass(frozen=True)
class ModesFigure(FigureKind):
    """Modes of the probe, strongest first, magnitude above phase; two rows a line of a condition."""

    runs: ClassVar[Literal["ended", "all"]] = "all"

    @property
    def stem(self) -> str:
        return "modes"

    def pictured(self, material: Material) -> Sequence[str]:
        return pictured(material)

    def lacks(self, problem: Problem, solver: Any) -> str:
        has_some = problem.reference is not None and problem.reference.probe_modes is not None
        if has_some or any(getattr(part, "probe_modes", 1) > 1 for part in solver.constituents):
            return ""
        return "no run has several modes; say 'probe_modes: 3' of a solver, or 'coherence' of a simulation"

    def draw(self, material: Material) -> Drawn:
        """The true modes and those that the runs ended with, in the gauge of their objects."""
        from matplotlib.figure import Figure

        from ptychosuite.reporting.photographs import whole_circle
        from ptychosuite.reporting.style import photographs_size

        shown = gallery(material)
        tiles = shown.tiles
        modes = [_modes(tile) for tile in tiles]
        columns = max((len(each) for each in modes if each is not None), default=0)
        if columns == 0:
            raise NothingToDraw("no run has kept its probe")
        scales = [_scale(modes, place) for place in range(columns)]
        inches, height = photographs_size(columns, (1.9, 1.9), self.width)
        figure = Figure(figsize=(max(3.5, inches), (2 * height + 0.5) * len(tiles) + 0.9))
        axes = figure.subplots(2 * len(tiles), columns, squeeze=False)
        phase = whole_circle()
        for place, (tile, found) in enumerate(zip(tiles, modes, strict=True)):
            _draw_modes(axes[2 * place : 2 * place + 2], tile, found, scales, phase)
        for line, scale in zip(axes.T, scales, strict=True):
            add_bar(figure, line, scale, "magnitude")
        phases = next(axis.images[0] for axis in axes[1::2].ravel() if axis.images)
        share = min(1.0, 1.5 / len(tiles))
        figure.colorbar(phases, ax=axes.ravel().tolist(), shrink=share, aspect=25, label="phase / rad")
        phases_told = PHASES if any(tile.is_truth for tile in tiles) else ""
        caption = f"{CAPTION}{phases_told} {shown.caption(material.table)}"
        numbers = _numbers(tiles, [_whole_modes(tile) for tile in tiles], material.table)
        return Drawn(figure, caption, numbers, _in_words(numbers, tiles), is_photograph=True)


def _whole_modes(tile: Tile) -> np.ndarray | None:
    """All modes (M, m, m) of a tile, each in the phase of its true one; None where none was kept."""
    shown = tile.shown
    if shown is None or shown.probe is None:
        return None
    modes = shown.probe[None] if shown.modes is None else shown.modes
    truth = tile.truth
    if truth is None or truth.probe is None or tile.is_truth:
        return modes
    true = truth.probe[None] if truth.modes is None else truth.modes
    return np.stack([_in_phase(mode, true[k] if k < len(true) else mode) for k, mode in enumerate(modes)])


def _modes(tile: Tile) -> np.ndarray | None:
    modes = _whole_modes(tile)
    return None if modes is None else modes[:MAX_MODES]


def _in_phase(mode: np.ndarray, true: np.ndarray) -> np.ndarray:
    overlap = complex(np.vdot(mode, true))
    return mode * (overlap / abs(overlap)) if overlap and np.isfinite(overlap) else mode


def _scale(modes: Sequence[np.ndarray | None], place: int) -> Scale:
    """From 0 to the largest magnitude of the mode at ``place``."""
    from ptychosuite.reporting.photographs import Scale

    images = [np.abs(each[place]) for each in modes if each is not None and place < len(each)]
    return Scale(0.0, float(max(np.nan_to_num(image).max() for image in images)) or 1.0, "magma")


def _draw_modes(
    axes: Any, tile: Tile, found: np.ndarray | None, scales: Sequence[Scale], phase: Scale
) -> None:
    """Magnitude and phase, (2, n) axes, of one run."""
    size = "small" if is_narrow(axes[0, 0]) else "medium"
    for axis in axes.ravel():
        leave_empty(axis)
    axes[0, 0].set_ylabel(tile.label, fontsize=size)
    if found is None:
        say_instead(axes[0, 0], tile.note or "no probe was kept")
        return
    shares = powers(found) / (powers(_all_of(tile)).sum() or 1)
    for place, mode in enumerate(found):
        scales[place].draw(axes[0, place], np.abs(mode))
        phase.draw(axes[1, place], np.angle(mode))
        axes[0, place].set_title(f"{place + 1}: {100 * shares[place]:.3g} %", fontsize=size)


def _all_of(tile: Tile) -> np.ndarray:
    modes = _whole_modes(tile)
    assert modes is not None
    return modes


def _numbers(tiles: Sequence[Tile], modes: Sequence[np.ndarray | None], table: pd.DataFrame) -> pd.DataFrame:
    """One row a mode: its run, or truth, its power and its share."""
    import pandas as pd

    rows = [
        {
            "row": tile.words,
            "run_id": "" if tile.place is None else table.loc[tile.place, "run_id"],
            "mode": place + 1,
            "power": power,
            "share": power / powers(found).sum(),
        }
        for tile, found in zip(tiles, modes, strict=True)
        if found is not None
        for place, power in enumerate(powers(found))
    ]
    return pd.DataFrame(rows, columns=["row", "run_id", "mode", "power", "share"])


def _in_words(numbers: pd.DataFrame, tiles: Sequence[Tile]) -> str:
    shares = numbers.groupby("row", sort=False)["share"]
    told = [f"{row}: {', '.join(f'{100 * share:.3g} %' for share in each)}" for row, each in shares]
    told += [f"{tile.words}: nothing to be seen" for tile in tiles if tile.shown is None]
    return "Powers of the modes: " + "; ".join(told) + "."
