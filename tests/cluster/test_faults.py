"""Sweeps whose runs and workers die: exactly the run that was at work is blamed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster
from ptychosuite.cluster.cluster_file import Connection, connect
from ptychosuite.cluster.whole_sweep import sweep, to_do
from ptychosuite.cluster.work import Terms
from ptychosuite.errors import ClusterError
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory, read_run

from tests.study.small import carry_out, plan_text

MEASURED = ("seconds", "seconds_per_iteration", "peak_host_bytes")  # different every time
KILLS = 20

pytestmark = pytest.mark.usefixtures("broken_solvers")


def by_solver(store):
    """Records of a store by the name of their solver."""
    held = inventory(store)
    records = [read_run(path) for path in (*held.failed.values(), *held.done.values())]
    return {record.spec.solver["name"]: record for record in records}


def test_a_solver_that_kills_its_process(tmp_path):
    """The worker's death becomes a failed run after one more try; those that waited there are carried out."""
    plan = plan_text(tmp_path, "axes: {solver: [kills, rpie, epie]}\n")
    store, tally = carry_out(plan, tmp_path, cluster="local", workers=1)
    assert dict(tally.counts) == {"failed": 1, "completed": 2}
    failed = by_solver(store)["kills"]
    assert failed.status == "failed"
    assert "its worker died (2 times)" in failed.message
    assert failed.run_id in plan.run_ids
    assert not list(Path(store.root).glob(".worker-logs/*"))


def test_client_and_workers_agree_on_the_code(tmp_path):
    """A plug-in's run is stored under the id that was planned, and says whose solver it was."""
    plan = plan_text(tmp_path, "axes: {solver: [diverges, rpie]}\n")
    store, _ = carry_out(plan, tmp_path, cluster="local", workers=2)
    assert to_do(plan, store, retry_failed=True) == []
    records = by_solver(store)
    assert records["diverges"].provenance["code_packages"] == {"test-solvers": "1.0"}
    assert records["rpie"].provenance["code_packages"] == {}
    listed = json.loads(store.code_file(records["diverges"].provenance["code"]).read())
    assert "test-solvers/tests/cluster/broken_solvers.py" in listed["files"]


def test_a_segmentation_fault_leaves_its_trace(tmp_path):
    """The record of the run that did it has the fault, the line, and what was printed last."""
    plan = plan_text(tmp_path, "axes: {solver: [rpie, segfaults, epie], seed: [0, 1]}\n")
    store, tally = carry_out(plan, tmp_path, cluster="local", workers=2, retries=0)
    assert dict(tally.counts) == {"failed": 2, "completed": 4}
    message = by_solver(store)["segfaults"].message
    assert message.endswith("its worker died: Segmentation fault")
    assert "broken_solvers.py" in message
    assert "in string_at" in message
    assert "about to read address 0" in message
    assert "Extension modules" not in message


def test_a_run_that_holds_the_gil_is_stopped_by_the_time_limit(tmp_path):
    """No Python of its process can run, and it is ended all the same, once; the others complete."""
    plan = plan_text(tmp_path, "axes: {solver: [holds-gil, rpie, {name: slow, seconds: 0.01}]}\n")
    store, tally = carry_out(plan, tmp_path, cluster="local", workers=1, timeout_s=4.0)
    assert dict(tally.counts) == {"timed-out": 1, "completed": 2}
    message = by_solver(store)["holds-gil"].message
    assert message.endswith("stopped at the time limit")
    assert "in step" in message


def test_a_run_that_eats_memory(tmp_path):
    """Its nanny ends the worker; the record says why, with the numbers, and where the run was.

    The cluster is somebody else's: its scheduler sends work out again by itself, which must not cost more
    workers.
    """
    plan = plan_text(tmp_path, "axes: {solver: [eats-memory, rpie]}\n")
    store = Store.create(tmp_path / plan.name)
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, memory_limit="500MB", dashboard_address="127.0.0.1:0"
        ) as small,
        Client(small) as client,
    ):
        connection = Connection(client, "a small worker")
        tally = sweep(plan, store, plan.runs, connection, ["test"], lambda *_: None, Terms(retries=0))
    assert dict(tally.counts) == {"failed": 1, "completed": 1}
    message = by_solver(store)["eats-memory"].message
    assert "its worker died: it had grown" in message
    assert "its memory limit is 500 MB" in message
    assert "in step" in message


@pytest.mark.slow
def test_workers_killed_at_random(tmp_path):
    """Twenty workers are killed in a sweep of 200 runs; its results are those of an undisturbed one."""
    axes = "axes:\n  solver: [{name: slow, seconds: 0.005}, rpie]\n  seed: {range: 100}\n"
    plan = plan_text(tmp_path, axes, "stop.iterations=2")
    calm, _ = carry_out(plan, tmp_path / "calm")
    store = Store.create(tmp_path / "stormy" / plan.name)
    ended, killed, seen = threading.Event(), [], []

    def kill_at_random(cluster):
        rng = random.Random(1)
        while len(killed) < KILLS and not ended.wait(rng.uniform(0.05, 0.2)):
            at_work = set(cluster.scheduler.workers)
            nannies = [nanny for nanny in cluster.workers.values() if nanny.worker_address in at_work]
            victims = {nanny.pid for nanny in nannies} - {*killed, None}
            if victims:
                killed.append(rng.choice(sorted(victims)))
                os.kill(killed[-1], signal.SIGKILL)

    def watch(tally, summary):
        seen.append(summary["run_id"])
        for file in Path(store.runs).glob("??/[!.]*.zip"):
            assert zipfile.is_zipfile(file)

    with connect("local", 3) as connection:
        killer = threading.Thread(target=kill_at_random, args=[connection.client.cluster])
        killer.start()
        try:
            terms = Terms(retries=KILLS)
            tally = sweep(plan, store, plan.runs, connection, ["test"], watch, terms)
        finally:
            ended.set()
            killer.join()
    assert len(killed) == KILLS
    assert dict(tally.counts) == {"completed": 200}
    assert sorted(seen) == sorted(plan.run_ids)
    expected, found = inventory(calm).done, inventory(store).done
    assert set(expected) == set(found) == set(plan.run_ids)
    for run_id, path in expected.items():
        one, other = read_run(path), read_run(found[run_id])
        for name in set(one.metrics) - set(MEASURED):
            assert np.array_equal(one.metrics[name], other.metrics[name], equal_nan=True), name
        np.testing.assert_array_equal(one.object, other.object)


def dask_command(*arguments):
    """Start a part of a cluster as its own program."""
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.slow
def test_lost_scheduler(tmp_path):
    """The sweep ends with what to do, keeps what is finished, and goes on elsewhere."""
    plan = plan_text(tmp_path, "axes: {solver: [{name: slow, seconds: 0.2}], seed: {range: 20}}\n")
    file = tmp_path / "scheduler.json"
    scheduler = dask_command(
        "dask_scheduler",
        "--scheduler-file",
        str(file),
        "--host",
        "127.0.0.1",
        "--no-dashboard",
        "--port",
        "0",
    )
    worker = dask_command("dask_worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-dashboard")
    try:
        while not file.exists():
            time.sleep(0.05)
        address = json.loads(file.read_text())["address"]

        def kill(tally, summary):
            if tally.ended == 2:
                scheduler.kill()

        store = Store.create(tmp_path / plan.name)
        with (
            pytest.raises(ClusterError, match=r"lost the scheduler at tcp://.*goes on where"),
            connect(address) as connection,
        ):
            sweep(plan, store, plan.runs, connection, ["test"], kill)
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()
    done = len(inventory(store).done)
    assert 2 <= done < 20
    _, tally = carry_out(plan, tmp_path, cluster="local", workers=2)
    assert tally.total <= 20 - done
    assert len(inventory(store).done) == 20
