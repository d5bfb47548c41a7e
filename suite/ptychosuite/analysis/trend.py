"""The history of a study's checks: one series a quantity, and the nights at which its level changed.

A point is the ratio to the baseline (of a quality figure) or to the revision beside which it was timed. While
these stay the same, the ratios are a level, and their errors do not add up from night to night. A new
baseline or revision begins a new stretch, with a level of its own; nothing is concluded across it.

Change points are found offline (C. Truong, L. Oudre, N. Vayatis, "Selective review of offline change point
detection methods", Signal Processing 167, 107299 (2020)): the logarithms of the ratios, over their noise, are
cut into constant segments with the least squared error, each cut at the price PENALTY. They alert; no verdict
hangs on them. ``benchmarks/trend_alerts.py`` has the false alerts and delays that PENALTY was chosen by.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from ptychosuite.analysis.verdict import Judgement, Verdict
from ptychosuite.metrics.metric import metric_of

FEWEST_NIGHTS = 8  # of a stretch in which changes are looked for
SHORTEST_SEGMENT = 3  # nights: a single bad one is no change
PENALTY = 25.0  # squared error, in units of the noise's variance, that a cut has to save
LEAST_CHANGE = 0.5  # of the tolerance; smaller steps are not told of
LEAST_NOISE = 0.1  # of the tolerance: quality figures repeat exactly
DEFAULT_TOLERANCE = 0.01  # where a finding has none
MAD_TO_SIGMA = 1.4826
REFERENCE = ("baseline", "when", "revision", "commit")  # of ``Verdict.against``: what the ratios count from
TOLD_BY_COMMIT = ("git_commit", "git_dirty", "code", "sources")  # of the environment


@dataclass(frozen=True)
class Point:
    """One quantity in one check."""

    night: int  # index of the check, oldest first
    ratio: float
    interval: tuple[float, float] | None
    judgement: Judgement


@dataclass(frozen=True)
class Loss:
    """One quantity in a check that found no number where the reference has one."""

    night: int
    judgement: Judgement


@dataclass(frozen=True)
class Plateau:
    """Nights in a row over which a series keeps its level."""

    first: int  # nights
    last: int
    ratio: float  # their median
    is_fresh: bool  # it begins a stretch, so that it says nothing of the level before it


@dataclass(frozen=True)
class Change:
    """From one level to the next, on the way from one commit to another."""

    last_before: int  # nights
    first_after: int
    before: float  # ratios
    after: float


@dataclass(frozen=True)
class Series:
    """One quantity of one run or group over the nights."""

    subject: str
    quantity: str
    tolerance: float
    points: tuple[Point, ...]
    levels: tuple[Plateau, ...]
    losses: tuple[Loss, ...] = ()  # no ratio: they are in no level

    @property
    def latest(self) -> Point | Loss:
        """Of the last check that has the quantity, with a number or without."""
        found: list[Point | Loss] = [*self.points, *self.losses]
        return max(found, key=lambda each: each.night)

    @property
    def changes(self) -> list[Change]:
        return [
            Change(old.last, new.first, old.ratio, new.ratio)
            for old, new in pairwise(self.levels)
            if not new.is_fresh
        ]

    @property
    def excess(self) -> float:
        """How far the latest ratio is from 1, in tolerances; slower or worse is positive, lost infinite."""
        if isinstance(self.latest, Loss):
            return math.inf
        metric = metric_of(self.quantity.split(" at ")[0])
        return (metric.sign if metric else 1) * math.log(self.points[-1].ratio) / self.tolerance

    @property
    def is_constant(self) -> bool:
        return not self.losses and all(point.ratio == self.points[0].ratio for point in self.points)


@dataclass(frozen=True)
class Trend:
    """Checks of one study, oldest first, and the series that run through them, the worst first."""

    nights: tuple[Verdict, ...]
    series: tuple[Series, ...]

    @property
    def changes(self) -> list[tuple[Series, Change]]:
        """All changes, the latest first."""
        found = [(series, change) for series in self.series for change in series.changes]
        return sorted(found, key=lambda pair: pair[1].first_after, reverse=True)

    def commits(self, change: Change) -> tuple[str, str]:
        """Commits of the last night before and of the first after; empty where a night knows none."""
        return self._commit(change.last_before), self._commit(change.first_after)

    def also_changed(self, change: Change) -> list[str]:
        """What else differs between the two nights: packages, Python, machine."""
        nights = self.nights[change.last_before], self.nights[change.first_after]
        before, after = (_leaves(verdict.environment) for verdict in nights)
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        return [f"{name} {before.get(name, 'none')} -> {after.get(name, 'none')}" for name in names]

    def references(self) -> list[int]:
        """Nights from which on the ratios count from something new, without the first night."""
        kept = [reference(verdict) for verdict in self.nights]
        return [night for night, (old, new) in enumerate(pairwise(kept), start=1) if old != new]

    def _commit(self, night: int) -> str:
        return str(self.nights[night].environment.get("git_commit") or "")


def trend_of(verdicts: Sequence[Verdict]) -> Trend:
    """The series of ``verdicts``, in any order, of one study."""
    nights = tuple(sorted(verdicts, key=lambda verdict: verdict.when))
    points: dict[tuple[str, str], list[Point]] = {}
    losses: dict[tuple[str, str], list[Loss]] = {}
    tolerances: dict[tuple[str, str], float] = {}
    for night, verdict in enumerate(nights):
        for finding in verdict.findings:
            ratio, key = finding.ratio, (finding.subject, finding.quantity)
            if finding.baseline is not None and finding.found is None:
                losses.setdefault(key, []).append(Loss(night, finding.judgement))
            if ratio is None or not 0 < ratio < math.inf:
                continue
            points.setdefault(key, []).append(Point(night, ratio, finding.interval, finding.judgement))
            tolerances[key] = finding.tolerance or DEFAULT_TOLERANCE
    series = [
        replace(_series(nights, *key, tolerances[key], tuple(points[key])), losses=tuple(losses.get(key, ())))
        for key in points
    ]
    return Trend(nights, tuple(sorted(series, key=_badness)))


def reference(verdict: Verdict) -> Mapping[str, Any]:
    """What the ratios of a check count from."""
    return {name: verdict.against.get(name) for name in REFERENCE}


def change_points(ratios: Sequence[float], tolerance: float) -> list[int]:
    """Indices at which a new level of ``ratios`` begins; ``tolerance`` says which change matters."""
    if len(ratios) < FEWEST_NIGHTS:
        return []
    import ruptures  # loads scipy.stats, which no report needs

    logarithms = np.log(np.asarray(ratios, dtype=np.float64))
    if np.ptp(logarithms) == 0:
        return []
    noise = MAD_TO_SIGMA * np.median(np.abs(np.diff(logarithms))) / math.sqrt(2)
    signal = logarithms / max(noise, LEAST_NOISE * tolerance)
    search = ruptures.KernelCPD(kernel="linear", min_size=SHORTEST_SEGMENT)
    *cuts, _ = search.fit(signal[:, None]).predict(pen=PENALTY)
    bounds = [0, *cuts, len(logarithms)]
    levels = [float(np.median(logarithms[first:end])) for first, end in pairwise(bounds)]
    steps = zip(cuts, pairwise(levels), strict=True)
    return [
        _first_night(logarithms, cut, old, new)
        for cut, (old, new) in steps
        if abs(new - old) > LEAST_CHANGE * tolerance
    ]


def _first_night(logarithms: np.ndarray, cut: int, old: float, new: float) -> int:
    """The first night from ``cut`` on that is nearer to the new level; a fresh change is cut too early."""
    while abs(logarithms[cut] - old) < abs(logarithms[cut] - new):
        cut += 1
    return cut


def _series(
    nights: Sequence[Verdict], subject: str, quantity: str, tolerance: float, points: tuple[Point, ...]
) -> Series:
    stretches = groupby(points, key=lambda point: reference(nights[point.night]))
    levels = [level for _, stretch in stretches for level in _levels(list(stretch), tolerance)]
    return Series(subject, quantity, tolerance, points, tuple(levels))


def _levels(stretch: Sequence[Point], tolerance: float) -> Iterator[Plateau]:
    ratios = [point.ratio for point in stretch]
    for first, end in pairwise([0, *change_points(ratios, tolerance), len(ratios)]):
        level = float(np.median(ratios[first:end]))
        yield Plateau(stretch[first].night, stretch[end - 1].night, level, is_fresh=first == 0)


def _badness(series: Series) -> tuple[bool, float]:
    """Series that changed come first, then those furthest from 1."""
    return not series.changes, -abs(series.excess)


def _leaves(environment: Mapping[str, Any]) -> dict[str, str]:
    packages = {name: str(version) for name, version in environment.get("packages", {}).items()}
    rest = {name: str(v) for name, v in environment.items() if name not in (*TOLD_BY_COMMIT, "packages")}
    return {**rest, **packages}
