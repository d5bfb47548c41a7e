"""The program of a side: what it times, and by which clock."""

from __future__ import annotations

import time

import pytest
from ptychosuite.backends.arrays import Backend
from ptychosuite.timing import side
from ptychosuite.timing.side import Contestant, cpu_clock, event_clock, own_time

from tests.study.small import plan_text


def test_each_sample_does_the_same_work(tmp_path):
    (spec,) = plan_text(tmp_path, "solver: rpie\n").runs
    contestant = Contestant(spec.to_dict())
    solver, seen = contestant.solver, []

    class Watched:
        def init(self, problem):
            seen.append("init")
            return solver.init(problem)

        def step(self, problem, state, rng):
            seen.append(rng.bit_generator.state["state"]["state"])
            return solver.step(problem, state, rng)

    contestant.solver = Watched()
    contestant.sample(2, 1)
    once = list(seen)
    seen.clear()
    contestant.sample(2, 2)
    assert len(once) == 3
    assert seen == once * 2


def test_a_fast_forward_is_carried_out(tmp_path):
    jump = "{kind: identity, warm_up: 1, jumps: 1, look_ahead: 1}"
    (spec,) = plan_text(tmp_path, f"solver: rpie\nfast_forward: {jump}\n").runs
    taken = Contestant(spec.to_dict()).sample(3, 1)
    assert taken["seconds"] > 0


def test_revisions_whose_operators_carry_no_solver(monkeypatch):
    """There a function of the package did it."""
    places = {
        "build": lambda group, settings: object(),
        "with_fast_forward": lambda solver, settings, problem, backend: ("carried", solver, settings["kind"]),
    }
    monkeypatch.setattr(side, "found", places.__getitem__)
    assert side.carried("rpie", {"kind": "identity"}, None, None) == ("carried", "rpie", "identity")


def test_sample_times_on_each_backend(tmp_path, each_backend: Backend):
    (spec,) = plan_text(tmp_path, f"solver: rpie\nbackend: {each_backend.name}\n").runs
    taken = Contestant(spec.to_dict()).sample(1, 2)
    assert 0 < taken["seconds"] <= 1.1 * taken["wall_seconds"]


def test_own_time_leaves_out_the_wait_for_the_core(monkeypatch):
    elapsed = cpu_clock()
    before = side.waited_for_core()
    monkeypatch.setattr(side, "waited_for_core", lambda: before + 1000.0)
    assert elapsed() < 0


def test_own_time_counts_sleep():
    """What a solver waits for is its own doing."""
    elapsed = cpu_clock()
    time.sleep(0.05)
    assert elapsed() > 0.04


def test_a_wait_between_the_two_readings_is_read_again(monkeypatch):
    waits = iter([1.0, 2.0, 2.0, 2.0])
    monkeypatch.setattr(side, "waited_for_core", lambda: next(waits))
    monkeypatch.setattr(time, "perf_counter", lambda: 10.0)
    assert own_time() == 8.0


def test_events_of_a_device():
    class Event:
        moments = iter([0.0, 250.0])

        def record(self):
            self.at = next(self.moments)

        def synchronize(self): ...

    elapsed = event_clock(Event, lambda begin, end: end.at - begin.at)
    assert elapsed() == pytest.approx(0.25)
