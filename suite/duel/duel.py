"""Head and opponent side by side: every case of a study is screened, and confirmed where that is needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from suite.analysis.timing import (
    CONFIRM_PAIRS,
    SCREEN_PAIRS,
    TOLERANCE,
    WIDEST_INTERVAL,
    Comparison,
    judge,
    needs_confirmation,
    needs_more_pairs,
)
from suite.analysis.verdict import Finding, Judgement
from suite.cluster.pinning import claimed_core
from suite.core.plan import Plan
from suite.duel.bout import Bout, Duel
from suite.duel.cases import Case, cases
from suite.duel.clocks import summary
from suite.duel.opponent import HEAD, head, opponent
from suite.errors import DuelError

QUANTITY = "time an iteration"

Tell = Callable[[int, int, str], None]  # cases done, to be done as far as is known, and the next one's name


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
        self.tell(self.done, self.total, "")

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
    duel = Duel(baseline, head(source), free_core())
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
