"""Printing on a terminal: tables, trees, progress. Only ``ptychosuite.commands`` uses it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import click

PLAIN_LINE_EVERY_S = 10.0


class Standing(Protocol):
    """How a sweep stands."""

    total: int

    @property
    def ended(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def runs_per_second(self) -> float: ...


@contextmanager
def progress(total: int) -> Iterator[Callable[[Standing, dict[str, Any]], None]]:
    """A progress bar on a terminal, a plain line now and then elsewhere; failures are named as they come."""
    if sys.stderr.isatty():
        with _bar(total) as update:
            yield update
        return
    last = time.monotonic()

    def update_plain(tally: Standing, summary: dict[str, Any]) -> None:
        nonlocal last
        if _is_failure(summary):
            click.echo(_failure_line(summary), err=True)
        if time.monotonic() - last > PLAIN_LINE_EVERY_S or tally.ended == tally.total:
            last = time.monotonic()
            left = (tally.total - tally.ended) / tally.runs_per_second
            click.echo(
                f"{tally.ended}/{tally.total} runs, {tally.failed} failed, "
                f"{tally.runs_per_second:.2g} runs/s, {duration(left)} left",
                err=True,
            )

    yield update_plain


@contextmanager
def _bar(total: int) -> Iterator[Callable[[Standing, dict[str, Any]], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("runs"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TextColumn("{task.fields[rate]:.2g} runs/s"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total, failed=0, rate=0.0)

        def update(tally: Standing, summary: dict[str, Any]) -> None:
            if _is_failure(summary):
                bar.console.print(_failure_line(summary), markup=False, highlight=False)
            bar.update(task, completed=tally.ended, failed=tally.failed, rate=tally.runs_per_second)

        yield update


@contextmanager
def stages(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """Progress of work whose extent grows: a bar on a terminal, a plain line now and then elsewhere.

    What is yielded takes the number done, the number known of, and the name of the next or nothing.
    """
    if sys.stderr.isatty():
        with _stages_bar(what) as update:
            yield update
        return
    last = -PLAIN_LINE_EVERY_S

    def update_plain(done: int, total: int, name: str) -> None:
        nonlocal last
        if time.monotonic() - last > PLAIN_LINE_EVERY_S:
            last = time.monotonic()
            click.echo(f"{done}/{total} {what}" + (f", next: {name}" if name else ""), err=True)

    yield update_plain


@contextmanager
def _stages_bar(what: str) -> Iterator[Callable[[int, int, str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("")
        yield lambda done, total, name: bar.update(task, completed=done, total=total, description=name)


@contextmanager
def status(text: str) -> Iterator[None]:
    """A spinner on a terminal, silence elsewhere."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield


def _is_failure(summary: dict[str, Any]) -> bool:
    return summary["status"] in ("failed", "timed-out")


def _failure_line(summary: dict[str, Any]) -> str:
    reason = (summary["message"].strip().splitlines() or [""])[-1]
    return f"run {summary['run_id']} {summary['status']}: {reason}"


def count_runs(items: Sequence[Any]) -> str:
    return f"{len(items)} run" if len(items) == 1 else f"{len(items)} runs"


def cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.5g}"
    return str(value)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(str(cell)) for cell in column) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        click.echo(
            "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def print_tree(content: dict[str, Any], indent: str = "") -> None:
    for key, value in content.items():
        if isinstance(value, dict):
            click.echo(f"{indent}{key}:")
            print_tree(value, indent + "  ")
        elif isinstance(value, str) and "\n" in value:
            click.echo(f"{indent}{key}:")
            click.echo("\n".join(f"{indent}  {line}" for line in value.rstrip().splitlines()))
        else:
            click.echo(f"{indent}{key}: {'' if value is None else value}")


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
