"""What is shown of long work, off a terminal and on one."""

from __future__ import annotations

import io

import pytest
from ptychosuite.api.following import Counted, PlainLines, PlainStatus, Progress, Reading
from ptychosuite.api.sweeping import reading_of
from rich.console import Console

from tests.cluster.test_pace import Clock, ended, tally_of


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines() -> list[str]:
    return []


def test_a_line_a_minute_while_nothing_ends(clock, lines):
    """With what is waited for; and none before the first minute is over."""
    bar, tally = PlainLines("runs", lines.append, clock), tally_of(clock, a=1.0)
    bar.look()
    bar.follow(lambda: reading_of(tally))
    for second in range(1, 301):
        clock.now += 1
        tally.waits.for_workers(1, None)
        bar.look()
        assert len(lines) == second // 60
    assert set(lines) == {"0/1 runs, 0 failed, no worker yet"}


def test_lines_become_rare_and_the_last_one_comes(clock, lines):
    """At the first news, every ten seconds of the first minute, every minute later, and at the end."""
    bar, tally = (
        PlainLines("runs", lines.append, clock),
        tally_of(clock, **{f"r{i}": 1.0 for i in range(600)}),
    )
    for i in range(600):
        clock.now += 1
        tally.note(ended(f"r{i}"))
        bar.follow(lambda: reading_of(tally))
        bar.look()
    assert lines[0].startswith("1/600 runs, 0 failed, 1 runs/s, 10 min left")
    assert lines[-1] == "600/600 runs, 0 failed, 1 runs/s"
    assert len(lines) == pytest.approx(1 + 5 + 9 + 1, abs=1)


def test_a_bar_says_the_same_as_the_lines(monkeypatch, clock):
    """One truth for both, on narrow terminals too."""
    tally = tally_of(clock, **{f"r{i}": 1.0 for i in range(18)})
    for i in range(2):
        clock.now += 1 / 0.12
        tally.note(ended(f"r{i}", "failed" if i else "completed"))
    said = reading_of(tally)
    assert said.line("runs") == "2/18 runs, 1 failed, 0.12 runs/s, 4 min left"
    for width in (60, 100):
        shown = io.StringIO()
        terminal = Console(file=shown, force_terminal=True, width=width, color_system=None)
        monkeypatch.setattr("ptychosuite.api.following._console", lambda terminal=terminal: terminal)
        with Progress().bar("runs") as bar:
            bar.follow(lambda: said)
            bar.tell("run 3f2a failed: ValueError: " + 100 * "long ")
        last = shown.getvalue().splitlines()[-2]
        assert "2/18" in last
        assert said.beside in last
        assert "None" not in shown.getvalue()


def test_a_status_off_a_terminal_says_how_long_it_lasts(clock, lines):
    status = PlainStatus("starting the cluster", lines.append, clock)
    for _ in range(130):
        clock.now += 1
        status.look()
    assert lines == ["starting the cluster: 60 s", "starting the cluster: 2 min"]


def test_counted_work_has_a_pace_too(clock, lines):
    bar = PlainLines("cases", lines.append, clock)
    counted = Counted(bar)
    counted.update(0, 4, "next: rpie")
    assert lines == []
    counted.update(4, 4, "")
    assert lines[-1].startswith("4/4 cases")


def test_nothing_left_is_said_of_what_is_over_or_unknown():
    assert Reading(0, 3, "0 failed").line("runs") == "0/3 runs, 0 failed"
    assert Reading(3, 3, "0 failed", 5.0).line("runs") == "3/3 runs, 0 failed"
