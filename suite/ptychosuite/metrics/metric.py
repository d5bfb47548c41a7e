"""What a metric is: one class that says all about itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from ptychosuite.metrics.tolerance import Tolerance

if TYPE_CHECKING:  # a study that names no metric loads nothing that computes
    from ptychosuite.core.problem import Problem
    from ptychosuite.metrics.evaluation import Evaluation

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

    def value(self, evaluation: Evaluation) -> float:
        """Its value for one state of one problem; NaN where there is none."""
        raise NotImplementedError

    def text(self, value: float) -> str:
        """``value`` as in a table."""
        return f"{value:.4g}" if math.isfinite(value) else self.nothing
