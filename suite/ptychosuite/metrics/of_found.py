"""Metrics of what a solver finds beside the object: positions of the scan, and modes of the probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ptychosuite.core.problem import Problem
from ptychosuite.metrics.evaluation import Evaluation
from ptychosuite.metrics.metric import Direction, Metric, Need, Tolerance
from ptychosuite.metrics.modes import mode_overlap, powers
from ptychosuite.metrics.positions import jitter_px, position_errors_px, rms_px


def _settings(solver: Any, name: str) -> list[Any]:
    """The values of a setting of the solvers that do the work, of those that have it."""
    parts = () if solver is None else solver.constituents
    return [getattr(part, name) for part in parts if hasattr(part, name)]


@dataclass(frozen=True)
class PositionError(Metric):
    """Rms along either axis of found minus true positions, their common shift removed.

    Of a run that corrects none, the error of those that it was given.
    """

    name: ClassVar[str] = "position_error_px"
    label: ClassVar[str] = "position error / px"
    unit: ClassVar[str] = "px"
    better: ClassVar[Direction] = "lower"
    needs: ClassVar[Need] = "truth"
    always: ClassVar[bool] = True
    gauge: ClassVar[Literal["free", "removed"]] = "removed"
    tolerance: ClassVar[Tolerance | None] = Tolerance("images", {"complex64": 1e-4, "complex128": 1e-10})

    def concerns(self, problem: Problem, solver: Any) -> bool:
        """Where positions are corrected, or are not the true ones."""
        return any(_settings(solver, "positions")) or not problem.positions_are_true

    def value(self, evaluation: Evaluation) -> float:
        return rms_px(position_errors_px(evaluation.seen.positions_px, evaluation.truth.positions_px))


@dataclass(frozen=True)
class PositionJitter(PositionError):
    """The position error once an affine map is removed too: what no stretch of the object hides."""

    name: ClassVar[str] = "position_jitter_px"
    label: ClassVar[str] = "position error beyond an affine map / px"
    in_baseline: ClassVar[bool] = False
    in_summary: ClassVar[bool] = False
    in_show: ClassVar[bool] = False

    def value(self, evaluation: Evaluation) -> float:
        return rms_px(jitter_px(evaluation.seen.positions_px, evaluation.truth.positions_px))


@dataclass(frozen=True)
class ModeOverlap(Metric):
    """Share of the true modes' power that lies in the space of the found ones; 1 where they span it."""

    name: ClassVar[str] = "mode_overlap"
    label: ClassVar[str] = "overlap with the true modes"
    better: ClassVar[Direction] = "higher"
    needs: ClassVar[Need] = "truth"
    on_the_way: ClassVar[bool] = False
    always: ClassVar[bool] = True
    gauge: ClassVar[Literal["free", "removed"]] = "removed"
    tolerance: ClassVar[Tolerance | None] = Tolerance("images")

    def is_available(self, problem: Problem, half_scans: bool) -> bool:
        return problem.reference is not None and problem.reference.probe_modes is not None

    def value(self, evaluation: Evaluation) -> float:
        return mode_overlap(evaluation.aligned_probe, evaluation.truth.modes)


@dataclass(frozen=True)
class FirstModeShare(Metric):
    """Power of the strongest mode of the probe over that of all."""

    name: ClassVar[str] = "first_mode_share"
    label: ClassVar[str] = "power of the first mode"
    needs: ClassVar[Need] = "data"
    always: ClassVar[bool] = True
    in_baseline: ClassVar[bool] = False
    in_show: ClassVar[bool] = False

    def concerns(self, problem: Problem, solver: Any) -> bool:
        """Where there are several."""
        return any(number > 1 for number in _settings(solver, "probe_modes"))

    def value(self, evaluation: Evaluation) -> float:
        found = powers(evaluation.host_probe)
        return float(found.max() / found.sum()) if found.sum() else float("nan")
