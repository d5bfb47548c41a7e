"""Judging quality: the figures of a study's runs against those of a baseline.

Two things are asked of each run:

- Is it the same computation? Its first iterations answer that sharply, and in either direction, before
  rounding has grown.
- Is its result as good? The later figures answer that: almost exactly where the beginnings are identical, and
  with room for rounding where they are not (:mod:`ptychosuite.metrics.metric`). Which of two values is the
  better one, each metric says.

A study may ask for other tolerances in its section ``check``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

import numpy as np

from ptychosuite.analysis.baseline import Baseline, PresentRuns, RunFigures, Values
from ptychosuite.analysis.rounding import (
    AFTER,
    MARGIN,
    MOST_NUDGED,
    ROUNDING,
    Drift,
    changes,
    rounding_changes,
)
from ptychosuite.analysis.verdict import Finding, Judgement
from ptychosuite.core.plan import FIRST_ITERATIONS, Plan, Tolerances
from ptychosuite.core.runs import RunSpec, Status
from ptychosuite.errors import BaselineError
from ptychosuite.metrics.metric import Allowance, Metric, known_metrics, metric_of

FIRST = ("0", "1", "2")  # iterations: the start, and before rounding has grown
CLEARLY = 0.1  # better: small faults move some figures to the better by less
Judged = tuple[Metric, Finding]
Nudges = Callable[[RunSpec, str], Sequence[RunFigures]]
ANOTHER = "another computation than the baseline's; if that is meant, save a new baseline"


def quality_findings(
    baseline: Baseline, plan: Plan, present: PresentRuns, nudges: Nudges = lambda spec, label: ()
) -> list[Finding]:
    """What the runs of ``plan`` are like beside ``baseline``: several findings a run, and the failure rate.

    Parameters
    ----------
    nudges
        Figures of a run, given by specification and label, as it is now when begun a rounding error aside.
        Runs whose figures have changed are judged by them, as long as they are few.

    Raises
    ------
    BaselineError
        The baseline is that of another study.
    """
    if baseline.study != plan.name:
        raise BaselineError(
            f"the baseline '{baseline.name}' is of the study '{baseline.study}', and this is '{plan.name}'; "
            "name a baseline of this study (ptychosuite baseline list)"
        )
    alike = not rounding_changes(changes(baseline.environment, present.environment))
    before = {run.spec_id: run for run in baseline.runs}
    now = {run.spec_id: run for run in present.figures}
    specs = {spec.spec_id: spec for spec in plan.runs}
    findings = list(_unpaired(baseline, specs, present))
    pairs = [
        Compared(before[i], now[i], spec, alike, plan.tolerances)
        for i, spec in specs.items()
        if i in before and i in now
    ]
    judged = [run_findings(pair) for pair in pairs]
    changed = [i for i, found in enumerate(judged) if _may_be_rounding(found)]
    for i in changed if len(changed) <= MOST_NUDGED else ():
        nudged = nudges(pairs[i].spec, pairs[i].now.label)
        judged[i] = run_findings(replace(pairs[i], nudged=nudged)) if nudged else judged[i]
    findings += chain.from_iterable(judged)
    if pairs:
        findings.append(_failure_rate(pairs))
    return findings


def _may_be_rounding(findings: Sequence[Finding]) -> bool:
    """Whether figures of a run that completed, and that do repeat, have changed."""
    changed = [f for f in findings if f.judgement in (Judgement.REGRESSION, Judgement.IMPROVEMENT)]
    metrics = [metric_of(f.quantity.split(" at ")[0]) for f in changed if f.quantity != "status"]
    return any(metric is None or metric.repeats for metric in metrics)


@dataclass(frozen=True)
class Compared:
    """One run and its baseline."""

    before: RunFigures
    now: RunFigures
    spec: RunSpec
    same_arithmetic: bool
    wanted: Tolerances  # what the study says
    nudged: Sequence[RunFigures] = ()  # the same run now, each begun a rounding error aside

    @cached_property
    def identical_start(self) -> bool:
        """Whether the first iterations are the same to the last digit, so that rounding is."""
        return all(
            "1" in curve and curve.get(n) == self.now.curves.get(name, {}).get(n)
            for name, curve in self.before.curves.items()
            for n in FIRST
        )

    @property
    def iterations(self) -> float:
        """Up to where both runs went."""
        return min(run.metrics.get("iterations") or 0.0 for run in (self.before, self.now))

    @property
    def first_tolerance(self) -> Allowance:
        """Of the metrics that tell beginnings, in the first iterations."""
        relative = self.wanted.of(FIRST_ITERATIONS, self.spec.dtype)
        return Allowance(self._rounding("residual", AFTER[0]) if relative is None else relative)

    def rounding_here(self, value: Callable[[RunFigures], float | None]) -> float:
        """How far rounding alone moves a figure here; infinite where it decides whether there is a number."""
        values = [value(run) for run in (self.now, *self.nudged)]
        numbers = [each for each in values if each is not None]
        if len(numbers) < len(values):
            return float("inf") if numbers else 0.0
        return max(numbers) - min(numbers)

    def tolerance(self, metric: Metric, iterations: float) -> Allowance:
        """Of ``metric`` after so many ``iterations``, more than the first."""
        assert metric.tolerance is not None, "only what is judged has a tolerance"
        scale = self.before.curves.get(metric.name, {}).get("0")
        rounding = self._rounding(metric.name, iterations)
        allowed = metric.tolerance.allowed(
            self.spec.dtype, self.identical_start, rounding, 1.0 if scale is None else scale
        )
        relative = self.wanted.of(metric.name, self.spec.dtype)
        return allowed if relative is None else replace(allowed, relative=relative)

    def _rounding(self, name: str, iterations: float) -> float:
        drift = Drift.of(self.spec, self.same_arithmetic)
        return float(drift.tolerance(name, np.asarray(iterations)))


def _unpaired(baseline: Baseline, planned: Mapping[str, object], present: PresentRuns) -> Iterator[Finding]:
    """Runs that the baseline, the study or the results folder lacks: they cannot be judged."""
    known = {run.spec_id for run in baseline.runs}
    changed = f"if the study was changed on purpose: ptychosuite baseline save {baseline.name} STUDY --force"
    for label in present.missing:
        yield _undecided(label, "not done with the present code; run it first: ptychosuite run STUDY")
    for run in present.figures:
        if run.spec_id not in known:
            yield _undecided(run.label, f"the baseline does not have this run; {changed}")
    for run in baseline.runs:
        if run.spec_id not in planned:
            yield _undecided(run.label, f"the study no longer has this run; {changed}")


def _undecided(label: str, message: str) -> Finding:
    return Finding(label, "run", Judgement.UNDECIDED, message=message)


def run_findings(pair: Compared) -> list[Finding]:
    """One run beside its baseline; figures are compared where both have completed."""
    status = _status(pair.before, pair.now)
    if not pair.before.status == pair.now.status == Status.COMPLETED:
        return [status]
    later = [*_crossings_by_their_curves(list(_at_the_end(pair))), *_on_the_way(pair)]
    return [status, *_first_iterations(pair, later), *(finding for _, finding in later)]


def _status(before: RunFigures, now: RunFigures) -> Finding:
    if before.status == now.status:
        return Finding(now.label, "status", Judgement.GOOD)
    judgement = Judgement.IMPROVEMENT if now.status == Status.COMPLETED else Judgement.REGRESSION
    return Finding(now.label, "status", judgement, message=f"it was {before.status} and is {now.status}")


def _at_the_end(pair: Compared) -> Iterator[Judged]:
    for metric in known_metrics():
        if metric.is_judged and metric.in_baseline and metric.name in pair.before.metrics:
            tolerance = pair.tolerance(metric, pair.iterations)
            here = pair.rounding_here(_at_the_end_of(metric.name))
            yield _later(
                pair, metric, metric.name, (tolerance, here), (pair.before.metrics, pair.now.metrics)
            )


def _crossings_by_their_curves(judged: Sequence[Judged]) -> Iterator[Judged]:
    """The place where a curve crosses a line is not judged while the curve itself is as before."""
    as_before = {metric.name for metric, finding in judged if finding.judgement is Judgement.GOOD}
    for metric, finding in judged:
        if metric.crossing_of in as_before and finding.judgement is not Judgement.GOOD:
            message = f"its curve is as before: {metric.crossing_of}"
            yield metric, replace(finding, judgement=Judgement.GOOD, message=message)
        else:
            yield metric, finding


def _on_the_way(pair: Compared) -> Iterator[Judged]:
    """The curves after the first iterations, up to where the shorter run ended."""
    for name, curve in pair.before.curves.items():
        metric, now = metric_of(name), pair.now.curves.get(name, {})
        for n in curve:
            if metric and metric.is_judged and n not in FIRST and int(n) <= pair.iterations:
                here = pair.rounding_here(_on_a_curve(name, n))
                allowed = (pair.tolerance(metric, int(n)), here)
                yield _later(pair, metric, f"{name} at {n}", allowed, (curve, now), n)


def _at_the_end_of(name: str) -> Callable[[RunFigures], float | None]:
    return lambda run: run.metrics.get(name)


def _on_a_curve(name: str, n: str) -> Callable[[RunFigures], float | None]:
    return lambda run: run.curves.get(name, {}).get(n)


def _later(
    pair: Compared,
    metric: Metric,
    quantity: str,
    allowed: tuple[Allowance, float],
    values: tuple[Values, Values],
    key: str = "",
) -> Judged:
    """Two numbers, the baseline's first; what is no number is worse than any.

    Allowed are a tolerance, and beyond it a multiple of what rounding does to the figure on this machine.
    """
    before, now = values
    tolerance, here = allowed
    key = key or quantity
    old, judgement, message = before[key], Judgement.GOOD, ""
    new = now.get(key)
    if key not in now:
        judgement, message = Judgement.UNDECIDED, "it is not measured any more"
        return metric, Finding(pair.now.label, quantity, judgement, old, message=message)
    if old is not None and new is None:
        judgement, message = Judgement.REGRESSION, metric.lost
    elif old is None and new is not None:
        judgement, message = Judgement.IMPROVEMENT, metric.gained
    elif old is not None and new is not None and tolerance.excess(old, new) > 1:
        is_worse = metric.sign * new > metric.sign * old
        judgement = Judgement.REGRESSION if is_worse else Judgement.IMPROVEMENT
    if judgement is not Judgement.GOOD and _is_rounding(old, new, here):
        judgement, message = Judgement.GOOD, ROUNDING
    found = Finding(pair.now.label, quantity, judgement, old, new, tolerance.relative, message=message)
    return metric, replace(found, absolute=tolerance.absolute)


def _first_iterations(pair: Compared, later: Sequence[Judged]) -> Iterator[Finding]:
    """Whether the run begins as its baseline did: one finding, of the curve and iteration that differ most.

    A beginning that differs beyond rounding is a regression even where the end is as good: either it is
    meant, and a new baseline goes with it, or it is a fault. Where what follows is clearly better, it is part
    of that.
    """
    tolerance, of_rounding = pair.first_tolerance, 0
    places = []
    for name, curve in pair.before.curves.items():
        for n, old in curve.items():
            if n not in FIRST or old is None:
                continue
            value = _on_a_curve(name, n)
            excess = _excess(tolerance, old, value(pair.now))
            if excess > 1 and _is_rounding(old, value(pair.now), pair.rounding_here(value)):
                of_rounding, excess = of_rounding + 1, 1.0
            places.append((excess, name, n, old))
    if not places:
        return
    excess, name, n, old = max(places)
    judgement, message = Judgement.GOOD, ROUNDING if of_rounding else ""
    if excess > 1:
        judgement = Judgement.IMPROVEMENT if _clearly_better(later) else Judgement.REGRESSION
        message = f"{name} at {n}: {ANOTHER}"
    new = pair.now.curves.get(name, {}).get(n)
    yield Finding(
        pair.now.label, "first iterations", judgement, old, new, tolerance.relative, message=message
    )


def _is_rounding(before: float | None, now: float | None, here: float) -> bool:
    """Whether a change is no more than a multiple of what rounding does ``here``."""
    if before is None or now is None:
        return math.isinf(here)
    return here > 0 and abs(now - before) <= MARGIN * here


def _clearly_better(later: Sequence[Judged]) -> bool:
    """Whether a figure is better by more than chance makes of a fault, and none is worse."""
    quality = [(metric, finding) for metric, finding in later if metric.repeats]
    if any(finding.judgement is Judgement.REGRESSION for _, finding in quality):
        return False
    better = [each for each in quality if each[1].judgement is Judgement.IMPROVEMENT]
    return any(
        finding.ratio is None or metric.sign * (finding.ratio - 1) < -CLEARLY for metric, finding in better
    )


def _excess(tolerance: Allowance, before: float, now: float | None) -> float:
    return float("inf") if now is None else tolerance.excess(before, now)


def _failure_rate(pairs: Sequence[Compared]) -> Finding:
    """The share of runs that did not complete."""
    before = sum(pair.before.status != Status.COMPLETED for pair in pairs) / len(pairs)
    now = sum(pair.now.status != Status.COMPLETED for pair in pairs) / len(pairs)
    judgement = (
        Judgement.REGRESSION if now > before else Judgement.IMPROVEMENT if now < before else Judgement.GOOD
    )
    return Finding(f"all {len(pairs)} runs", "failure rate", judgement, before, now, 0.0)
