"""Metrics that the data alone allow: how well a state explains them.

All come out of one pass over the scan, :attr:`Evaluation.misfit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ptychosuite.metrics.evaluation import Evaluation
from ptychosuite.metrics.metric import Direction, Metric
from ptychosuite.metrics.tolerance import Tolerance


@dataclass(frozen=True)
class _Misfit(Metric):
    """One figure of the pass over the data, under its own name."""

    better: ClassVar[Direction] = "lower"
    always: ClassVar[bool] = True
    in_show: ClassVar[bool] = False

    def value(self, evaluation: Evaluation) -> float:
        return evaluation.misfit[self.name]


@dataclass(frozen=True)
class Residual(_Misfit):
    """1/2 sum_k ||psi_k - R_k||^2, the objective (MAGPIE, arXiv 2504.10118, eq. 1)."""

    name: ClassVar[str] = "residual"
    label: ClassVar[str] = "residual"
    tolerance: ClassVar[Tolerance | None] = Tolerance(floors={"complex64": 1e-10, "complex128": 1e-26})
    tells_beginnings: ClassVar[bool] = True
    in_show: ClassVar[bool] = True


@dataclass(frozen=True)
class PoissonNLL(_Misfit):
    """Negative logarithm of the Poisson likelihood of the counts."""

    name: ClassVar[str] = "poisson_nll"
    label: ClassVar[str] = "Poisson NLL"
    tells_beginnings: ClassVar[bool] = True
    in_summary: ClassVar[bool] = False
    aliases: ClassVar[tuple[str, ...]] = ("nll",)


@dataclass(frozen=True)
class PoissonDeviance(_Misfit):
    """Poisson deviance of the counts; near 1 at the noise limit."""

    name: ClassVar[str] = "poisson_deviance"
    label: ClassVar[str] = "Poisson deviance per pixel"
    tolerance: ClassVar[Tolerance | None] = Tolerance(floors={"complex64": 1e-8, "complex128": 1e-24})
    aliases: ClassVar[tuple[str, ...]] = ("deviance",)


@dataclass(frozen=True)
class GradientNorm(_Misfit):
    """Mean norm of the patch gradients, the papers' stopping number."""

    name: ClassVar[str] = "gradient_norm"
    label: ClassVar[str] = "gradient norm"
    in_baseline: ClassVar[bool] = False
    in_summary: ClassVar[bool] = False
