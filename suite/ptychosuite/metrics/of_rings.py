"""Metrics of the ring correlation at the end: with the truth, or between two half scans."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ptychosuite.core.problem import Problem
from ptychosuite.metrics.evaluation import Evaluation
from ptychosuite.metrics.frc import resolution_px
from ptychosuite.metrics.metric import Direction, Metric, Need
from ptychosuite.metrics.tolerance import Tolerance


@dataclass(frozen=True)
class FRCCrossing(Metric):
    """Where the ring correlation with the truth falls below the one-bit threshold."""

    name: ClassVar[str] = "frc_crossing"
    label: ClassVar[str] = "FRC crossing / Nyquist"
    unit: ClassVar[str] = "Nyquist"
    better: ClassVar[Direction] = "higher"
    needs: ClassVar[Need] = "truth"
    on_the_way: ClassVar[bool] = False
    always: ClassVar[bool] = True
    gauge: ClassVar[Literal["free", "removed"]] = "removed"
    tolerance: ClassVar[Tolerance | None] = Tolerance("images")
    in_baseline: ClassVar[bool] = False
    in_summary: ClassVar[bool] = False
    in_show: ClassVar[bool] = False
    change_name: ClassVar[str] = "frc_change"

    def is_available(self, problem: Problem, half_scans: bool) -> bool:
        """Where half scans are compared, the correlation is theirs."""
        return super().is_available(problem, half_scans) and half_scans is (self.needs == "half scans")

    def value(self, evaluation: Evaluation) -> float:
        return evaluation.resolution.crossing


@dataclass(frozen=True)
class HalfFRCCrossing(FRCCrossing):
    """Where the ring correlation between half scans falls below the half-bit threshold."""

    name: ClassVar[str] = "half_frc_crossing"
    label: ClassVar[str] = "half-scan FRC crossing / Nyquist"
    needs: ClassVar[Need] = "half scans"
    in_summary: ClassVar[bool] = True
    change_name: ClassVar[str] = "half_frc_change"


@dataclass(frozen=True)
class FRCResolution(FRCCrossing):
    """Half-period resolution by ring correlation with the truth, 1 / crossing."""

    name: ClassVar[str] = "frc_resolution_px"
    label: ClassVar[str] = "resolution / px"
    unit: ClassVar[str] = "px"
    better: ClassVar[Direction] = "lower"
    in_baseline: ClassVar[bool] = True
    change_name: ClassVar[str] = ""

    def value(self, evaluation: Evaluation) -> float:
        return resolution_px(evaluation.resolution.crossing)


@dataclass(frozen=True)
class HalfFRCResolution(FRCResolution):
    """Half-period resolution by ring correlation between half scans, 1 / crossing."""

    name: ClassVar[str] = "half_frc_resolution_px"
    label: ClassVar[str] = "half-scan resolution / px"
    needs: ClassVar[Need] = "half scans"
