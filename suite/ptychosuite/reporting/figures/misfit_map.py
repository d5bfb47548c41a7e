"""Where in the scan the patterns are explained well, and where they are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from ptychosuite.errors import NothingToDraw
from ptychosuite.reporting.figures.chosen_runs import (
    MANY,
    ChosenRun,
    chosen_runs,
    draw_frame,
    map_panels,
    positions_table,
    typical_step_px,
    which_runs,
)
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ptychosuite.reporting.figures.material import Material

COVER = 0.55  # of a step's square, by a dot


@dataclass(frozen=True)
class PositionMisfitFigure(FigureKind):
    """Misfit of every pattern at its scan position, one panel a line of a condition.

    The Poisson deviance per fitted detector pixel. What noise alone leaves of it is about 1 where pixels are
    bright and less where they are dark: the metrics ``expected_deviance`` and ``truth_deviance``.
    """

    runs: ClassVar[Literal["ended", "all"]] = "all"

    @property
    def stem(self) -> str:
        return "position-misfit"

    def draw(self, material: Material) -> Drawn:
        """A dot a pattern, in one colour scale for all panels."""
        from matplotlib.colors import LogNorm
        from matplotlib.ticker import LogLocator

        from ptychosuite.reporting.style import colour_scale

        runs, left_out = chosen_runs(material)
        maps = [_map_of(run) for run in runs]
        known = [misfit for _, misfit in filter(None, maps)]
        if not known:
            raise NothingToDraw("no run has kept the misfits of its patterns, as runs of today do")
        values = np.concatenate(known)
        scale = colour_scale(values[np.isfinite(values)])
        figure, axes = map_panels(len(runs), self.width)
        shown = None
        for axis, run, each in zip(axes, runs, maps, strict=True):
            told = "" if each is None else f"median {np.median(each[1]):.3g}, largest {each[1].max():.3g}"
            if draw_frame(axis, run, told, None if each is None else each[0]):
                assert each is not None
                side = _dot_points(axis, each[0])
                rows, columns = each[0].T
                shown = axis.scatter(
                    columns, rows, c=each[1], s=side**2, marker="s", norm=scale, cmap="cividis", lw=0
                )
                axis.grid(False)
        assert shown is not None
        bar = figure.colorbar(shown, ax=axes, label="Poisson deviance per pixel", shrink=0.9, format="{x:g}")
        if isinstance(scale, LogNorm):
            bar.set_ticks(LogLocator(subs=(1, 2, 5)))
            bar.minorticks_off()
        caption = (
            "Misfit of each pattern at its scan position, in pixels of the object: Poisson deviance per "
            f"fitted detector pixel{_noise_alone(runs)}. {which_runs(material.table, left_out)}"
        )
        return Drawn(
            figure,
            caption,
            positions_table(runs, [_columns(each) for each in maps]),
            _in_words(runs, maps),
            is_photograph=max(map(len, known)) > MANY,
        )


def _noise_alone(runs: Sequence[ChosenRun]) -> str:
    """What noise alone would leave, of the runs that know it."""
    metrics = [{} if run.record is None else run.record.metrics for run in runs]
    for name, whose in (("truth_deviance", "the truth has"), ("expected_deviance", "noise alone leaves")):
        known = [each[name] for each in metrics if np.isfinite(each.get(name, np.nan))]
        if known:
            return f"; {whose} {' to '.join(dict.fromkeys(f'{end:.3g}' for end in (min(known), max(known))))}"
    return "; noise alone leaves about 1 where pixels are bright and less where they are dark"


def _map_of(run: ChosenRun) -> tuple[np.ndarray, np.ndarray] | None:
    """Positions (N, 2) and misfits (N,) of a run."""
    positions = run.found_px
    if run.record is None or run.record.pattern_misfit is None or positions is None:
        return None
    return positions, run.record.pattern_misfit


def _dot_points(axis: Axes, positions: np.ndarray) -> float:
    """Side of a dot in points, so that dots of neighbours leave a little between them."""
    low, high = axis.get_xlim()
    inches = axis.get_window_extent().width / axis.get_figure(root=True).dpi  # type: ignore[union-attr]
    return float(max(COVER * typical_step_px(positions) / (high - low) * inches * 72 * 1.25, 1.2))


def _columns(each: tuple[np.ndarray, np.ndarray] | None) -> dict[str, np.ndarray]:
    if each is None:
        return {}
    positions, misfit = each
    return {"row_px": positions[:, 0], "column_px": positions[:, 1], "poisson_deviance": misfit}


def _in_words(runs: Sequence[ChosenRun], maps: Sequence[tuple[np.ndarray, np.ndarray] | None]) -> str:
    sentences = []
    for run, each in zip(runs, maps, strict=True):
        if each is None:
            sentences.append(f"{run.words}: {run.note or 'no misfits were kept'}")
            continue
        positions, misfit = each
        row, column = positions[int(np.argmax(misfit))]
        low, high = np.quantile(misfit, (0.05, 0.95))
        sentences.append(
            f"{run.words}: nine in ten patterns between {low:.3g} and {high:.3g}, the largest at row "
            f"{row:.0f}, column {column:.0f}"
        )
    return "A map of the scan for each run. " + "; ".join(sentences) + "."
