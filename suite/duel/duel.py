"""Head and opponent side by side: every case of a study is screened, and confirmed where that is needed.

At any moment one of the two processes runs while the other waits for its turn on the same core or device.
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

from suite.analysis.timing import (
    CONFIRM_PAIRS,
    CONFIRM_RATIO,
    SCREEN_PAIRS,
    WIDEST_INTERVAL,
    Comparison,
    judge,
    needs_confirmation,
    needs_more_pairs,
)
from suite.analysis.verdict import Finding, Judgement
from suite.cluster.pinning import claimed_core
from suite.core.plan import Plan
from suite.duel.cases import Case, cases
from suite.duel.clocks import Reading, clock_reader, summary
from suite.duel.opponent import HEAD, Player, head, opponent
from suite.duel.process import Side
from suite.errors import DuelError

SHORTEST_SAMPLE_S = 0.05
QUANTITY = "time an iteration"

Tell = Callable[[int, int, str], None]  # stages done, stages known of, what comes next


@dataclass
class Bout:
    """What has been measured of one case at one stage."""

    pairs: list[tuple[float, float]] = field(default_factory=list)  # seconds an iteration: baseline, head
    cold: list[tuple[float, float]] = field(default_factory=list)  # seconds of the first iteration, likewise
    clocks: list[Reading] = field(default_factory=list)
    iterations: int = 0  # in a sample

    def to_dict(self) -> dict[str, Any]:
        """For provenance."""
        return {
            "pairs": len(self.pairs),
            "iterations_a_sample": self.iterations,
            "cold_seconds": self.cold,
            **summary(self.clocks),
        }


@dataclass(frozen=True)
class Duel:
    """Two players and the core on which they take turns; None leaves that to the system."""

    baseline: Player
    head: Player
    core: int | None

    @contextmanager
    def sides(self) -> Iterator[tuple[Side, Side]]:
        """A fresh process for each player: baseline, head."""
        with Side(self.baseline, self.core) as baseline, Side(self.head, self.core) as head:
            yield baseline, head

    def take_pairs(self, sides: tuple[Side, Side], case: Case, count: int, bout: Bout) -> None:
        """Add ``count`` pairs to ``bout``; raises DuelError where a side cannot carry the case out."""
        baseline, head = sides
        spec, first = case.spec.to_dict(), case.iterations if case.whole else 1
        cold = [side.prepare(spec, first) for side in sides]
        bout.cold.append((cold[0]["cold_seconds"], cold[1]["cold_seconds"]))
        read_clock = clock_reader(cold[1]["device"], self.core)
        iterations, repeats = sample_size(case, sides)
        bout.iterations = iterations * repeats
        for number in range(count):
            order = sides if number % 2 == 0 else sides[::-1]  # ABBA
            seconds = {side: side.sample(iterations, repeats) / bout.iterations for side in order}
            bout.pairs.append((seconds[baseline], seconds[head]))
            bout.clocks.append(read_clock())


def sample_size(case: Case, sides: Sequence[Side]) -> tuple[int, int]:
    """Iterations of a run, and how many such runs, that take either side at least 50 ms."""
    iterations = case.iterations if case.whole else 1
    while True:
        seconds = min(side.sample(iterations, 1) for side in sides)
        if seconds >= SHORTEST_SAMPLE_S or iterations == case.iterations:
            return iterations, ceil(SHORTEST_SAMPLE_S / seconds)
        iterations = min(case.iterations, ceil(1.2 * iterations * SHORTEST_SAMPLE_S / seconds))


class Contest:
    """How the cases stand: what was measured of each, and which have failed."""

    def __init__(self, duel: Duel, tell: Tell) -> None:
        self.duel, self.tell = duel, tell
        self.screens: dict[str, Bout] = {}
        self.confirmations: dict[str, Bout] = {}
        self.failures: dict[str, str] = {}  # case -> why
        self.done = self.total = 0

    def hold(self, all_cases: Sequence[Case]) -> None:
        """Screen all cases and confirm what that does not settle, by the rules of suite.analysis.timing."""
        self._stage(all_cases, SCREEN_PAIRS, self.screens)
        left = self._those_that(needs_confirmation, all_cases, self.screens)
        while left:
            self._stage(left, CONFIRM_PAIRS, self.confirmations)
            left = self._those_that(needs_more_pairs, left, self.confirmations)

    def _stage(self, stage_cases: Sequence[Case], pairs: int, bouts: dict[str, Bout]) -> None:
        waiting = list(stage_cases)
        self.total += len(waiting)
        while waiting:
            with self.duel.sides() as sides:
                while waiting:
                    case = waiting.pop(0)
                    self.tell(self.done, self.total, case.name)
                    self.done += 1
                    try:
                        self.duel.take_pairs(sides, case, pairs, bouts.setdefault(case.name, Bout()))
                    except DuelError as error:
                        self.failures[case.name] = str(error)
                        break  # a side may have died of it: the next case gets fresh ones

    def _those_that(
        self, need: Callable[[Comparison], bool], stage_cases: Sequence[Case], bouts: Mapping[str, Bout]
    ) -> list[Case]:
        alive = [case for case in stage_cases if case.name not in self.failures]
        return [case for case in alive if need(bouts[case.name].comparison)]


@dataclass(frozen=True)
class Timing:
    """What a duel found, and what was compared with what."""

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
        baseline = opponent(against, source)
    except DuelError as error:
        return Timing([_undecided("all cases", str(error))], {"revision": against})
    duel = Duel(baseline, head(source), _core())
    contest = Contest(duel, tell)
    contest.hold(cases(plan))
    measured = {**contest.screens, **contest.confirmations}
    timed = {name: bout.to_dict() for name, bout in measured.items() if bout.pairs}
    return Timing(findings(contest), {**baseline.origin, "core": duel.core, "timed": timed})


def findings(contest: Contest) -> list[Finding]:
    """One finding a case, in the order of the study."""
    failures, confirmations = contest.failures, contest.confirmations
    judged = judge({name: bout.comparison for name, bout in confirmations.items() if name not in failures})
    return [
        _undecided(name, failures[name])
        if name in failures
        else _finding(name, confirmations.get(name, screen), judged.get(name, Judgement.GOOD))
        for name, screen in contest.screens.items()
    ]


def _finding(name: str, bout: Bout, judgement: Judgement) -> Finding:
    comparison = bout.comparison
    baseline = float(np.median([pair[0] for pair in bout.pairs]))
    low, high = comparison.interval
    notes = [summary(bout.clocks)["throttled"]]
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
        tolerance=CONFIRM_RATIO - 1,
        interval=comparison.interval,
        message="; ".join(filter(None, notes)),
    )


def _undecided(name: str, message: str) -> Finding:
    return Finding(name, QUANTITY, Judgement.UNDECIDED, message=message)


def _core() -> int | None:
    """The core for both sides: one that no worker of a sweep has claimed, or the first of ours."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    core = claimed_core()
    return min(os.sched_getaffinity(0)) if core is None else core
