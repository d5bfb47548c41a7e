"""How a sweep stands: how its runs have ended, and how long the others will take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ptychosuite.cluster.pace import Pace
from ptychosuite.cluster.waiting import Waits
from ptychosuite.cluster.work import ELSEWHERE
from ptychosuite.core.runs import RunSpec, Status
from ptychosuite.registry.fingerprint import run_id_of

BY_ANOTHER = "by another sweep"  # in a tally, of runs that one on the same folder has carried out meanwhile


@dataclass
class Tally:
    """Of the runs that a sweep is to carry out.

    Parameters
    ----------
    work_left
        run_id -> what is planned for it, in any unit, of the runs that have not ended.
    waits
        What the sweep waits for while nothing ends.
    """

    work_left: dict[str, float]
    waits: Waits = field(default_factory=Waits)
    counts: Counter[str] = field(default_factory=Counter, init=False)
    ended: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.total = len(self.work_left)
        self.pace = Pace(self.waits.work_clock)
        self._work_left = sum(self.work_left.values())

    @classmethod
    def of(cls, specs: Iterable[RunSpec], cost: Callable[[RunSpec], float] | None, waits: Waits) -> Tally:
        """Of ``specs``, whose planned cost is ``cost``; where that is None, one is as another."""
        return cls({run_id_of(spec): cost(spec) if cost else 1.0 for spec in specs}, waits)

    def note(self, summary: Mapping[str, Any]) -> None:
        """A run has ended.

        One that failed has not done its work: it says nothing of how long others take. One that was stopped
        at the time limit has taken its time, as others like it will. What another sweep has done is work
        that need not be done here, and it will go on to do some.
        """
        status = BY_ANOTHER if summary.get(ELSEWHERE) else summary["status"]
        work = self.work_left.pop(summary["run_id"], 0.0)
        self.counts[status] += 1
        self.ended += 1
        self._work_left -= work
        self.pace.note(0.0 if summary["status"] == Status.FAILED else work)

    @property
    def failed(self) -> int:
        return self.counts[Status.FAILED] + self.counts[Status.TIMED_OUT]

    @property
    def runs_per_second(self) -> float | None:
        """None before any has ended."""
        return self.pace.pieces_per_second

    @property
    def left_s(self) -> float | None:
        """Seconds that the other runs take at the pace of late; None where nothing tells it yet."""
        return self.pace.left_s(max(self._work_left, 0.0)) if self.ended < self.total else 0.0
