"""How long work is followed: a bar on a terminal and in a notebook, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from ptychosuite.api.display import duration

PLAIN_LINE_EVERY_S = 10.0


def on_stderr(line: str) -> None:
    """Print a line beside what a program prints."""
    print(line, file=sys.stderr, flush=True)


class Bar(Protocol):
    """Shows how far one piece of work has come."""

    def update(self, done: int, total: int, note: str) -> None:
        """``done`` of ``total`` (which may grow), and what else there is to say."""

    def tell(self, line: str) -> None:
        """A line that stays."""


@dataclass(frozen=True)
class Progress:
    """Follows work on stderr.

    Parameters
    ----------
    say
        Takes the lines that are said once, on the way.
    shown
        Whether anything is shown at all.
    """

    say: Callable[[str], None] = on_stderr
    shown: bool = True

    @classmethod
    def of(cls, wanted: bool | Progress) -> Progress:
        """What an argument ``progress`` stands for: True, False, or how."""
        if isinstance(wanted, Progress):
            return wanted
        return cls() if wanted else cls(say=lambda line: None, shown=False)

    @contextmanager
    def bar(self, what: str) -> Iterator[Bar]:
        """Follow work that is counted in ``what``, as in "runs"."""
        if not self.shown:
            yield _Silence()
        elif (console := _console()) is None:
            yield _PlainLines(what)
        else:
            columns = (
                TextColumn(what), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"),
                TimeRemainingColumn(), TextColumn("left"),
            )  # fmt: skip
            with RichProgress(*columns, console=console) as shown:
                yield _RichBar(shown)

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """A spinner beside ``text`` while work lasts that is not counted; silence where there is no bar."""
        console = _console() if self.shown else None
        if console is None:
            yield
        else:
            with console.status(text):
                yield


def _console() -> Console | None:
    """What can show a bar: a terminal, or a notebook with its widgets."""
    console = Console(stderr=True)
    if console.is_jupyter:
        return console if find_spec("ipywidgets") else None
    return console if sys.stderr.isatty() else None


class _Silence:
    def update(self, done: int, total: int, note: str) -> None:
        pass

    def tell(self, line: str) -> None:
        pass


@dataclass
class _PlainLines:
    """A line at the first news, now and then, and at the end."""

    what: str
    began: float = field(default_factory=time.monotonic)
    last: float = float("-inf")

    def update(self, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if now - self.last < PLAIN_LINE_EVERY_S and done < total:
            return
        self.last = now
        left = f"{duration((now - self.began) / done * (total - done))} left" if done else ""
        on_stderr(", ".join(filter(None, (f"{done}/{total} {self.what}", note, left))))

    def tell(self, line: str) -> None:
        on_stderr(line)


class _RichBar:
    def __init__(self, shown: RichProgress) -> None:
        self.shown, self.task = shown, shown.add_task("", total=None)

    def update(self, done: int, total: int, note: str) -> None:
        self.shown.update(self.task, completed=done, total=total, description=note)

    def tell(self, line: str) -> None:
        self.shown.console.print(line, markup=False, highlight=False)
