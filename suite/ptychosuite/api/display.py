"""What the API shows: tables, trees and sizes as text and HTML; how long work is followed.

A bar on a terminal and in a notebook, a plain line now and then elsewhere.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from importlib.util import find_spec
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from ptychosuite.errors import printable


class Displayed:
    """What shows itself: its text on a terminal, and as HTML in a notebook."""

    def _repr_html_(self) -> str:
        """For notebooks; by default the text as it is."""
        return f"<pre>{escape(str(self))}</pre>"


def text_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns of text, each row one line; what would steer the terminal is written out."""
    header, *rows = [[printable(str(value), kept="") for value in row] for row in (header, *rows)]
    widths = [max(len(str(value)) for value in column) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "  ".join(str(value).ljust(width) for value, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    )


def html_table(header: Sequence[str], rows: Sequence[Sequence[Any]], below: str = "") -> str:
    """A table, with a line of text below it."""

    def line(tag: str, values: Sequence[Any]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(value))}</{tag}>" for value in values) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    table = f"<table><thead>{line('th', header)}</thead><tbody>{body}</tbody></table>" if rows else ""
    return table + (f"<p>{escape(below)}</p>" if below else "")


def tree_text(content: Mapping[str, Any]) -> str:
    """Keys and values, a line each; what is nested is indented, what would steer the terminal written out."""
    return printable("\n".join(_branches(content, "")))


def _branches(content: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _branches(value, indent + "  ")
        elif isinstance(value, str) and "\n" in value:
            yield f"{indent}{key}:"
            yield from (f"{indent}  {line}" for line in value.rstrip().splitlines())
        else:
            yield f"{indent}{key}: {'' if value is None else value}"


def cell(value: Any) -> str:
    """A value as in a table of results."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.5g}"
    return str(value)


def count_runs(number: int) -> str:
    return f"{number} run" if number == 1 else f"{number} runs"


def counts_text(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def last_line(message: str) -> str:
    """The last line of a message or traceback: its reason, without what would steer a terminal."""
    return printable((message.strip().splitlines() or [""])[-1], kept="")


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def size_text(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


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
