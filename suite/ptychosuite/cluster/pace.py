"""How fast a piece of work goes, and how long what is left of it will take. Pure, but for its clock."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

RECENT_S = 120.0
RECENT_PIECES = 20
SPACING_S = RECENT_S / 100  # pieces that end within it are kept as one


class Mark(NamedTuple):
    """What had ended at some time."""

    when_s: float
    pieces: int
    work: float


class Pace:
    """The pace of late: over :data:`RECENT_S`, or over :data:`RECENT_PIECES` where these take longer.

    What it keeps does not grow with the number of pieces.

    Parameters
    ----------
    clock
        Seconds of work: one that stands still while nothing can be done.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._marks = deque([Mark(clock(), 0, 0.0)])

    def note(self, work: float = 1.0, pieces: int = 1) -> None:
        """Some pieces have ended: ``work`` in all, in any unit; 0 where they ended before it was done."""
        now, last = self._clock(), self._marks[-1]
        if len(self._marks) > 2 and now - self._marks[-2].when_s < SPACING_S:
            self._marks.pop()
        self._marks.append(Mark(now, last.pieces + pieces, last.work + work))
        while len(self._marks) > 2 and self._can_do_without_the_first(now):
            self._marks.popleft()

    def _can_do_without_the_first(self, now: float) -> bool:
        second, last = self._marks[1], self._marks[-1]
        return now - second.when_s >= RECENT_S and last.pieces - second.pieces >= RECENT_PIECES

    @property
    def pieces_per_second(self) -> float | None:
        """None where none has ended."""
        first, last = self._marks[0], self._marks[-1]
        took = self._clock() - first.when_s
        return (last.pieces - first.pieces) / took if last.pieces and took > 0 else None

    def left_s(self, work: float) -> float | None:
        """Seconds that ``work`` still takes; None where nothing has ended from which it could be told.

        Between two ends it falls with the clock, and grows again once the next end is overdue.
        """
        first, last = self._marks[0], self._marks[-1]
        done, took = last.work - first.work, last.when_s - first.when_s
        if done <= 0 or took <= 0:
            return None
        since, gap = self._clock() - last.when_s, took / (last.pieces - first.pieces)
        waited, overdue = min(since, gap), max(since - gap, 0.0)
        return max((took + overdue) / done * work - waited, 0.0)
