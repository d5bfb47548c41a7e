"""How long work is followed: a bar on a terminal and in a notebook, a plain line now and then elsewhere.

What is said is the same in all of them, and is told anew while nothing ends: the time left by the pace of
late, and what is waited for.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

from ptychosuite.api.display import duration
from ptychosuite.cluster.pace import Pace

SOON_S = 10.0  # between two plain lines in the first minute, where there is news
LATER_S = 60.0  # after it; and where there is none
LOOK_S = 1.0


def on_stderr(line: str) -> None:
    """Print a line beside what a program prints."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Reading:
    """How far a piece of work has come.

    Parameters
    ----------
    done, total
        Counted pieces.
    note
        What else there is to say.
    left_s
        Seconds that the rest will take; None where nothing tells it yet.
    """

    done: int
    total: int
    note: str = ""
    left_s: float | None = None

    @property
    def beside(self) -> str:
        """The note, and the time left."""
        is_told = self.left_s is not None and self.done < self.total
        left = f"{duration(self.left_s)} left" if self.left_s is not None and is_told else ""
        return ", ".join(filter(None, (self.note, left)))

    def line(self, what: str) -> str:
        """All of it: "2/18 runs, 0 failed, 0.12 runs/s, 2 min left"."""
        return ", ".join(filter(None, (f"{self.done}/{self.total} {what}", self.beside)))


class Bar(Protocol):
    """Shows how far one piece of work has come."""

    def follow(self, read: Callable[[], Reading]) -> None:
        """There is news; what is to be shown is read from now on by ``read``, in other threads too."""

    def tell(self, text: str) -> None:
        """A line, or several, that stay."""


class Counted:
    """Feeds a bar with work of which it is only known how many pieces have been done."""

    def __init__(self, bar: Bar) -> None:
        self.bar, self.pace, self.done = bar, Pace(), 0

    def update(self, done: int, total: int, note: str) -> None:
        """``done`` of ``total`` (which may grow), and what else there is to say."""
        if done > self.done:
            self.pace.note(done - self.done, done - self.done)
        self.done = done
        self.bar.follow(lambda: Reading(done, total, note, self.pace.left_s(total - done)))


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
            lines = PlainLines(what)
            with again_and_again(lines.look):
                yield lines
        else:
            beside = _Beside(table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"))
            width = max(5, min(40, console.width - 60))
            columns = (TextColumn(what), BarColumn(width), TextColumn("{task.description}"), beside)
            with RichProgress(*columns, console=console, expand=True, refresh_per_second=4) as shown:
                yield _RichBar(shown, beside)

    @contextmanager
    def status(self, text: str) -> Iterator[None]:
        """A spinner beside ``text`` while work lasts that is not counted; elsewhere a line a minute."""
        if not self.shown:
            yield
        elif (console := _console()) is None:
            lines = PlainStatus(text)
            with again_and_again(lines.look):
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


@contextmanager
def again_and_again(call: Callable[[], None]) -> Iterator[None]:
    """Call ``call`` every second in a thread, until the end of the block."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_S):
            call()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class _Silence:
    def follow(self, read: Callable[[], Reading]) -> None:
        pass

    def tell(self, text: str) -> None:
        pass


@dataclass
class PlainLines:
    """A line at the first news and at the end, now and then where there is news, and a line a minute anyway.

    Parameters
    ----------
    what
        What is counted.
    say, clock
        Where lines go, and the time in seconds.
    """

    what: str
    say: Callable[[str], None] = on_stderr
    clock: Callable[[], float] = time.monotonic
    _read: Callable[[], Reading] | None = field(default=None, init=False)
    _has_news: bool = field(default=False, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self._began = self._last = self.clock()

    def follow(self, read: Callable[[], Reading]) -> None:
        """A line where it is time for one, at first, and at the end."""
        self._read = read
        reading, now = read(), self.clock()
        interval = SOON_S if now - self._began < LATER_S else LATER_S
        begins, ends = reading.done > 0 and not self._has_news, reading.done >= reading.total
        self._has_news = reading.done > 0
        if begins or ends or now - self._last >= interval:
            self._write(reading)

    def look(self) -> None:
        """A line where there has been none for a minute."""
        if self._read is not None and self.clock() - self._last >= LATER_S:
            self._write(self._read())

    def tell(self, text: str) -> None:
        self.say(text)

    def _write(self, reading: Reading) -> None:
        with self._lock:
            self._last = self.clock()
            self.say(reading.line(self.what))


@dataclass
class PlainStatus:
    """A line a minute that says what lasts, and for how long."""

    text: str
    say: Callable[[str], None] = on_stderr
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._began = self._last = self.clock()

    def look(self) -> None:
        """A line where there has been none for a minute."""
        if self.clock() - self._last >= LATER_S:
            self._last = self.clock()
            self.say(f"{self.text}: {duration(self._last - self._began)}")


class _Beside(ProgressColumn):
    """What stands beside the bar, read anew whenever that is drawn."""

    read: Callable[[], Reading] | None = None

    def render(self, task: Task) -> Text:
        return Text(self.read().beside if self.read is not None else "")


class _RichBar:
    def __init__(self, shown: RichProgress, beside: _Beside) -> None:
        self.shown, self.beside, self.task = shown, beside, shown.add_task("", total=None)

    def follow(self, read: Callable[[], Reading]) -> None:
        self.beside.read = read
        reading = read()
        counted = f"{reading.done}/{reading.total}"
        self.shown.update(self.task, completed=reading.done, total=reading.total, description=counted)

    def tell(self, text: str) -> None:
        self.shown.console.print(text, markup=False, highlight=False, soft_wrap=True)
