"""How the runs that were planned have ended: nothing that failed or is missing goes uncounted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ptychosuite.core.runs import Status

MISSING = "missing"
"""Status of a run that was planned and has no result."""

STATUSES = (*map(str, Status), MISSING)


@dataclass(frozen=True)
class Outcome:
    """How many of the planned runs ended how."""

    completed: int = 0
    diverged: int = 0
    failed: int = 0
    timed_out: int = 0
    missing: int = 0

    @classmethod
    def of(cls, statuses: Iterable[str]) -> Outcome:
        """Count ``statuses``, one a planned run."""
        counts = Counter(map(str, statuses))
        return cls(*(counts[status] for status in STATUSES))

    @property
    def planned(self) -> int:
        return sum(self.counts.values())

    @property
    def counts(self) -> dict[str, int]:
        """Status -> number, in the order of :data:`STATUSES`."""
        numbers = (self.completed, self.diverged, self.failed, self.timed_out, self.missing)
        return dict(zip(STATUSES, numbers, strict=True))

    @property
    def is_whole(self) -> bool:
        """Whether every planned run completed."""
        return self.completed == self.planned

    @property
    def can_lead(self) -> bool:
        """Whether enough of the planned runs completed for their median to be compared with others'."""
        return 2 * self.completed >= self.planned

    @property
    def short(self) -> str:
        """As in a legend: "3 of 5"."""
        return f"{self.completed} of {self.planned}"

    @property
    def text(self) -> str:
        """As in a sentence: "3 of 5 completed, 1 failed, 1 missing"."""
        others = [f"{n} {status}" for status, n in self.counts.items() if n and status != Status.COMPLETED]
        return ", ".join([f"{self.short} completed", *others])
