"""What figures have in common that ask when runs come to a target which all of their problem share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Lt

from ptychosuite.errors import StudyError
from ptychosuite.metrics.metric import NOISE_LEVELS
from ptychosuite.reporting.figures.figure_kind import FigureKind, Names
from ptychosuite.reporting.figures.target_words import no_deviance, noise_leaves

if TYPE_CHECKING:
    from ptychosuite.core.problem import Problem
    from ptychosuite.reporting.figures.material import Material

METRICS = {"way": "residual", "noise": "poisson_deviance"}
WITHIN = {"way": 0.01, "noise": 0.1}


@dataclass(frozen=True)
class SharedTargetFigure(FigureKind):
    """Base of the figures with such a target.

    Parameters
    ----------
    metric
        What has the target, one that has a curve: by default ``residual``, for "noise" ``poisson_deviance``.
    target
        "way": all but a share ``within`` of the way from the start to the best end of a completed run (Moré
        and Wild 2009). "noise": no more than a share ``within`` above what noise leaves of a deviance, which
        is what the truth has on the same counts, and of measured data the median of what the models of the
        completed runs expect; the study has to say ``metrics: [truth_deviance]``, for measured data
        ``[expected_deviance]``.
    within
        That share, in [0, 1): by default 0.01 of the way, 0.1 of what noise leaves.
    """

    runs: ClassVar[Literal["ended", "all"]] = "all"  # one that failed has not come to its target: it counts
    names: ClassVar[Names] = Names(curves=("metric",))

    metric: str | None = None
    target: Literal["way", "noise"] = "way"
    within: Annotated[float, Ge(0), Lt(1)] | None = None

    @property
    def asks_for(self) -> Sequence[Sequence[str]]:
        return ((self._metric,), *[NOISE_LEVELS] * (self.target == "noise"))

    def lacks(self, problem: Problem, solver: Any) -> str:
        return no_deviance(self._metric) if self.target == "noise" else ""

    def column_of(self, material: Material) -> str:
        """The column of the metric that has the target.

        Raises
        ------
        StudyError
            The results do not have it, or noise leaves nothing of it.
        """
        if self.target == "noise" and (reason := no_deviance(self._metric)):
            raise StudyError(reason)
        return material.column(self._metric)

    @property
    def stem_of_target(self) -> str:
        """What the name of the figure's files says of the target, where it is not the usual one."""
        return "" if self.target == "way" else f"-{self.target}"

    @property
    def share(self) -> float:
        """``within``, or its default."""
        return WITHIN[self.target] if self.within is None else self.within

    def solved_where(self, metric: str) -> str:
        """When a run has solved its problem: a sentence."""
        if self.target == "noise":
            leaves = noise_leaves(self.share, "the median of what the models of the completed runs expect")
            return f"Solved: the {metric} has come for good to {leaves}."
        way = f"all but {100 * self.share:g} % of the way from its start to" if self.share else "to"
        return (
            f"Solved: the {metric} has come for good {way} the best that a completed run of the problem ends "
            "with."
        )

    def nobody_there(self, metric: str) -> str:
        """Why there is nothing to draw where no run has solved its problem."""
        if self.target == "noise":
            return f"the {metric} of no run comes down to what noise leaves, or nobody knows what that is"
        return f"no run comes to a {metric} better than it began with"

    @property
    def _metric(self) -> str:
        return METRICS[self.target] if self.metric is None else self.metric
