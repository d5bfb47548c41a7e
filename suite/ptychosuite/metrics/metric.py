"""What a metric is: one class that says all about itself; which there are, and how far one may move.

Runs that begin identically to the last digit repeat almost exactly. Otherwise what follows the first
iterations has the room that rounding needs by then, which :mod:`ptychosuite.analysis.rounding` knows.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ptychosuite.errors import StudyError, UserError
from ptychosuite.registry.lookup import GROUPS, class_of, names

if TYPE_CHECKING:  # a study that names no metric loads nothing that computes
    from ptychosuite.core.problem import Problem
    from ptychosuite.metrics.evaluation import Evaluation

EXACT = 1e-6  # relative, of whatever follows a beginning that is the same to the last digit


@dataclass(frozen=True)
class Allowance:
    """A change that is not spoken of: ``relative`` of the baseline's value, and ``absolute``."""

    relative: float
    absolute: float = 0.0

    def excess(self, before: float, now: float) -> float:
        """The change over what is allowed; above 1 it is too large."""
        change = abs(now - before)
        allowed = self.relative * abs(before) + self.absolute
        return change / allowed if allowed else float("inf") if change else 0.0


@dataclass(frozen=True)
class Tolerance:
    """What rounding alone may do to a metric.

    Parameters
    ----------
    like
        Whether it drifts as curves of misfits do, or as images and what is computed from their phases.
    floors
        By dtype, what rounding leaves where a run without noise has converged, relative to the value at the
        start where the baseline has its curve.
    """

    like: Literal["curves", "images"] = "curves"
    floors: Mapping[str, float] = field(default_factory=dict)

    def allowed(self, dtype: str, identical_start: bool, rounding: float, scale: float = 1.0) -> Allowance:
        """The change from a baseline that is not spoken of.

        Parameters
        ----------
        identical_start
            Whether the first iterations are the same to the last digit.
        rounding
            Relative change that rounding was seen to make by then.
        scale
            The value at the start.
        """
        relative = EXACT if identical_start else max(EXACT, rounding)
        return Allowance(relative, self.floors.get(dtype, 0.0) * scale)

    def repeated(self, rounding: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Relative tolerance of ``values`` in a repetition; ``rounding`` and the result have their shape."""
        return rounding


@dataclass(frozen=True)
class Count(Tolerance):
    """Of a number of iterations or passes: a threshold may fall between two."""

    relative: float = 0.1  # measured: 4 iterations of 39
    absolute: float = 4.0

    def allowed(self, dtype: str, identical_start: bool, rounding: float, scale: float = 1.0) -> Allowance:
        return Allowance(EXACT) if identical_start else Allowance(self.relative, self.absolute)

    def repeated(self, rounding: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.maximum(rounding, 1.0 / np.maximum(1.0, np.nan_to_num(values)))


@dataclass(frozen=True)
class Memory(Tolerance):
    """Of memory: the same change always, however the run began."""

    relative: float = 0.1
    absolute: float = 50e6

    def allowed(self, dtype: str, identical_start: bool, rounding: float, scale: float = 1.0) -> Allowance:
        return Allowance(self.relative, self.absolute)


NOISE_LEVELS = ("truth_deviance", "expected_deviance")
"""Metrics that say what noise leaves of a deviance; of a run, the first that it has."""

Direction = Literal["lower", "higher", "neither"]
Need = Literal["data", "truth", "half scans", "the loop"]


@dataclass(frozen=True)
class Metric:
    """Base of the metrics: frozen dataclasses without fields.

    ``name`` and ``value`` are all that a metric has to bring; everything else has a default here.

    Attributes
    ----------
    name
        Under which its values are stored: a Python identifier, and that of no setting.
    label
        What figures and tables call it, with its unit; its name by default.
    unit
        Empty where it has none.
    better
        Which of two values is the better one. What is better in neither direction is not judged.
    needs
        Without which it cannot be computed: nothing but the data, the truth, two half scans, or the loop
        that carries out the run, which records such a metric itself.
    on_the_way
        Whether it is computed during the run and has a curve, or only at the end of a run that completed.
    always
        Whether it is computed without being asked for; of the built-in metrics alone.
    gauge
        Whether the gauge is removed first, or the metric is free of it.
    tolerance
        How far it may move; None where it is not judged.
    repeats
        Whether the same run gives the same value again; times and memory do not.
    is_time
        Whether a clock measures it: only runs that had their core to themselves are compared.
    crossing_of
        Where it is the place at which a curve crosses a line, the metric that tells how high the curve lies.
        Such a place may jump where the curve hardly moves: a change is not judged while that is as before.
    tells_beginnings
        Whether its first iterations tell sharply if it is the same computation; its curve is then part of a
        baseline.
    in_baseline, in_summary, in_show
        Whether it is part of baselines, of a report's summary and of the list of runs.
    aliases
        Other names that a figure may ask for it by.
    change_name
        Column of a speed-up table that holds its change by a fast-forward; empty for none.
    count_name
        Column of a summary that counts the runs that have a value. Where it is not empty NaN means never,
        which is infinitely long; otherwise NaN is no number.
    lost, gained
        What a check says of a value that is no number any more, or was none before.
    nothing
        What a table shows where there is no value.
    """

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""
    unit: ClassVar[str] = ""
    better: ClassVar[Direction] = "neither"
    needs: ClassVar[Need] = "data"
    on_the_way: ClassVar[bool] = True
    always: ClassVar[bool] = False
    gauge: ClassVar[Literal["free", "removed"]] = "free"
    tolerance: ClassVar[Tolerance | None] = Tolerance()
    repeats: ClassVar[bool] = True
    is_time: ClassVar[bool] = False
    crossing_of: ClassVar[str] = ""
    tells_beginnings: ClassVar[bool] = False
    in_baseline: ClassVar[bool] = True
    in_summary: ClassVar[bool] = True
    in_show: ClassVar[bool] = True
    aliases: ClassVar[tuple[str, ...]] = ()
    change_name: ClassVar[str] = ""
    count_name: ClassVar[str] = ""
    lost: ClassVar[str] = "it is no number any more"
    gained: ClassVar[str] = "it was no number before"
    nothing: ClassVar[str] = ""

    @property
    def is_judged(self) -> bool:
        """Whether a check says that a change of it is good or bad."""
        return self.tolerance is not None and self.better != "neither"

    @property
    def sign(self) -> int:
        """1, or -1 where higher is better: multiplied with it, less is better."""
        return -1 if self.better == "higher" else 1

    def is_available(self, problem: Problem, half_scans: bool) -> bool:
        """Whether it can be computed for ``problem``; ``half_scans``: reconstructed from halves as well."""
        return {
            "data": True,
            "truth": problem.reference is not None,
            "half scans": half_scans,
            "the loop": False,
        }[self.needs]

    def concerns(self, problem: Problem, solver: Any) -> bool:
        """Whether it tells anything of a run of ``solver`` on ``problem``; where not, the run has none.

        ``solver`` is None where it is not known: one that finds nothing but an object and a probe.
        """
        return True

    def value(self, evaluation: Evaluation) -> float:
        """Its value for one state of one problem; NaN where there is none."""
        raise NotImplementedError

    def text(self, value: float) -> str:
        """``value`` as in a table."""
        return f"{value:.4g}" if math.isfinite(value) else self.nothing


_named: dict[str, Metric] = {}  # by the name of its values, what a study of this process says by its class


def metric_named(wanted: str) -> Metric:
    """The metric that a study asks for, by its registered name or as ``package.module:Class``.

    It is known by the name of its values from then on.

    Raises
    ------
    StudyError
        There is none, it cannot be loaded, or its name is another one's.
    """
    metric: Metric = class_of("metrics", wanted)()
    if wanted in names("metrics"):
        if metric.name != wanted:
            raise StudyError(f"metric '{wanted}' calls itself '{metric.name}'; a plug-in registers it so")
        return metric
    if not metric.name.isidentifier():
        raise StudyError(f"metric '{wanted}' has the name '{metric.name}'; expected letters, digits and '_'")
    taken = names("metrics").get(metric.name, wanted)
    if taken != wanted:
        raise StudyError(f"metric '{wanted}' has the name '{metric.name}', which is taken by {taken}")
    _named[metric.name] = metric
    return metric


def know_metrics(wanted: Iterable[str]) -> None:
    """Know the metrics that another process's study asked for, as far as they are installed here."""
    for name in wanted:
        with contextlib.suppress(UserError):
            metric_named(name)


def metric_of(name: str) -> Metric | None:
    """The metric whose values are stored as ``name``; None where it is not known here."""
    if name not in names("metrics"):
        return _named.get(name)
    try:
        return metric_named(name)
    except StudyError:  # a plug-in's fault: ``faults`` tells of it
        return None


def known_metrics() -> list[Metric]:
    """All metrics: the built-in ones in their order, those of plug-ins, and those named by their class."""
    found = [metric_of(name) for name in names("metrics")]
    return [metric for metric in [*found, *_named.values()] if metric is not None]


def is_default(name: str) -> bool:
    """Whether every run has the metric registered as ``name``, as far as it can be computed."""
    return name in GROUPS["metrics"].built_in and bool(class_of("metrics", name).always)


def metrics_of_run(
    extra: Sequence[str], problem: Problem, half_scans: bool = False, solver: Any = None
) -> list[Metric]:
    """What is computed of a run on ``problem``: the default metrics, and those that its study asks for.

    What needs a truth, or half scans, is left out where there is none, and what tells nothing of ``solver``.
    """
    default = [metric_named(name) for name in GROUPS["metrics"].built_in if is_default(name)]
    found = [*default, *map(metric_named, extra)]
    available = [metric for metric in found if metric.is_available(problem, half_scans)]
    return [metric for metric in available if metric.concerns(problem, solver)]
