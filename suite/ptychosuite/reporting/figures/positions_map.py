"""Scan positions: true, given and found ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ptychosuite.errors import NothingToDraw
from ptychosuite.metrics.positions import common_shift_px, jitter_px, position_errors_px, rms_px
from ptychosuite.reporting.figures.chosen_runs import (
    MANY,
    ChosenRun,
    chosen_runs,
    draw_frame,
    map_panels,
    plain_factor,
    positions_table,
    typical_step_px,
    which_runs,
)
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ptychosuite.core.problem import Problem
    from ptychosuite.reporting.figures.material import Material

GIVEN, FOUND = "#D55E00", "#0072B2"
OF_A_STEP = 1.3  # length of the longest arrows, but for one in twenty
SMALLEST_PX = 1e-3  # errors below this are rounding, and are not made visible


@dataclass(frozen=True)
class Errors:
    """What is drawn of one run: dots, and arrows from them.

    Parameters
    ----------
    dots
        True positions (N, 2), or without a truth the given ones.
    given, found
        Errors (N, 2) of the given and of the found positions, without their common shift; None where there is
        none of the kind.
    """

    dots: np.ndarray
    given: np.ndarray | None
    found: np.ndarray | None

    @classmethod
    def of(cls, run: ChosenRun) -> Errors | None:
        given, found = run.given_px, run.found_px
        if given is None or found is None:
            return None
        is_corrected = found.shape == given.shape and np.abs(found - given).max() > SMALLEST_PX
        moved = found if is_corrected else None
        if run.reference is None:
            return cls(given, None, None if moved is None else position_errors_px(moved, given))
        true = run.reference.scan_positions_px
        return cls(
            true,
            position_errors_px(given, true),
            None if moved is None else position_errors_px(moved, true),
        )

    @property
    def told(self) -> str:
        """Rms along either axis of both, as in a title."""
        parts = [
            f"{name} {rms_px(errors):.3g}"
            for name, errors in (("given", self.given), ("found", self.found))
            if errors is not None
        ]
        return f"{', '.join(parts)} px rms" if parts else ""


@dataclass(frozen=True)
class PositionsFigure(FigureKind):
    """Scan positions, one panel a line of a condition: true ones, and how far given and found ones are off.

    Without a truth, how far the found ones are from the given ones.

    Parameters
    ----------
    magnified
        By what factor arrows are longer than the errors; by default one that makes them visible.
    """

    runs: ClassVar[Literal["ended", "all"]] = "all"

    magnified: float | None = None

    @property
    def stem(self) -> str:
        return "positions"

    def lacks(self, problem: Problem, solver: Any) -> str:
        if not problem.positions_are_true or any(
            getattr(part, "positions", None) for part in solver.constituents
        ):
            return ""
        return "no run corrects its positions, or is given other ones than the true ones"

    def draw(self, material: Material) -> Drawn:
        """Dots where the positions are, an arrow for each error."""
        runs, left_out = chosen_runs(material)
        errors = [Errors.of(run) for run in runs]
        drawn = [each for each in errors if each is not None]
        if not drawn:
            raise NothingToDraw("no run has kept its positions")
        factor = self.magnified or _factor(drawn)
        figure, axes = map_panels(len(runs), self.width)
        for axis, run, each in zip(axes, runs, errors, strict=True):
            if draw_frame(axis, run, "" if each is None else each.told, None if each is None else each.dots):
                assert each is not None
                _draw_arrows(axis, each, factor)
        has_truth = any(each.given is not None for each in drawn)
        _draw_legend(figure, drawn, has_truth, factor)
        caption = _caption(has_truth, factor) + " " + which_runs(material.table, left_out)
        return Drawn(
            figure,
            caption,
            positions_table(runs, [_columns(run, each) for run, each in zip(runs, errors, strict=True)]),
            _in_words(runs, errors),
            is_photograph=max(len(each.dots) for each in drawn) > MANY,
        )


def _factor(drawn: Sequence[Errors]) -> float:
    lengths = [
        np.hypot(*errors.T) for each in drawn for errors in (each.given, each.found) if errors is not None
    ]
    longest = max((float(np.quantile(length, 0.95)) for length in lengths), default=0.0)
    if longest < SMALLEST_PX:
        return 1.0
    return plain_factor(max(OF_A_STEP * min(typical_step_px(each.dots) for each in drawn) / longest, 0.1))


def _draw_arrows(axis: Axes, each: Errors, factor: float) -> None:
    rows, columns = each.dots.T
    size = 0.14 * typical_step_px(each.dots)
    axis.plot(columns, rows, ".", color="#444444", ms=2.5, zorder=2)
    for errors, colour, order in ((each.given, GIVEN, 1), (each.found, FOUND, 3)):
        if errors is not None:
            down, across = factor * errors.T
            axis.quiver(
                columns, rows, across, down, color=colour, angles="xy", scale_units="xy", scale=1,
                units="xy", width=0.5 * size, zorder=order,
            )  # fmt: skip


def _draw_legend(figure: Figure, drawn: Sequence[Errors], has_truth: bool, factor: float) -> None:
    from matplotlib.lines import Line2D

    dot = "true positions" if has_truth else "given positions"
    lines = [Line2D([], [], ls="", marker=".", color="#444444", label=dot)]
    for name, colour, is_shown in (
        ("given", GIVEN, has_truth),
        ("found", FOUND, any(each.found is not None for each in drawn)),
    ):
        if is_shown:
            words = f"{name}: {'error' if has_truth else 'correction'} × {factor:g}"
            lines.append(Line2D([], [], color=colour, lw=2, label=words))
    figure.legend(handles=lines, loc="outside lower center", ncols=len(lines), fontsize="small")


def _caption(has_truth: bool, factor: float) -> str:
    what = (
        "off the true ones (dots) given and found ones are" if has_truth else "found ones are off the given"
    )
    return (
        f"Scan positions in pixels of the object: how far {what}; arrows are {factor:g} times as long as the "
        "errors. A common shift of all positions, which no data can tell, is removed. Rms is along either "
        "axis."
    )


def _columns(run: ChosenRun, each: Errors | None) -> dict[str, np.ndarray]:
    if each is None:
        return {}
    true = None if run.reference is None else run.reference.scan_positions_px
    found = None if each.found is None else run.found_px
    named = (("true", true), ("given", run.given_px), ("found", found))
    return {
        f"{name}_{axis}_px": positions[:, place]
        for name, positions in named
        if positions is not None
        for place, axis in enumerate(("row", "column"))
    }


def _in_words(runs: Sequence[ChosenRun], errors: Sequence[Errors | None]) -> str:
    """What the maps say in numbers."""
    sentences = []
    for run, each in zip(runs, errors, strict=True):
        if each is None:
            sentences.append(f"{run.words}: {run.note or 'no positions were kept'}")
            continue
        told = each.told or "positions as they are given"
        if run.reference is not None and each.found is not None:
            true, found = run.reference.scan_positions_px, run.found_px
            assert found is not None
            beyond = rms_px(jitter_px(found, true))
            shift = np.hypot(*common_shift_px(found, true))
            told += f", {beyond:.3g} px beyond an affine map, common shift {shift:.2g} px"
        sentences.append(f"{run.words}: {told}")
    return "A map of the scan for each run. " + "; ".join(sentences) + "."
