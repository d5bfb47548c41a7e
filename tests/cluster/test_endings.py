"""What a solver does to its process costs its own run and no more, and nobody is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from distributed import Client
from ptychosuite.cluster import dispatch
from ptychosuite.cluster import sharing as waiting
from ptychosuite.cluster.sharing import await_others
from ptychosuite.cluster.waiting import Waits
from ptychosuite.cluster.work import ELSEWHERE, Task, carry_out_stack
from ptychosuite.cluster.workers import PRELOAD, Up, workers_up
from ptychosuite.core.runs import Lane
from ptychosuite.execute.interruption import noted_interruptions
from ptychosuite.registry.fingerprint import fingerprint_of, run_id_of
from ptychosuite.store.claims import Claims, sharing
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory, read_run

from tests.cluster.broken_solvers import MISBEHAVIOURS
from tests.cluster.test_connect import wait_for_worker
from tests.study.small import (
    PROGRAM,
    carry_out,
    held_study,
    plan_of,
    plan_text,
    run_files,
    study_file,
    wait_for,
)

pytestmark = pytest.mark.usefixtures("broken_solvers")

FAILED_WITH = {
    "system-exit": "SystemExit: 3",
    "keyboard-interrupt": "KeyboardInterrupt",
    "generator-exit": "GeneratorExit",
    "cancelled": "CancelledError: by itself",
    "group": "one of them",
    "of-its-own": "OfItsOwn: nobody's",
    "no-words": "NoWords",
    "prints": "half \\ud800 a character, \x1b[31mred\nand a second line",
    "figures": "float() argument",
}
WITH_ITS_PROCESS = {
    "closed-files": "its worker died: ",
    "ends": "its worker died: it ended without a word: the run has ended or wrecked its process",
    "sigterm": "its worker died: it was asked to end (SIGTERM)",
    "sigkill": "its worker died: it ended without a word",
    "sigstop": "its worker died: given up, as nothing was heard of it for 5 s",
}
NEEDS_A_WORKER = {*WITH_ITS_PROCESS, "leaves-orphans"}
FOR_TESTS_OF_THEIR_OWN = {"leaves-processes-and-stops", "swallows", "swallows-for-ever"}
MARK = "PTYCHOSUITE_TEST"  # in the environment of all processes that a test starts


def marked(mark: str) -> list[psutil.Process]:
    """Processes that were started from a test's own, and are no zombies."""
    found = []
    for process in psutil.process_iter(["name"]):
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Marks what a test starts; what is left of it is ended with the test."""
    monkeypatch.setenv(MARK, str(tmp_path))
    yield str(tmp_path)
    for process in marked(str(tmp_path)):
        if process.pid != psutil.Process().pid:
            process.kill()


def all_gone(mark: str, seconds: float = 10) -> bool:
    """Whether, after a moment, none of the marked processes is left."""
    end = time.monotonic() + seconds
    while marked(mark) and time.monotonic() < end:
        time.sleep(0.05)
    return not marked(mark)


class AsksToStop:
    """Ctrl-C, at the moment at which Python would not tell anybody of it."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def dask_program(name: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start a part of a cluster as its own program."""
    return subprocess.Popen(
        [sys.executable, "-m", f"distributed.cli.dask_{name}", *map(str, arguments), "--no-dashboard"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def sweep_of(folder: Path, hows: list[str], *options: str) -> subprocess.Popen[str]:
    """Start a sweep of misbehaving solvers, with good ones between them."""
    solvers = "".join(f"    - {{name: misbehaves, how: {how}}}\n    - {{name: rpie}}\n" for how in hows)
    seeds = "".join(f"    - {number}\n" for number, _ in enumerate(2 * hows))
    zipped = f"zip:\n- solver:\n{solvers}  seed:\n{seeds}"
    return subprocess.Popen(
        [*PROGRAM, "run", str(study_file(folder, zipped)), *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", cwd=folder,
    )  # fmt: skip


def by_misbehaviour(results: Path) -> dict[str, list]:
    """Records by what their solvers do; those of good ones under "rpie"."""
    held, found = inventory(Store.open(results)), dict[str, list]()
    for file in (*held.failed.values(), *held.done.values()):
        record = read_run(file)
        found.setdefault(record.spec.solver.get("how", "rpie"), []).append(record)
    return found


@pytest.mark.parametrize("cluster", ["none", "local"])
def test_each_costs_its_own_run_and_no_more(tmp_path, mark, monkeypatch, cluster):
    """All others complete, each run is recorded once, failures keep their words, and no process is left."""
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL", "2s")
    fatal = WITH_ITS_PROCESS if cluster == "local" else {}
    left_out = FOR_TESTS_OF_THEIR_OWN | (set() if cluster == "local" else NEEDS_A_WORKER)
    hows = [how for how in MISBEHAVIOURS if how not in left_out]
    sweep = sweep_of(tmp_path, hows, "--cluster", cluster, "--retries", "0", "--json")
    out, err = sweep.communicate(timeout=100)
    assert sweep.returncode == 1, err
    assert "Traceback" not in err
    expected = {"failed": len(FAILED_WITH) + len(fatal), "completed": 0}
    expected["completed"] = 2 * len(hows) - expected["failed"]
    found = by_misbehaviour(tmp_path / "results/tiny")
    assert {how: len(records) for how, records in found.items()} == {
        **dict.fromkeys(hows, 1),
        "rpie": len(hows),
    }
    for how, words in {**FAILED_WITH, **fatal}.items():
        assert words in found[how][0].message, how
    assert json.loads(out[out.index('{"study"') :])["counts"] == {**expected, "done_before": 0}
    assert all_gone(mark), marked(mark)


@pytest.mark.slow
def test_a_sweep_that_is_killed_leaves_nobody(tmp_path, mark):
    """Its workers end, a stopped one and one that lets no Python run too, with what they left."""
    solvers = "[{name: misbehaves, how: leaves-processes-and-stops}, {name: holds-gil}]"
    study = study_file(tmp_path, f"axes:\n  solver: {solvers}\n")
    sweep = subprocess.Popen(
        [*PROGRAM, "run", str(study), "--workers", "2", "--lane", "throughput"], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip

    def both_are_at_it() -> bool:
        processes = marked(mark)
        names = [process.info["name"] for process in processes]
        begun = [file for file in tmp_path.glob("results/tiny/.worker-logs/*/*.log") if file.stat().st_size]
        return names.count("sleep") == 3 and len(begun) == 2

    wait_for(both_are_at_it, sweep)
    sweep.kill()
    sweep.wait()
    assert all_gone(mark), marked(mark)


@pytest.mark.slow
def test_a_preempted_worker_costs_no_run(tmp_path, mark):
    """A batch system kills worker and nanny: the run waits, and the next worker carries it out, unblamed."""
    study = held_study(tmp_path, 2, free=1)
    file = tmp_path / "scheduler.json"
    scheduler = dask_program("scheduler", "--scheduler-file", file, "--host", "127.0.0.1", "--port", "0")

    def job() -> subprocess.Popen[bytes]:
        return dask_program("worker", "--scheduler-file", file, "--nthreads", "1", "--preload", PRELOAD)

    wait_for(file.exists, scheduler)
    first = job()
    wait_for_worker(str(file))
    sweep = subprocess.Popen(
        [*PROGRAM, "run", str(study), "--cluster", str(file), "--retries", "0", "--json"], cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(lambda: run_files(tmp_path / "results/tiny"), sweep)
    for process in (*psutil.Process(first.pid).children(recursive=True), psutil.Process(first.pid)):
        process.kill()
    first.wait()
    (tmp_path / "go").touch()
    second = job()
    out, err = sweep.communicate(timeout=100)
    for process in (second, scheduler):
        process.terminate()
        process.wait()
    assert sweep.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["counts"]["completed"] == 2
    assert len(run_files(tmp_path / "results/tiny")) == 2


# Ctrl-C


def test_a_second_ctrl_c_ends_at_once(tmp_path, mark):
    """A solver that swallows the first, for ever, holds nobody up; one soon after it is the same request."""
    study = study_file(tmp_path, "axes:\n  solver: [{name: misbehaves, how: swallows-for-ever}]\n")
    sweep = subprocess.Popen(
        [*PROGRAM, "run", str(study), "--cluster", "none"], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_for(Path(tmp_path, "begun").exists, sweep)
    for _ in range(2):
        sweep.send_signal(signal.SIGINT)
        time.sleep(0.1)
    time.sleep(0.6)
    assert sweep.poll() is None
    sweep.send_signal(signal.SIGINT)
    _, err = sweep.communicate(timeout=10)
    assert sweep.returncode == 130, err
    assert "Traceback" not in err


def test_ctrl_c_that_a_solver_swallows_is_heard(tmp_path, monkeypatch):
    """After that iteration, in this process; nothing of the run is kept, and no further one is begun."""
    plan = plan_text(tmp_path, "axes:\n  solver: [{name: misbehaves, how: swallows}, rpie]\n")
    with pytest.raises(KeyboardInterrupt):
        carry_out(plan, tmp_path)
    assert run_files(tmp_path / "tiny") == {}


def test_ctrl_c_while_others_are_waited_for(tmp_path, monkeypatch):
    """Also one that Python drops."""
    plan = plan_text(tmp_path, "")
    (spec,) = plan.runs
    store = Store.create(tmp_path / "results")

    def sleep(seconds: float) -> None:
        AsksToStop()

    monkeypatch.setattr(waiting.time, "sleep", sleep)
    with sharing(store) as mine, sharing(store) as other, noted_interruptions():
        other.take(run_id_of(spec))
        with pytest.raises(KeyboardInterrupt):
            await_others({run_id_of(spec): spec}, mine, {}, Waits())


def test_ctrl_c_while_a_cluster_is_waited_for(tmp_path, monkeypatch):
    """One that Python drops, while no run ends."""

    def asking(client: Client) -> dict[str, Up]:
        AsksToStop()
        return workers_up(client)

    monkeypatch.setattr(dispatch, "workers_up", asking)
    with pytest.raises(KeyboardInterrupt):
        carry_out(plan_of(held_study(tmp_path, 1, free=0)), tmp_path, cluster="local")


# Whose results


@pytest.mark.parametrize("solver", ["rpie", "{name: misbehaves, how: system-exit}"])
def test_a_result_knows_its_sweep(tmp_path, solver):
    """A run whose summary was lost on its way is found stored, and is not another sweep's for that."""
    plan = plan_text(tmp_path, f"axes:\n  solver: [{solver}]\n")
    (spec,) = plan.runs
    store = Store.create(tmp_path / "results")
    task = Task("token", spec.to_dict(), None, fingerprint_of(spec), 0)
    with sharing(store) as mine, sharing(store) as other:
        told = [
            summary
            for claims in (mine, mine, Claims(store, mine.sweep), other)
            for _, summary in carry_out_stack([task], claims, Lane.TIMING, 10**12)
        ]
    assert [bool(summary.get(ELSEWHERE)) for summary in told] == [False, False, False, True]
    assert len({summary["status"] for summary in told}) == 1
    assert len(run_files(store.root)) == 1
