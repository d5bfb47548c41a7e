"""Metrics that say how low a deviance can be: what noise alone leaves, of the truth and of the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ptychosuite.core.problem import Problem
from ptychosuite.metrics.evaluation import Evaluation
from ptychosuite.metrics.metric import Metric, Need, Tolerance
from ptychosuite.metrics.noise_limit import expected_deviance, truth_deviance


@dataclass(frozen=True)
class ExpectedDeviance(Metric):
    """Poisson deviance that noise alone would leave if the model were true: what the run's is quoted against.

    Taken at the end of a run that completed, over the pixels that are fitted; noiseless data have none. A run
    far above it does not explain its data, one below it fits their noise.
    """

    name: ClassVar[str] = "expected_deviance"
    label: ClassVar[str] = "deviance that noise alone leaves"
    on_the_way: ClassVar[bool] = False
    tolerance: ClassVar[Tolerance | None] = None
    in_baseline: ClassVar[bool] = False

    def is_available(self, problem: Problem, half_scans: bool) -> bool:
        return super().is_available(problem, half_scans) and problem.noise > 0

    def value(self, evaluation: Evaluation) -> float:
        return expected_deviance(evaluation.seen, evaluation.object, evaluation.probe)


@dataclass(frozen=True)
class TruthDeviance(ExpectedDeviance):
    """Poisson deviance that the truth itself has on the counts: a run that ends below it fits their noise.

    One number a problem, the same for all solvers; of noiseless data there is none.
    """

    name: ClassVar[str] = "truth_deviance"
    label: ClassVar[str] = "deviance of the truth"
    needs: ClassVar[Need] = "truth"

    def value(self, evaluation: Evaluation) -> float:
        return truth_deviance(evaluation.problem)
