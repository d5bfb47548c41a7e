"""How long the rest will take, told from planned work and the pace of late."""

from __future__ import annotations

import pytest
from ptychosuite.cluster.pace import RECENT_PIECES, RECENT_S, Pace
from ptychosuite.cluster.tally import BY_ANOTHER, Tally
from ptychosuite.cluster.waiting import SAID_AFTER_S, Waits
from ptychosuite.cluster.work import ELSEWHERE
from ptychosuite.errors import ClusterError


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ended(run_id: str, status: str = "completed", **more: object) -> dict[str, object]:
    return {"run_id": run_id, "status": status, "message": "", **more}


def tally_of(clock: Clock, **work: float) -> Tally:
    return Tally(dict(work), Waits(clock=clock))


def test_two_of_eighteen_at_an_eighth_a_second(clock):
    """Sixteen runs at 0.12 a second take more than two minutes, not four seconds."""
    tally = tally_of(clock, **{f"r{i}": 1.0 for i in range(18)})
    for i in range(2):
        clock.now += 1 / 0.12
        tally.note(ended(f"r{i}"))
    assert tally.runs_per_second == pytest.approx(0.12)
    assert tally.left_s == pytest.approx(16 / 0.12)


def test_nothing_is_said_before_anything_tells_it(clock):
    tally = tally_of(clock, a=1.0, b=1.0, c=1.0)
    clock.now += 5
    assert (tally.left_s, tally.runs_per_second) == (None, None)
    tally.note(ended("a", "failed"))
    assert tally.left_s is None, "what failed at once says nothing of how long others take"
    clock.now += 5
    tally.note(ended("b"))
    assert tally.left_s == pytest.approx(10)
    tally.note(ended("c"))
    assert tally.left_s == 0


def test_costly_runs_count_by_their_cost(clock):
    """Whatever the order, runs that take as long as planned are told exactly."""
    work = {"short": 1.0, "long": 30.0, "middle": 5.0}
    for order in (["short", "long", "middle"], ["long", "middle", "short"]):
        tally = tally_of(clock, **work)
        for name in order[:-1]:
            clock.now += 2 * work[name]
            tally.note(ended(name))
            left = sum(work.values()) - sum(work[done] for done in order[: order.index(name) + 1])
            assert tally.left_s == pytest.approx(2 * left)


def test_time_left_falls_between_ends_and_grows_when_one_is_overdue(clock):
    tally = tally_of(clock, a=1.0, b=1.0, c=1.0)
    clock.now += 10
    tally.note(ended("a"))
    seen = []
    for _ in range(40):
        clock.now += 1
        seen.append(tally.left_s)
    assert seen[:10] == pytest.approx([20 - s for s in range(1, 11)])
    assert seen[-1] > 60
    assert min(seen) >= 10, "two runs are left, and one is overdue"


def test_the_pace_is_that_of_late(clock):
    """Slow beginnings are forgotten, and what is kept of them does not grow."""
    pace = Pace(clock)
    clock.now += 3600
    pace.note()
    for _ in range(20_000):
        clock.now += 0.1
        pace.note()
    assert pace.left_s(10.0) == pytest.approx(1.0, rel=0.05)
    assert len(pace._marks) < 2 * RECENT_S + RECENT_PIECES


def test_runs_of_another_sweep(clock):
    """They need not be done here, are counted by their own word, and speed things up."""
    tally = tally_of(clock, a=1.0, b=1.0, c=1.0, d=1.0)
    clock.now += 10
    tally.note(ended("a"))
    alone = tally.left_s
    tally.note(ended("b", **{ELSEWHERE: True}))
    assert tally.counts == {"completed": 1, BY_ANOTHER: 1}
    assert tally.left_s == pytest.approx(10)
    assert tally.left_s < alone


def test_stopped_at_the_limit_takes_its_time(clock):
    tally = tally_of(clock, a=1.0, b=1.0)
    clock.now += 10
    tally.note(ended("a", "timed-out"))
    assert (tally.failed, tally.left_s) == (1, pytest.approx(10))


# Waiting


def test_waiting_without_workers_is_said_once_and_does_not_slow_the_pace(clock):
    said: list[str] = []
    tally = tally_of(clock, a=1.0, b=1.0)
    waits = tally.waits
    waits.say = said.append
    for _ in range(3600):
        waits.for_workers(2, None)
        clock.now += 1
    assert len(said) == 1
    assert "as long as it takes" in said[0]
    assert waits.reason == "no worker yet"
    waits.over()
    assert waits.reason == ""
    clock.now += 10
    waits.over()
    tally.note(ended("a"))
    assert tally.left_s == pytest.approx(10)


def test_a_gap_between_workers_is_not_said(clock):
    said: list[str] = []
    waits = Waits(said.append, clock)
    waits.for_workers(3, 60.0)
    clock.now += SAID_AFTER_S / 2
    waits.for_workers(3, 60.0)
    waits.over()
    assert (said, waits.reason) == ([], "")


def test_waiting_ends_at_its_limit(clock):
    waits = Waits(clock=clock)
    waits.for_workers(3, 600.0)
    clock.now += 599
    waits.for_workers(3, 600.0)
    clock.now += 1
    with pytest.raises(ClusterError, match=r"no worker for 600 s; 3 runs left.*--wait-for-workers"):
        waits.for_workers(3, 600.0)
