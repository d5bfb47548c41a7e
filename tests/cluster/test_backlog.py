"""Who gets which runs, and who is blamed: decided without a cluster."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys

import pytest
from ptychosuite.cluster.backlog import MOST_LOSSES, Backlog, Death, Try, judge
from ptychosuite.cluster.killed_for_memory import KilledForMemory
from ptychosuite.cluster.worker_log import LOG_TAIL, Entry, UnfinishedRun, read_unfinished, tail
from ptychosuite.core.problem import Footprint
from ptychosuite.core.runs import RunSpec, Status

ENTRY = Entry(
    ["token"], "tcp://w", 300_000_000, "2030-01-01T00:00", "0x00007f0000000001", "host", 7,
    KilledForMemory(0, ""),
)  # fmt: skip
STACK = """\
Thread 0x00007f0000000002 (most recent call first):
  File "loop.py", line 1 in wait

{heading} 0x00007f0000000001 (most recent call first):
  File "solver.py", line 9 in step
  File "run.py", line 5 in execute

Extension modules: numpy (total: 1)
"""


def spec(problem=0, solver="rpie", seed=0):
    return RunSpec(problem={"number": problem}, solver={"name": solver}, stop={}, seed=seed)


def test_runs_that_share_a_problem_stay_with_a_worker():
    """Each worker goes on with its problem, then takes an untouched one."""
    backlog = Backlog([spec(problem, solver) for solver in "abc" for problem in (0, 1, 2)])
    seen = {"one": [], "two": []}
    while len(backlog):
        for worker, problems in seen.items():
            problems += [item.spec.problem["number"] for item in backlog.take(worker, 1)]
    assert seen["one"] == [0, 0, 0, 2, 2]
    assert seen["two"] == [1, 1, 1, 2]
    assert backlog.take("one", 5) == []


def test_a_parcel_holds_one_problem():
    """However many runs are asked for, they share their data; seed, backend and precision are part of it."""
    specs = [spec(0), spec(0, "epie"), spec(0, seed=1), dataclasses.replace(spec(0), dtype="complex128")]
    backlog = Backlog(specs)
    sizes = []
    while len(backlog):
        sizes.append(len(backlog.take("w", 10)))
    assert sorted(sizes) == [1, 1, 2]


def test_what_comes_back_is_next():
    """Runs that were not begun keep their order, also where their group had been used up."""
    backlog = Backlog([spec(0, solver) for solver in "abcd"])
    taken = backlog.take("w", 4)
    assert len(backlog) == 0
    backlog.put_back(taken[1:])
    assert [item.spec.solver["name"] for item in backlog.take("other", 9)] == ["b", "c", "d"]


def test_large_groups_are_shared():
    """When no problem is untouched, an idle worker helps with the one that has most left."""
    backlog = Backlog([*(spec(0, str(n)) for n in range(5)), *(spec(1, str(n)) for n in range(3))])
    backlog.take("one", 1)
    backlog.take("two", 1)
    assert backlog.take("three", 1)[0].spec.problem["number"] == 0


def judged(text, deaths=0, retries=0, **known):
    return judge(Try(spec(), deaths=deaths), UnfinishedRun(ENTRY, text), retries, Death(**known))


def test_time_limit():
    """A run that was stopped is not tried again; its stack and the worker's output are in the message."""
    text = "half done\nTimeout (0:00:01)!\n" + STACK.format(heading="Thread")
    status, message = judged(text, retries=5)
    assert status is Status.TIMED_OUT
    assert message.endswith("stopped at the time limit")
    assert 'File "solver.py", line 9 in step' in message
    assert "the worker's output:\nhalf done" in message
    assert "loop.py" not in message
    assert "Extension modules" not in message


@pytest.mark.parametrize(
    ("text", "known", "reason"),
    [
        ("Fatal Python error: Segmentation fault\n\n" + STACK.format(heading="Current thread"), {},
         "its worker died: Segmentation fault"),
        (STACK.format(heading="Thread"), {}, "asked to end (SIGTERM)"),
        (STACK.format(heading="Thread") + "Fatal Python error: Segmentation fault\n\n", {},
         "asked to end (SIGTERM)"),  # stacks are written while the run goes on, which may end the process
        (STACK.format(heading="Thread"), {"grown_to_bytes": 310e6},
         "grown to 310 MB, its memory limit is 300 MB"),
        ("", {}, "it ended without a word: the run has ended or wrecked its process, or somebody"),
        ("", {"killed_for_memory": 2}, "ended processes for want of memory (2 since the run began)"),
        ("", {"unheard_s": 300}, "nothing was heard of it for 300 s"),
        ("said\nEnded by ptychosuite: the run has closed files\n", {}, "died: the run has closed files"),
    ],
)  # fmt: skip
def test_causes(text, known, reason):
    """The message's last line says what ended the worker, and memory alone where that is known."""
    status, message = judged(text, **known)
    assert status is Status.FAILED
    last = message.splitlines()[-1]
    assert reason in last
    assert ("memory" in last) == any("memory" in name or "grown" in name for name in known)


def test_a_preempted_run_is_not_to_blame():
    """Its worker went with all that would start it anew: it is sent out again, though not for ever."""
    item = Try(spec())
    for _ in range(MOST_LOSSES - 1):
        item = judge(item, UnfinishedRun(ENTRY, ""), 0, Death(with_nanny=True))
        assert isinstance(item, Try)
        assert item.deaths == 0
    status, message = judge(item, UnfinishedRun(ENTRY, ""), 0, Death(with_nanny=True))
    assert status is Status.FAILED
    assert message.endswith(f"its worker's job or machine ended {MOST_LOSSES} times")
    late = judge(Try(spec()), UnfinishedRun(ENTRY, "Timeout (0:00:01)!\n"), 0, Death(with_nanny=True))
    assert late[0] is Status.TIMED_OUT


def test_processes_killed_for_memory_are_counted(tmp_path):
    """From the moment at which a run began; nothing where the system does not say."""
    counts = tmp_path / "memory.events"
    counts.write_text("low 0\noom 3\noom_kill 2\n")
    before = KilledForMemory(2, str(counts))
    assert before.since == 0
    counts.write_text("low 0\noom 3\noom_kill 5\n")
    assert before.since == 3
    assert KilledForMemory(2, "").since == KilledForMemory(2, str(tmp_path / "gone")).since == 0
    assert KilledForMemory.so_far().since == 0


def test_retries_have_a_limit():
    """A run that was at work is tried again as often as allowed, then it has failed."""
    again = judged("", retries=2)
    assert isinstance(again, Try)
    assert again.deaths == 1
    assert isinstance(judged("", deaths=1, retries=2), Try)
    status, message = judged("", deaths=2, retries=2)
    assert status is Status.FAILED
    assert "died (3 times)" in message


def test_bystanders_are_tried_again():
    """A run that had not begun costs no retry, but is not sent out for ever."""
    item, tokens = Try(spec()), set()
    for _ in range(MOST_LOSSES - 1):
        tokens.add(item.token)
        item = judge(item, None, 0, Death())
        assert isinstance(item, Try)
        assert item.deaths == 0
    assert len(tokens) == MOST_LOSSES - 1, "each try has a name of its own"
    assert judge(item, None, 0, Death())[0] is Status.FAILED


FLIGHT = """
import sys
from pathlib import Path
from ptychosuite.cluster.worker_log import WorkerLog, read_unfinished
log = WorkerLog(Path(sys.argv[1]), redirect=True)
with log.during(["first"], "w", 0, None):
    print("of the first run")
assert read_unfinished(log.folder) == {{}}
print("between")
with log.during(["second"], "w", 0, None):
    print("of the second run")
    print("native", file=sys.stderr)
    assert log.text() == "of the second run\\nnative", log.text()
    {end}
"""


def test_runs_side_by_side_are_tried_alone():
    """Whoever killed the worker, or took too long, is found out when each goes alone."""
    together = dataclasses.replace(ENTRY, tokens=["token", "other"])
    for text in ("", "Timeout (0:00:01)!\n"):
        again = judge(Try(spec()), UnfinishedRun(together, text), 0, Death())
        assert isinstance(again, Try)
        assert again.deaths == 1


@pytest.mark.parametrize(
    ("end", "code", "in_text"),
    [
        ("import os; os._exit(3)", 3, "of the second run"),
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV, "Segmentation fault"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
            -signal.SIGTERM,
            "most recent call first",
        ),
    ],
)
def test_the_log_outlives_its_process(tmp_path, end, code, in_text):
    """What is left names the run that was at work, with its output alone."""
    done = subprocess.run(
        [sys.executable, "-c", FLIGHT.format(end=end), str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    assert done.stdout == "between\n"
    ((token, unfinished),) = read_unfinished(tmp_path).items()
    assert token == "second"
    assert in_text in unfinished.text
    assert unfinished.log.startswith("of the second run")
    assert "of the first run" not in unfinished.text


def test_tail_keeps_whole_lines():
    """A long log is cut at the beginning of a line."""
    assert tail("short\n") == "short"
    cut = tail("\n".join(f"line {n}" for n in range(2000)))
    assert len(cut) <= LOG_TAIL
    assert cut.startswith("line ")
    assert cut.endswith("line 1999")


def test_footprint_says_what_is_lacking():
    """The numbers are in the message; no limit is no reason."""
    assert Footprint(2e9).lack(3e9, None) == ""
    assert Footprint(2e9).lack(None, None) == ""
    assert Footprint(2e9).lack(1e9, None) == "needs about 2 GB of memory; there are 1 GB"
    assert "device memory; there are 8 GB" in Footprint(1e9, 9e9).lack(3e9, 8e9)
