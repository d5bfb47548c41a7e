"""Seconds that this process has waited for what is no method's work: another package's process is told
things, asked for arrays, copied. A clock that is to show work alone stands still meanwhile."""

from __future__ import annotations


class Waiting:
    """How long it was in all."""

    def __init__(self) -> None:
        self.seconds = 0.0


WAITING = Waiting()
