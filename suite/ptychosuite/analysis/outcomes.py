"""How the runs that were planned have ended: nothing that failed or is missing goes uncounted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ptychosuite.core.runs import Status

if TYPE_CHECKING:  # the kinds of figures load this module, and planning a study must not wait for pandas
    import pandas as pd

MISSING = "missing"
"""Status of a run that was planned and has no result."""

ABOVE_START = "above its start"
"""What is said of a run that completed and explains the data worse than what it began from."""

STATUSES = (*map(str, Status), MISSING)


@dataclass(frozen=True)
class Outcome:
    """How many of the planned runs ended how."""

    completed: int = 0
    diverged: int = 0
    failed: int = 0
    timed_out: int = 0
    missing: int = 0
    above_start: int = 0  # of those that completed: they explain the data worse than what they began from

    @classmethod
    def of(cls, statuses: Iterable[str]) -> Outcome:
        """Count ``statuses``, one a planned run."""
        counts = Counter(map(str, statuses))
        return cls(*(counts[status] for status in STATUSES))

    @classmethod
    def of_rows(cls, rows: pd.DataFrame) -> Outcome:
        """Count the planned runs ``rows``."""
        return replace(cls.of(rows["status"]), above_start=int(above_start(rows).sum()))

    @property
    def planned(self) -> int:
        return sum(self.counts.values())

    @property
    def counts(self) -> dict[str, int]:
        """Status -> number, in the order of :data:`STATUSES`."""
        numbers = (self.completed, self.diverged, self.failed, self.timed_out, self.missing)
        return dict(zip(STATUSES, numbers, strict=True))

    def number(self, status: str) -> int:
        """Of the runs that ended so; :data:`ABOVE_START` for those that did."""
        return self.above_start if status == ABOVE_START else self.counts[status]

    @property
    def is_whole(self) -> bool:
        """Whether every planned run completed."""
        return self.completed == self.planned

    @property
    def is_sound(self) -> bool:
        """Whether every planned run completed, and none above its start."""
        return self.is_whole and not self.above_start

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
        """As in a sentence: "3 of 5 completed, 1 of them above its start, 1 failed, 1 missing"."""
        return ", ".join([f"{self.short} completed", *self.others])

    @property
    def others(self) -> list[str]:
        """What there is to say beside how many completed: "1 of them above its start", "1 failed"."""
        whose = "its" if self.above_start == 1 else "their"
        risen = [f"{self.above_start} of them above {whose} start"] if self.above_start else []
        return risen + [
            f"{n} {status}" for status, n in self.counts.items() if n and status != Status.COMPLETED
        ]


def above_start(rows: pd.DataFrame) -> pd.Series:
    """Whether each run completed and explains the data worse than what it began from.

    Runs of earlier versions do not say.
    """
    completed = rows["status"].astype(object) == Status.COMPLETED
    return completed & (rows["above_start"] == 1 if "above_start" in rows else False)
