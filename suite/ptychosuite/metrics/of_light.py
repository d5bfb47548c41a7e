"""A metric of the problem itself: how far the light of neighbouring positions overlaps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ptychosuite.backends.arrays import to_numpy
from ptychosuite.metrics.evaluation import Evaluation
from ptychosuite.metrics.light import light_overlap
from ptychosuite.metrics.metric import Metric, Tolerance


@dataclass(frozen=True)
class LightOverlap(Metric):
    """Overlap of the light, not the arrays: 1 - step / diameter of the disk with 90 % of the probe's power.

    Of the true probe and positions; where no truth is known, of the probe that a run starts from and the
    positions that it is told.
    """

    name: ClassVar[str] = "light_overlap"
    label: ClassVar[str] = "overlap of the light"
    on_the_way: ClassVar[bool] = False
    always: ClassVar[bool] = True
    tolerance: ClassVar[Tolerance | None] = None
    in_baseline: ClassVar[bool] = False
    in_show: ClassVar[bool] = False

    def text(self, value: float) -> str:
        return f"{value:.0%}" if math.isfinite(value) else self.nothing

    def value(self, evaluation: Evaluation) -> float:
        problem = evaluation.problem
        if problem.reference is not None:
            truth = evaluation.truth
            return light_overlap(truth.modes, truth.positions_px)
        probe = problem.probe if problem.probe_modes is None else problem.probe_modes
        return light_overlap(to_numpy(probe), problem.positions_px)
