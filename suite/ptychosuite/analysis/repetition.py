"""A run and its repetition: are they the same, and what has changed meanwhile?

A few runs that stand for all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np

from ptychosuite.analysis.rounding import ROUNDING, Changes, Drift, changes, rounding_changes
from ptychosuite.analysis.verdict import Judgement, worst
from ptychosuite.core.reason import first_line, reason_of
from ptychosuite.core.runs import RunRecord, RunSpec
from ptychosuite.metrics.metric import metric_of
from ptychosuite.registry.factors import fast_forward_as_one, is_hash


class Likeness(StrEnum):
    """What is said of a run and its repetition."""

    DIFFERENT = "different"
    UNDECIDED = "not judged"
    WITHIN = "within tolerance"
    IDENTICAL = "identical"  # bit for bit

    @property
    def judgement(self) -> Judgement:
        if self is Likeness.DIFFERENT:
            return Judgement.REGRESSION
        return Judgement.UNDECIDED if self is Likeness.UNDECIDED else Judgement.GOOD


WORST_FIRST = tuple(Likeness)
MORE_THAN_ROUNDING = "more than rounding alone does to this run here"


@dataclass(frozen=True)
class Difference:
    """How far one quantity of a run is from that of its repetition."""

    quantity: str  # "residual", "object"
    relative: float
    tolerance: float
    iteration: int | None = None  # of a curve, where it is largest beside its tolerance
    first_beyond: int | None = None  # of a curve, the first iteration beyond its tolerance

    @property
    def excess(self) -> float:
        """In units of the tolerance."""
        return self.relative / self.tolerance


@dataclass(frozen=True)
class Comparison:
    """A run and its repetition."""

    run_id: str
    spec_id: str
    likeness: Likeness
    largest: Difference | None = None  # in units of its tolerance; None where all is identical
    first_beyond: int | None = None  # first measured iteration at which a curve is beyond its tolerance
    message: str = ""
    changed: Changes = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        largest = None
        if self.largest is not None:
            relative = self.largest.relative
            largest = {**asdict(self.largest), "relative": relative if np.isfinite(relative) else None}
        return {**asdict(self), "largest": largest, "changed": dict(self.changed)}


def worst_first(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """By likeness, and within one by the largest difference."""

    def badness(comparison: Comparison) -> tuple[int, float]:
        excess = comparison.largest.excess if comparison.largest else 0.0
        return WORST_FIRST.index(comparison.likeness), -excess

    return sorted(comparisons, key=badness)


@dataclass(frozen=True)
class Allowed:
    """What a run and its repetition may differ by.

    ``nudged`` are repetitions that began a rounding error aside: how far they are from ``again`` is what
    rounding alone does to the run here.
    """

    drift: Drift
    again: RunRecord
    nudged: Sequence[RunRecord] = ()

    def curve(self, name: str, values: np.ndarray) -> np.ndarray:
        """Relative tolerance of each of ``values`` (iterations,) of a curve; what drifts drifts on."""
        here, smallest = np.zeros(len(values)), floor(self.again.spec, values)
        for run in self.nudged:
            a, b = (_first(each.curves.get(name), len(values)) for each in (self.again, run))
            here = np.maximum(here, relative_difference(a, b, smallest))
        here = np.maximum.accumulate(here)
        return self._of_metric(name, values, np.arange(len(values)), here)

    def figure(self, name: str, value: np.ndarray, smallest: float, iteration: int) -> float:
        """Of a metric at the end, ``value`` (1,)."""
        values = [np.asarray([each.metrics.get(name, np.nan)]) for each in (self.again, *self.nudged)]
        here = max((float(relative_difference(values[0], v, smallest)[0]) for v in values[1:]), default=0.0)
        return float(self._of_metric(name, value, np.asarray([iteration]), np.asarray([here]))[0])

    def image(self, name: str, iteration: int) -> float:
        found = [_images(each, 0).get(name, (0, None))[1] for each in (self.again, *self.nudged)]
        here = max((_image_difference(found[0], image) for image in found[1:]), default=0.0)
        return float(self.drift.tolerance(name.split(" ")[0], np.asarray([iteration]), here)[0])

    def _of_metric(
        self, name: str, values: np.ndarray, iterations: np.ndarray, here: np.ndarray
    ) -> np.ndarray:
        rounding, metric = self.drift.tolerance(name, iterations, here), metric_of(name)
        return metric.tolerance.repeated(rounding, values) if metric and metric.tolerance else rounding


def compare(stored: RunRecord, again: RunRecord, nudged: Sequence[RunRecord] = ()) -> Comparison:
    """What a run and its repetition have in common.

    Everything but times and memory has to be equal bit for bit to be called identical, and within
    :mod:`ptychosuite.analysis.rounding` otherwise. A failed run is reproduced when it fails again.

    ``nudged`` are further repetitions, begun a rounding error aside: see :func:`may_be_rounding`.
    """
    drift = Drift.of(stored.spec, same_arithmetic=not rounding_changes(_changes(stored, again)))
    allowed = Allowed(drift, again, nudged)
    differences = list(_curve_differences(stored, again, allowed))
    if stored.status is not again.status:
        reason = first_line(reason_of(again.message))
        message = f"{stored.status} then, {again.status} now: {reason}"
        return _compared(stored, again, Likeness.DIFFERENT, differences, message)
    if not stored.status.is_final:
        return _compared(stored, again, Likeness.IDENTICAL, [], f"{stored.status} again")
    n_then, n_now = (_length(record) - 1 for record in (stored, again))
    if stored.spec.stop.get("seconds") is not None and n_then != n_now:
        agree = all(difference.excess <= 1 for difference in differences)
        likeness = Likeness.UNDECIDED if agree else Likeness.DIFFERENT
        message = f"ended by the clock after {n_then} iterations then, {n_now} now"
        return _compared(stored, again, likeness, differences, message)
    if n_then == n_now:
        differences += _crossings_by_their_curves(list(_metric_differences(stored, again, allowed)), stored)
        differences += _image_differences(stored, again, allowed)
    message = "" if n_then == n_now else f"{n_then} iterations then, {n_now} now"
    if any(difference.excess > 1 for difference in differences) or abs(n_then - n_now) > 1:
        message = message or (MORE_THAN_ROUNDING if nudged else "")
        return _compared(stored, again, Likeness.DIFFERENT, differences, message)
    likeness = Likeness.WITHIN if differences or message else Likeness.IDENTICAL
    return _compared(stored, again, likeness, differences, message or (ROUNDING if nudged else ""))


def may_be_rounding(comparison: Comparison) -> bool:
    """Whether a run differs by its numbers alone, so that nudged repetitions can tell."""
    return comparison.likeness is Likeness.DIFFERENT and not comparison.message


def not_judged(stored: RunRecord, reason: str) -> Comparison:
    """A run that could not be carried out again."""
    message = f"could not be run again: {reason}"
    return Comparison(stored.run_id, stored.spec.spec_id, Likeness.UNDECIDED, message=message)


def _compared(
    stored: RunRecord, again: RunRecord, likeness: Likeness, differences: Sequence[Difference], message: str
) -> Comparison:
    firsts = [d.first_beyond for d in differences if d.first_beyond is not None]
    return Comparison(
        run_id=stored.run_id,
        spec_id=stored.spec.spec_id,
        likeness=likeness,
        largest=max(differences, key=lambda d: d.excess, default=None),
        first_beyond=min(firsts, default=None),
        message=message,
        changed=_changes(stored, again),
    )


def _curve_differences(stored: RunRecord, again: RunRecord, allowed: Allowed) -> Iterator[Difference]:
    """Of the curves that differ, over the iterations that both have."""
    common = min(_length(stored), _length(again))
    for name in _compared_names(stored.curves, again.curves):
        a, b = (record.curves.get(name, np.full(common, np.nan))[:common] for record in (stored, again))
        relative = relative_difference(a, b, floor(stored.spec, a))
        if not relative.any():
            continue
        tolerance = allowed.curve(name, a)
        worst = int(np.argmax(relative / tolerance))
        beyond = np.flatnonzero(relative > tolerance)
        yield Difference(
            name,
            float(relative[worst]),
            float(tolerance[worst]),
            worst,
            int(beyond[0]) if beyond.size else None,
        )


def _metric_differences(stored: RunRecord, again: RunRecord, allowed: Allowed) -> Iterator[Difference]:
    """Of the figures at the end that differ."""
    end = _length(stored) - 1
    for name in _compared_names(stored.metrics, again.metrics):
        a, b = (np.asarray([record.metrics.get(name, np.nan)]) for record in (stored, again))
        curve = stored.curves.get(name, a)
        smallest = floor(stored.spec, curve)
        relative = float(relative_difference(a, b, smallest)[0])
        if relative:
            yield Difference(name, relative, allowed.figure(name, a, smallest, end))


def _crossings_by_their_curves(differences: Sequence[Difference], stored: RunRecord) -> Iterator[Difference]:
    """A place where a curve crosses a line may jump while the curve is within its tolerance."""
    moved = {difference.quantity for difference in differences if difference.excess > 1}
    for difference in differences:
        metric = metric_of(difference.quantity)
        curve = metric.crossing_of if metric else ""
        if difference.quantity in moved and curve in stored.metrics and curve not in moved:
            jump = min(difference.relative, float(np.finfo(float).max))
            yield replace(difference, relative=jump, tolerance=jump)
        else:
            yield difference


def _image_differences(stored: RunRecord, again: RunRecord, allowed: Allowed) -> Iterator[Difference]:
    """Of object, probe, snapshots and ring correlations: distance over norm."""
    end = _length(stored) - 1
    then, now = _images(stored, end), _images(again, end)
    for name in dict.fromkeys([*then, *now]):
        (iteration, a), (_, b) = then.get(name, (end, None)), now.get(name, (end, None))
        if a is None or b is None or a.shape != b.shape:
            yield Difference(name, float("inf"), 1.0)
        elif not np.array_equal(a, b, equal_nan=True):
            yield Difference(name, _image_difference(a, b), allowed.image(name, iteration))


def _image_difference(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """Distance over the norm of ``a``; infinite where one is missing."""
    if a is None or b is None or a.shape != b.shape:
        return float("inf")
    return float(np.linalg.norm(b - a) / max(float(np.linalg.norm(a)), np.finfo(float).tiny))


def _first(curve: np.ndarray | None, length: int) -> np.ndarray:
    """The first values of a curve, and beyond its end no number."""
    found = np.full(length, np.nan)
    if curve is not None:
        found[: len(curve)] = curve[:length]
    return found


def _images(record: RunRecord, end: int) -> dict[str, tuple[int, np.ndarray]]:
    """Name -> the iteration it belongs to, and the array."""
    found: dict[str, tuple[int, np.ndarray]] = {}
    for name, image in (("object", record.object), ("probe", record.probe)):
        if image is not None:
            found[name] = end, image
    for iteration, (obj, probe) in record.snapshots.items():
        found[f"object after {iteration}"] = iteration, obj
        found[f"probe after {iteration}"] = iteration, probe
    return found | {f"rings {name}": (end, values) for name, values in record.rings.items()}


def relative_difference(a: np.ndarray, b: np.ndarray, smallest: float) -> np.ndarray:
    """|a - b| over |a|, or over ``smallest`` where that is more, of arrays of one shape.

    It is infinite where one alone is a number.
    """
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(all="ignore"):
        relative = np.abs(a - b) / np.maximum(np.abs(a), smallest)
    return np.where(same, 0.0, np.where(np.isfinite(relative), relative, np.inf))


def _compared_names(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [name for name in dict.fromkeys([*then, *now]) if _repeats(name)]


def _repeats(name: str) -> bool:
    metric = metric_of(name)
    return metric.repeats if metric else not name.startswith("ff_seconds")


def _length(record: RunRecord) -> int:
    return len(next(iter(record.curves.values()), ()))


def floor(spec: RunSpec, curve: np.ndarray) -> float:
    """What is small beside the largest of ``curve`` (iterations,): differences are relative to no less."""
    largest = float(np.nanmax(np.abs(curve), initial=0.0))
    return max(float(np.finfo(spec.dtype).eps) * largest, float(np.finfo(float).tiny))


def _changes(stored: RunRecord, again: RunRecord) -> Changes:
    then, now = ({**record.provenance, "backend": record.spec.backend} for record in (stored, again))
    return changes(then, now)


def exit_code(comparisons: Sequence[Comparison]) -> int:
    """0 all reproduced, 1 some different, 3 some (or all) not judged."""
    return worst(comparison.likeness.judgement for comparison in comparisons).exit_code


def varying_paths(specs: Sequence[RunSpec]) -> list[str]:
    """Dotted paths of what differs between ``specs``, the solver's name always among them."""
    values: dict[str, set[Any]] = {"solver.name": set()}
    for spec in specs:
        for path, value in fast_forward_as_one(spec.leaves()).items():
            values.setdefault(path, set()).add(value)
    settings = (path for path in values if not is_hash(path))
    return [path for path in settings if len(values[path]) > 1 or path == "solver.name"]


def balanced_sample(specs: Sequence[RunSpec], count: int, seed: int = 0) -> list[int]:
    """Places of ``count`` runs, drawn so that solvers and the values of every factor come up evenly.

    Each draw takes the run whose solver has come up least, and among those the one whose other values have;
    chance, seeded by ``seed``, decides between equals. The places are in ascending order.
    """
    paths = varying_paths(specs)
    traits = [_traits(fast_forward_as_one(spec.leaves()), paths) for spec in specs]
    left = np.random.default_rng(seed).permutation(len(specs)).tolist()
    drawn: Counter[tuple[str, Any]] = Counter()
    chosen: list[int] = []

    def how_often(place: int) -> tuple[int, int]:
        solver, *others = (drawn[trait] for trait in traits[place])
        return solver, sum(others)

    while left and len(chosen) < count:
        place = min(left, key=how_often)
        left.remove(place)
        chosen.append(place)
        drawn.update(traits[place])
    return sorted(chosen)


def _traits(leaves: Mapping[str, Any], paths: Sequence[str]) -> list[tuple[str, Any]]:
    """The solver first, then the other values that vary."""
    return [(path, leaves.get(path)) for path in paths]
