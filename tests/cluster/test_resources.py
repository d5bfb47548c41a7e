"""Runs go to workers that have their device."""

from __future__ import annotations

import os

import pytest
from ptychosuite.cluster.cluster_file import connect
from ptychosuite.cluster.connection import Connection
from ptychosuite.cluster.dispatch import run_all
from ptychosuite.cluster.kinds.cuda import add_cpu_workers
from ptychosuite.cluster.whole_sweep import sweep, to_do
from ptychosuite.cluster.work import Terms
from ptychosuite.cluster.workers import check_devices, offered, resources_for, workers_up
from ptychosuite.errors import ClusterError
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory, read_run

from tests.study.small import plan_text

BOTH = frozenset({"CPU", "GPU"})


@pytest.mark.parametrize("backend", ["torch-cuda", "cupy"])
def test_gpu_runs_ask_for_a_gpu(backend):
    """On every cluster that has one; elsewhere they are refused with a way out."""
    assert resources_for(backend, BOTH) == resources_for(backend, {"GPU"}) == {"GPU": 1}
    for offers in (set(), {"CPU"}):
        with pytest.raises(ClusterError, match=rf"'{backend}' needs a GPU.*--cluster cuda"):
            resources_for(backend, offers)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_cpu_runs_keep_off_gpu_workers(backend):
    """Where there are both kinds of worker; else any worker will do."""
    assert resources_for(backend, BOTH) == {"CPU": 1}
    for offers in (set(), {"CPU"}, {"GPU"}, {"licence"}):
        assert resources_for(backend, offers) == {}


def test_devices_are_checked_before_anything_runs(tmp_path):
    """A study with one GPU run is refused by a cluster without a GPU, and nothing is written."""
    check_devices({"numpy", "cupy"}, BOTH)
    plan = plan_text(tmp_path, "axes: {backend: [numpy, torch-cuda]}\n")
    store = Store.create(tmp_path / plan.name)
    connection = Connection(None, "here", offers=frozenset({"CPU"}))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ClusterError, match="no worker of this cluster offers one"):
        sweep(plan, store, to_do(plan, store, False), connection, ["test"], lambda tally, summary: None)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture(scope="module")
def mixed():
    """A worker that declares a GPU, which is none, and CPU workers added as ``--cluster cuda`` adds them."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, resources={"GPU": 1}, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        add_cpu_workers(cluster, 1, {"host": "127.0.0.1"})
        client.wait_for_workers(2)
        yield client


def test_what_workers_offer(mixed):
    """The names of all resources; GPUs are hidden from CPU workers."""
    assert offered(mixed) == BOTH
    devices = mixed.run(os.getenv, "CUDA_VISIBLE_DEVICES", "all")
    assert sorted(devices.values()) == ["", "all"]


def test_a_sweep_goes_to_both_kinds(tmp_path, mixed, monkeypatch):
    """Every run lands on a worker of its kind; that of the GPU runs one at a time."""
    monkeypatch.setattr("ptychosuite.cluster.workers.GPU_BACKENDS", ("torch",))  # a device every machine has
    plan = plan_text(tmp_path, "axes: {backend: [numpy, torch], seed: {range: 6}}\n")
    store = Store.create(tmp_path / plan.name)
    connection = Connection(mixed, "both", offers=offered(mixed), workers=2)
    assert [summary["status"] for summary in run_all(connection, plan.runs, store, Terms())] == [
        "completed"
    ] * 12
    processes: dict[str, set[int]] = {"numpy": set(), "torch": set()}
    for file in inventory(store).done.values():
        record = read_run(file)
        processes[record.spec.backend].add(record.provenance["process"])
    gpu_process = mixed.submit(os.getpid, resources={"GPU": 1}, pure=False).result()
    assert processes["torch"] == {gpu_process}
    assert gpu_process not in processes["numpy"]


def test_a_refresh_in_the_background_hides_no_worker(monkeypatch):
    """Dask's client refreshes what it knows of the scheduler, without workers, at any moment.

    Who then asks the client takes healthy workers for dead ones.
    """
    with connect("local", 1) as connection:
        client = connection.client
        refresh = client._update_scheduler_info

        async def overtaken(n_workers: int = 0) -> None:
            await refresh(n_workers)
            await refresh()

        monkeypatch.setattr(client, "_update_scheduler_info", overtaken)
        assert client.scheduler_info()["workers"] == {}
        assert len(workers_up(client)) == 1
