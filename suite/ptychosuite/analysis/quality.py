"""How far the figures of a check may move: what :mod:`suite.analysis.rounding` allows, memory, floors.

Runs that begin identically to the last digit repeat almost exactly. Otherwise the first iterations, before
rounding has grown, tell sharply whether it is the same computation, and what follows has the room that
rounding needs by then. A study may ask for other tolerances in its section ``check``.

Judging quality: the figures of a study's runs against those of a baseline.

Of every quantity that is compared, less is better. Two things are asked of each run
(:mod:`suite.analysis.quality_tolerances`):

- Is it the same computation? Its first iterations answer that sharply, and in either direction, before
  rounding has grown.
- Is its result as good? The later figures answer that: almost exactly where the beginnings are identical, and
  with room for rounding where they are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ptychosuite.analysis.baseline import METRICS, Baseline, PresentRuns, RunFigures
from ptychosuite.analysis.rounding import AFTER, Drift, changes, rounding_changes
from ptychosuite.analysis.verdict import Finding, Judgement
from ptychosuite.core.plan import Plan, Tolerances
from ptychosuite.core.runs import RunSpec, Status
from ptychosuite.errors import BaselineError

EXACT = 1e-6  # relative, of whatever follows a beginning that is the same to the last digit


@dataclass(frozen=True)
class Tolerance:
    """A change that is not spoken of: ``relative`` of the baseline's value, and ``absolute``."""

    relative: float
    absolute: float = 0.0

    def excess(self, before: float, now: float) -> float:
        """The change over what is allowed; above 1 it is too large."""
        change = abs(now - before)
        allowed = self.relative * abs(before) + self.absolute
        return change / allowed if allowed else float("inf") if change else 0.0


MEMORY = {
    # a process computes many runs: what earlier ones have loaded (torch: 0.24 GB measured) is in it
    "peak_host_bytes": Tolerance(0.25, 300e6),
    "peak_device_bytes": Tolerance(0.1, 50e6),
}
COUNTS = {  # where the beginnings differ; measured: 4 iterations of 39
    "iterations_to_tol": Tolerance(0.1, 4.0),
    "data_passes": Tolerance(0.1, 4.0),
}
FLOORS = {  # rounding is left where a run without noise has converged; of residual and error: of their starts
    "complex64": {
        "residual": 1e-10, "error": 1e-5, "poisson_deviance": 1e-8, "phase_rmse_rad": 1e-5, "nmse": 1e-10
    },
    "complex128": {
        "residual": 1e-26, "error": 1e-13, "poisson_deviance": 1e-24, "phase_rmse_rad": 1e-13, "nmse": 1e-15
    },
}  # fmt: skip


def first_tolerance(spec: RunSpec, same_arithmetic: bool, wanted: Tolerances) -> Tolerance:
    """Of residual, error and likelihood in the first iterations.

    ``same_arithmetic`` says whether baseline and run had the same packages and processor.
    """
    relative = wanted.of("first_iterations", spec.dtype)
    return Tolerance(_rounding(spec, same_arithmetic, "residual", AFTER[0]) if relative is None else relative)


def later_tolerance(
    name: str,
    spec: RunSpec,
    iterations: float,
    wanted: Tolerances,
    *,
    same_arithmetic: bool,
    identical_start: bool,
    scale: float = 1.0,
) -> Tolerance:
    """Of the quantity ``name`` after more than the first iterations, and at the end.

    ``scale`` is its value at the start, where that is known.
    """
    if name in MEMORY:
        tolerance = MEMORY[name]
    elif identical_start:
        tolerance = Tolerance(EXACT)
    elif name in COUNTS:
        tolerance = COUNTS[name]
    else:
        tolerance = Tolerance(max(EXACT, _rounding(spec, same_arithmetic, name, iterations)))
    floor = FLOORS[spec.dtype].get(name)
    if floor is not None:
        tolerance = replace(tolerance, absolute=floor * scale)
    relative = wanted.of(name, spec.dtype)
    return tolerance if relative is None else replace(tolerance, relative=relative)


def _rounding(spec: RunSpec, same_arithmetic: bool, name: str, iterations: float) -> float:
    return float(Drift.of(spec, same_arithmetic).tolerance(name, np.asarray(iterations)))


FIRST = ("0", "1", "2")  # iterations: the start, and before rounding has grown
JUDGED = tuple(name for name in METRICS if name != "iterations")
CLEARLY = 0.1  # better: small faults move some figures to the better by less
LOST = {"iterations_to_tol": "the tolerance is not reached any more"}
GAINED = {"iterations_to_tol": "the tolerance was not reached before"}
ANOTHER = "another computation than the baseline's; if that is meant, save a new baseline"


def quality_findings(baseline: Baseline, plan: Plan, present: PresentRuns) -> list[Finding]:
    """What the runs of ``plan`` are like beside ``baseline``: several findings a run, and the failure rate.

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
        Pair(before[i], now[i], spec, alike, plan.tolerances)
        for i, spec in specs.items()
        if i in before and i in now
    ]
    for pair in pairs:
        findings += run_findings(pair)
    if pairs:
        findings.append(_failure_rate(pairs))
    return findings


@dataclass(frozen=True)
class Pair:
    """One run and its baseline."""

    before: RunFigures
    now: RunFigures
    spec: RunSpec
    same_arithmetic: bool
    wanted: Tolerances  # what the study says

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

    def tolerance(self, name: str, iterations: float) -> Tolerance:
        """Of the quantity ``name`` after so many ``iterations``, more than the first."""
        scale = self.before.curves.get(name, {}).get("0")
        return later_tolerance(
            name, self.spec, iterations, self.wanted,
            same_arithmetic=self.same_arithmetic, identical_start=self.identical_start,
            scale=1.0 if scale is None else scale,
        )  # fmt: skip


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


def run_findings(pair: Pair) -> list[Finding]:
    """One run beside its baseline; figures are compared where both have completed."""
    status = _status(pair.before, pair.now)
    if not pair.before.status == pair.now.status == Status.COMPLETED:
        return [status]
    later = [*_at_the_end(pair), *_on_the_way(pair)]
    return [status, *_first_iterations(pair, later), *later]


def _status(before: RunFigures, now: RunFigures) -> Finding:
    if before.status == now.status:
        return Finding(now.label, "status", Judgement.GOOD)
    judgement = Judgement.IMPROVEMENT if now.status == Status.COMPLETED else Judgement.REGRESSION
    return Finding(now.label, "status", judgement, message=f"it was {before.status} and is {now.status}")


def _at_the_end(pair: Pair) -> Iterator[Finding]:
    for name in JUDGED:
        if name in pair.before.metrics:
            tolerance = pair.tolerance(name, pair.iterations)
            yield _later(pair, name, tolerance, pair.before.metrics, pair.now.metrics, name)


def _on_the_way(pair: Pair) -> Iterator[Finding]:
    """The curves after the first iterations, up to where the shorter run ended."""
    for name, curve in pair.before.curves.items():
        for n in curve:
            if n not in FIRST and int(n) <= pair.iterations:
                tolerance, now = pair.tolerance(name, int(n)), pair.now.curves.get(name, {})
                yield _later(pair, f"{name} at {n}", tolerance, curve, now, n)


def _later(
    pair: Pair,
    quantity: str,
    tolerance: Tolerance,
    before: Mapping[str, float | None],
    now: Mapping[str, float | None],
    key: str,
) -> Finding:
    """Two numbers, of which the smaller is the better; what is no number is worse than any."""
    old = before[key]
    if key not in now:
        return Finding(
            pair.now.label, quantity, Judgement.UNDECIDED, old, message="it is not measured any more"
        )
    new, judgement, message = now[key], Judgement.GOOD, ""
    if old is not None and new is None:
        judgement, message = Judgement.REGRESSION, LOST.get(quantity, "it is no number any more")
    elif old is None and new is not None:
        judgement, message = Judgement.IMPROVEMENT, GAINED.get(quantity, "it was no number before")
    elif old is not None and new is not None and tolerance.excess(old, new) > 1:
        judgement = Judgement.REGRESSION if new > old else Judgement.IMPROVEMENT
    return Finding(pair.now.label, quantity, judgement, old, new, tolerance.relative, message=message)


def _first_iterations(pair: Pair, later: Sequence[Finding]) -> Iterator[Finding]:
    """Whether the run begins as its baseline did: one finding, of the curve and iteration that differ most.

    A beginning that differs beyond rounding is a regression even where the end is as good: either it is
    meant, and a new baseline goes with it, or it is a fault. Where what follows is clearly better, it is part
    of that.
    """
    tolerance = first_tolerance(pair.spec, pair.same_arithmetic, pair.wanted)
    places = [
        (_excess(tolerance, old, pair.now.curves.get(name, {}).get(n)), name, n, old)
        for name, curve in pair.before.curves.items()
        for n, old in curve.items()
        if n in FIRST and old is not None
    ]
    if not places:
        return
    excess, name, n, old = max(places)
    judgement, message = Judgement.GOOD, ""
    if excess > 1:
        judgement = Judgement.IMPROVEMENT if _clearly_better(later) else Judgement.REGRESSION
        message = f"{name} at {n}: {ANOTHER}"
    new = pair.now.curves.get(name, {}).get(n)
    yield Finding(
        pair.now.label, "first iterations", judgement, old, new, tolerance.relative, message=message
    )


def _clearly_better(later: Sequence[Finding]) -> bool:
    """Whether a figure is better by more than chance makes of a fault, and none is worse."""
    quality = [finding for finding in later if finding.quantity not in MEMORY]
    if any(finding.judgement is Judgement.REGRESSION for finding in quality):
        return False
    better = [finding for finding in quality if finding.judgement is Judgement.IMPROVEMENT]
    return any(finding.ratio is None or finding.ratio < 1 - CLEARLY for finding in better)


def _excess(tolerance: Tolerance, before: float, now: float | None) -> float:
    return float("inf") if now is None else tolerance.excess(before, now)


def _failure_rate(pairs: Sequence[Pair]) -> Finding:
    """The share of runs that did not complete."""
    before = sum(pair.before.status != Status.COMPLETED for pair in pairs) / len(pairs)
    now = sum(pair.now.status != Status.COMPLETED for pair in pairs) / len(pairs)
    judgement = (
        Judgement.REGRESSION if now > before else Judgement.IMPROVEMENT if now < before else Judgement.GOOD
    )
    return Finding(f"all {len(pairs)} runs", "failure rate", judgement, before, now, 0.0)
