"""How the times of one case are taken: in turns, in samples that are long enough.

At any moment one of the two processes runs while the other waits for its turn on the same core or device.

Head and another version side by side: every case of a study is screened, and confirmed where that is needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from ptychosuite.analysis.time_ratio import (
    CONFIRM_PAIRS,
    SCREEN_PAIRS,
    TOLERANCE,
    WIDEST_INTERVAL,
    TimeRatio,
    judge,
    needs_confirmation,
    needs_more_pairs,
)
from ptychosuite.analysis.verdict import Finding, Judgement
from ptychosuite.cluster.workers import claimed_core
from ptychosuite.core.plan import Plan
from ptychosuite.errors import TimingError
from ptychosuite.timing.cases import Case, cases
from ptychosuite.timing.clocks import ClockReading, clock_reader, summary
from ptychosuite.timing.other_version import HEAD, Version, head, other_version
from ptychosuite.timing.process import Sample, Side

SHORTEST_SAMPLE_S = 0.05


@dataclass
class TimedSamples:
    """What has been measured of one case at one stage."""

    pairs: list[tuple[float, float]] = field(default_factory=list)  # seconds an iteration: baseline, head
    cold: list[tuple[float, float]] = field(default_factory=list)  # seconds of the first run, likewise
    wall: list[tuple[float, float]] = field(default_factory=list)  # as pairs, by the clock on the wall
    clocks: list[ClockReading] = field(default_factory=list)
    iterations: int = 0  # in a sample

    def add(self, baseline: Sample, head: Sample) -> None:
        """Take in a pair of samples."""
        self.pairs.append((baseline.seconds / self.iterations, head.seconds / self.iterations))
        self.wall.append((baseline.wall_seconds / self.iterations, head.wall_seconds / self.iterations))

    @property
    def comparison(self) -> TimeRatio:
        return TimeRatio.of(self.pairs)

    def to_dict(self) -> dict[str, Any]:
        """For provenance."""
        return {
            "pairs": len(self.pairs),
            "iterations_a_sample": self.iterations,
            "cold_seconds": self.cold,
            "share_of_core": float(np.sum(self.pairs) / np.sum(self.wall)),
            **summary(self.clocks),
        }


@dataclass(frozen=True)
class SideBySide:
    """Two versions and the core on which they take turns; None leaves that to the system."""

    baseline: Version
    head: Version
    core: int | None

    @contextmanager
    def sides(self) -> Iterator[tuple[Side, Side]]:
        """A fresh process for each version: baseline, head."""
        with Side(self.baseline, self.core) as baseline, Side(self.head, self.core) as head:
            yield baseline, head

    def take_pairs(self, sides: tuple[Side, Side], case: Case, count: int, samples: TimedSamples) -> None:
        """Add ``count`` pairs to ``samples``; raises TimingError where a side cannot carry the case out."""
        baseline, head = sides
        spec, first = case.spec.to_dict(), case.iterations if case.whole else 1
        cold = [side.prepare(spec, first) for side in sides]
        samples.cold.append((cold[0]["cold_seconds"], cold[1]["cold_seconds"]))
        read_clock = clock_reader(cold[1]["device"], self.core)
        iterations, repeats = sample_size(case, sides)
        samples.iterations = iterations * repeats
        for number in range(count):
            order = sides if number % 2 == 0 else sides[::-1]  # ABBA
            taken = {side: side.sample(iterations, repeats) for side in order}
            samples.add(taken[baseline], taken[head])
            samples.clocks.append(read_clock())


def sample_size(case: Case, sides: Sequence[Side]) -> tuple[int, int]:
    """Iterations of a run, and how many such runs, that take either side at least 50 ms."""
    iterations = case.iterations if case.whole else 1
    while True:
        seconds = min(side.sample(iterations, 1).seconds for side in sides)
        if seconds >= SHORTEST_SAMPLE_S or iterations == case.iterations:
            return iterations, ceil(SHORTEST_SAMPLE_S / seconds)
        iterations = min(case.iterations, ceil(1.2 * iterations * SHORTEST_SAMPLE_S / seconds))


QUANTITY = "time an iteration"

Tell = Callable[[int, int, str], None]  # cases done, to be done as far as is known, and the next one's name


class CaseTimes:
    """How the cases stand: what was measured of each, and which have failed."""

    def __init__(self, side_by_side: SideBySide, tell: Tell) -> None:
        self.side_by_side, self.tell = side_by_side, tell
        self.screens: dict[str, TimedSamples] = {}
        self.confirmations: dict[str, TimedSamples] = {}
        self.failures: dict[str, str] = {}  # case -> why
        self.done = self.total = 0

    def hold(self, all_cases: Sequence[Case]) -> None:
        """Screen all cases and confirm what that does not settle, by the rules of ``analysis.time_ratio``."""
        self._stage(all_cases, SCREEN_PAIRS, self.screens)
        left = self._those_that(needs_confirmation, all_cases, self.screens)
        while left:
            self._stage(left, CONFIRM_PAIRS, self.confirmations)
            left = self._those_that(needs_more_pairs, left, self.confirmations)
        self.tell(self.done, self.total, "")

    def _stage(self, stage_cases: Sequence[Case], pairs: int, samples: dict[str, TimedSamples]) -> None:
        waiting = list(stage_cases)
        self.total += len(waiting)
        while waiting:
            with self.side_by_side.sides() as sides:
                while waiting:
                    case = waiting.pop(0)
                    self.tell(self.done, self.total, case.name)
                    self.done += 1
                    try:
                        self.side_by_side.take_pairs(
                            sides, case, pairs, samples.setdefault(case.name, TimedSamples())
                        )
                    except TimingError as error:
                        self.failures[case.name] = str(error)
                        break  # a side may have died of it: the next case gets fresh ones

    def _those_that(
        self,
        need: Callable[[TimeRatio], bool],
        stage_cases: Sequence[Case],
        samples: Mapping[str, TimedSamples],
    ) -> list[Case]:
        alive = [case for case in stage_cases if case.name not in self.failures]
        return [case for case in alive if need(samples[case.name].comparison)]


@dataclass(frozen=True)
class Timing:
    """What was found, and what was compared with what."""

    findings: list[Finding]
    against: dict[str, Any]


def compare_times(plan: Plan, against: str, tell: Tell, source: Path = HEAD) -> Timing:
    """Time the running code, in ``source``, beside what ``against`` names, on every case of ``plan``.

    Raises
    ------
    RevisionError
        There is nothing of this name.
    """
    try:
        baseline = other_version(against, source)
    except TimingError as error:
        return Timing([_undecided("all cases", str(error))], {"revision": against})
    side_by_side = SideBySide(baseline, head(source), free_core())
    times = CaseTimes(side_by_side, tell)
    times.hold(cases(plan))
    measured = {**times.screens, **times.confirmations}
    timed = {name: samples.to_dict() for name, samples in measured.items() if samples.pairs}
    return Timing(findings(times), {**baseline.origin, "core": side_by_side.core, "timed": timed})


def findings(times: CaseTimes) -> list[Finding]:
    """One finding a case, in the order of the study."""
    failures, confirmations = times.failures, times.confirmations
    judged = judge(
        {name: samples.comparison for name, samples in confirmations.items() if name not in failures}
    )
    return [
        _undecided(name, failures[name])
        if name in failures
        else _finding(name, confirmations.get(name, screen), judged.get(name, Judgement.GOOD))
        for name, screen in times.screens.items()
    ]


def _finding(name: str, samples: TimedSamples, judgement: Judgement) -> Finding:
    comparison = samples.comparison
    baseline = float(np.median([pair[0] for pair in samples.pairs]))
    low, high = comparison.interval
    notes = [summary(samples.clocks)["throttled"]]
    if judgement is Judgement.UNDECIDED:
        notes.append(
            f"{low:.3f} to {high:.3f} after {comparison.pairs} pairs: wider than {WIDEST_INTERVAL:.0%}, and "
            "a regression may hide in it; check again on a machine with less to do"
        )
    elif judgement is not Judgement.GOOD:
        notes.append(f"confirmed by {comparison.pairs} fresh pairs, side by side")
    return Finding(
        name,
        QUANTITY,
        judgement,
        baseline=baseline,
        found=baseline * comparison.ratio,
        tolerance=TOLERANCE,
        interval=comparison.interval,
        message="; ".join(filter(None, notes)),
    )


def _undecided(name: str, message: str) -> Finding:
    return Finding(name, QUANTITY, Judgement.UNDECIDED, message=message)


def free_core() -> int | None:
    """The core for both sides: one that no worker of a sweep has claimed, or the first of ours."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    core = claimed_core()
    return min(os.sched_getaffinity(0)) if core is None else core
