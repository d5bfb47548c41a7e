"""What a sweep waits for while nothing ends: a worker that can take its runs, or another sweep."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ptychosuite.core.counting import count
from ptychosuite.errors import ClusterError

SAID_AFTER_S = 5.0


@dataclass
class Waits:
    """Kept up to date by what sends the runs; read, from other threads too, by what shows the sweep.

    Parameters
    ----------
    say
        Takes what is said once.
    clock
        In seconds.
    """

    say: Callable[[str], None] = lambda line: None
    clock: Callable[[], float] = time.monotonic
    reason: str = field(default="", init=False)  # what the sweep waits for; empty while it is at work
    _since: float | None = field(default=None, init=False)  # when it last had a worker
    _waited_s: float = field(default=0.0, init=False)  # for workers, before that
    _said: str = field(default="", init=False)

    def for_workers(self, left: int, limit_s: float | None) -> None:
        """No worker takes any of the ``left`` runs.

        Raises
        ------
        ClusterError
            That has been so for ``limit_s`` seconds; None is no limit.
        """
        if self._since is None:
            self._since = self.clock()
        waited = self.clock() - self._since
        if limit_s is not None and waited >= limit_s:
            raise ClusterError(
                f"no worker for {limit_s:g} s; {count(left, 'run')} left, finished runs are kept. "
                "See whether workers are up and offer what the runs need, or wait longer with "
                "--wait-for-workers: the same command goes on where this one stopped"
            )
        if waited >= SAID_AFTER_S:
            self.reason = "no worker yet" if limit_s is None else f"no worker yet, waiting for {limit_s:g} s"
            self._say_once(f"no worker can take a run yet; waiting {_for_how_long(limit_s)}")

    def for_others(self, runs: int, who: str) -> None:
        """The runs that are left are with another sweep."""
        self.reason = f"waiting for {who}, at {count(runs, 'run')}"
        self._say_once(f"{self.reason}; it does them, or this one should it stop")

    def over(self) -> None:
        """The sweep is at work."""
        self._waited_s, self._since, self.reason, self._said = self._idle_s(), None, "", ""

    def work_clock(self) -> float:
        """Seconds, without those in which there was no worker."""
        return self.clock() - self._idle_s()

    def _idle_s(self) -> float:
        since = self._since
        return self._waited_s + (0.0 if since is None else self.clock() - since)

    def _say_once(self, line: str) -> None:
        if not self._said:
            self._said = line
            self.say(line)


def _for_how_long(limit_s: float | None) -> str:
    if limit_s is None:
        return "for as long as it takes (--wait-for-workers sets a limit)"
    return f"for {limit_s:g} s (--wait-for-workers sets another limit)"
