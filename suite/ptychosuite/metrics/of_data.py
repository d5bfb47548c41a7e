"""Metrics that need no truth: how well a state explains the data, and what the loop records of a run.

The former all come out of one pass over the scan, :attr:`Evaluation.misfit`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from ptychosuite.core.problem import Problem
from ptychosuite.metrics.evaluation import Evaluation
from ptychosuite.metrics.metric import Count, Direction, Memory, Metric, Need, Tolerance


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
    """Poisson deviance of the counts, a pixel; what noise alone leaves is below 1 where pixels are dark.

    See ``expected_deviance`` and ``truth_deviance``, which say how low it can be.
    """

    name: ClassVar[str] = "poisson_deviance"
    label: ClassVar[str] = "Poisson deviance per pixel"
    tolerance: ClassVar[Tolerance | None] = Tolerance(floors={"complex64": 1e-8, "complex128": 1e-24})
    aliases: ClassVar[tuple[str, ...]] = ("deviance",)


@dataclass(frozen=True)
class HeldOutDeviance(_Misfit):
    """Poisson deviance of the counts that were held out of the fit; rises where noise is fitted.

    Only where the study holds some out: ``hold_out``.
    """

    name: ClassVar[str] = "held_out_deviance"
    label: ClassVar[str] = "deviance of held-out pixels"
    tolerance: ClassVar[Tolerance | None] = Tolerance(floors={"complex64": 1e-8, "complex128": 1e-24})

    def is_available(self, problem: Problem, half_scans: bool) -> bool:
        return problem.fitted_pixels is not None


@dataclass(frozen=True)
class NormalisedMisfit(_Misfit):
    """4 mean (sqrt(n) - sqrt(lambda))^2 of n counts, lambda expected; 1 at the noise limit of bright pixels.

    The square root of a Poisson count has the variance 1/4, however bright (M. S. Bartlett, J. R. Stat. Soc.
    Suppl. 3, 68, 1936): the amplitude misfit, in units of what photons leave. Noiseless data count as they
    are.
    """

    name: ClassVar[str] = "normalised_misfit"
    label: ClassVar[str] = "amplitude misfit over photon noise"
    always: ClassVar[bool] = False
    in_show: ClassVar[bool] = True

    def value(self, evaluation: Evaluation) -> float:
        problem = evaluation.problem
        squares = 2 * problem.probe_size**2 * evaluation.misfit["residual"]  # sum (sqrt(d) - sqrt(I))^2
        return 4 * squares / problem.photon_scale / evaluation.constants.data.pixels


@dataclass(frozen=True)
class GradientNorm(_Misfit):
    """Mean norm of the patch gradients, the papers' stopping number; for an unknown probe in one gauge.

    See :mod:`ptychosuite.metrics.misfit`.
    """

    name: ClassVar[str] = "gradient_norm"
    label: ClassVar[str] = "gradient norm"
    in_baseline: ClassVar[bool] = False
    in_summary: ClassVar[bool] = False


@dataclass(frozen=True)
class _Recorded(Metric):
    """A quantity that no state of a problem tells."""

    better: ClassVar[Direction] = "lower"
    needs: ClassVar[Need] = "the loop"
    always: ClassVar[bool] = True
    in_summary: ClassVar[bool] = False
    in_show: ClassVar[bool] = False

    def value(self, evaluation: Evaluation) -> float:
        raise TypeError(f"{self.name} is recorded by the loop")


@dataclass(frozen=True)
class Iterations(_Recorded):
    """Iterations done; kept in baselines, where it says how far two runs can be compared."""

    name: ClassVar[str] = "iterations"
    label: ClassVar[str] = "iterations"
    better: ClassVar[Direction] = "neither"
    on_the_way: ClassVar[bool] = False
    tolerance: ClassVar[Tolerance | None] = Count()
    in_show: ClassVar[bool] = True


@dataclass(frozen=True)
class IterationsToTol(_Recorded):
    """Iterations until a tolerance of the study is met; NaN where none is."""

    name: ClassVar[str] = "iterations_to_tol"
    label: ClassVar[str] = "iterations to tolerance"
    on_the_way: ClassVar[bool] = False
    tolerance: ClassVar[Tolerance | None] = Count()
    in_summary: ClassVar[bool] = True
    aliases: ClassVar[tuple[str, ...]] = ("iterations_to_target",)
    count_name: ClassVar[str] = "met_tolerance"
    lost: ClassVar[str] = "the tolerance is not reached any more"
    gained: ClassVar[str] = "the tolerance was not reached before"
    nothing: ClassVar[str] = "not met"

    def text(self, value: float) -> str:
        return f"{value:g}" if math.isfinite(value) else self.nothing


@dataclass(frozen=True)
class AboveStart(_Recorded):
    """Whether the run ended with a higher residual or deviance than it began with: 1, otherwise 0."""

    name: ClassVar[str] = "above_start"
    label: ClassVar[str] = "ends above its start"
    tolerance: ClassVar[Tolerance | None] = None
    on_the_way: ClassVar[bool] = False
    in_baseline: ClassVar[bool] = False


@dataclass(frozen=True)
class DataPasses(_Recorded):
    """Passes over all the diffraction data."""

    name: ClassVar[str] = "data_passes"
    label: ClassVar[str] = "passes over the data"
    tolerance: ClassVar[Tolerance | None] = Count()


@dataclass(frozen=True)
class Seconds(_Recorded):
    """Solver time: only the solver's steps are on the clock."""

    name: ClassVar[str] = "seconds"
    label: ClassVar[str] = "solver time / s"
    unit: ClassVar[str] = "s"
    tolerance: ClassVar[Tolerance | None] = None
    repeats: ClassVar[bool] = False
    is_time: ClassVar[bool] = True
    in_baseline: ClassVar[bool] = False
    in_summary: ClassVar[bool] = True
    in_show: ClassVar[bool] = True


@dataclass(frozen=True)
class SecondsToTol(Seconds):
    """Solver time until a tolerance of the study is met; NaN where none is.

    No file of a run has it: it is read from the run's clock where tables are made.
    """

    name: ClassVar[str] = "seconds_to_tol"
    label: ClassVar[str] = "time to tolerance / s"
    on_the_way: ClassVar[bool] = False
    in_show: ClassVar[bool] = False
    aliases: ClassVar[tuple[str, ...]] = ("seconds_to_target",)
    count_name: ClassVar[str] = "met_tolerance"
    nothing: ClassVar[str] = "not met"


@dataclass(frozen=True)
class SecondsPerIteration(Seconds):
    """Median time of an iteration, without the first ones."""

    name: ClassVar[str] = "seconds_per_iteration"
    label: ClassVar[str] = "time per iteration / s"
    on_the_way: ClassVar[bool] = False
    in_show: ClassVar[bool] = False


@dataclass(frozen=True)
class PeakHostBytes(_Recorded):
    """Peak memory of the process."""

    name: ClassVar[str] = "peak_host_bytes"
    label: ClassVar[str] = "peak memory / B"
    unit: ClassVar[str] = "B"
    on_the_way: ClassVar[bool] = False
    # a process computes many runs: what earlier ones have loaded (torch: 0.24 GB measured) is in it
    tolerance: ClassVar[Tolerance | None] = Memory(relative=0.25, absolute=500e6)
    repeats: ClassVar[bool] = False


@dataclass(frozen=True)
class PeakDeviceBytes(PeakHostBytes):
    """Peak memory of the device."""

    name: ClassVar[str] = "peak_device_bytes"
    label: ClassVar[str] = "peak device memory / B"
    tolerance: ClassVar[Tolerance | None] = Memory(relative=0.1, absolute=50e6)
