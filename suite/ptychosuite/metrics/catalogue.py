"""Which metrics there are, and which a run has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ptychosuite.errors import StudyError, UserError
from ptychosuite.metrics.metric import Metric
from ptychosuite.registry.lookup import GROUPS, class_of, names

if TYPE_CHECKING:
    from ptychosuite.core.problem import Problem

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


def extra_metrics() -> list[str]:
    """Registered names of the metrics that are computed only where a study asks for them."""
    return [name for name in names("metrics") if not is_default(name)]


def is_default(name: str) -> bool:
    """Whether every run has the metric registered as ``name``, as far as it can be computed."""
    return name in GROUPS["metrics"].built_in and bool(class_of("metrics", name).always)


def metrics_of_run(extra: Sequence[str], problem: Problem, half_scans: bool = False) -> list[Metric]:
    """What is computed of a run on ``problem``: the default metrics, and those that its study asks for.

    What needs a truth, or half scans, is left out where there is none.
    """
    default = [metric_named(name) for name in GROUPS["metrics"].built_in if is_default(name)]
    found = [*default, *map(metric_named, extra)]
    return [metric for metric in found if metric.is_available(problem, half_scans)]
