"""The client of a sweep does not grow with the runs that it has sent out."""

from __future__ import annotations

import gc
import tracemalloc
from concurrent.futures import Future
from types import SimpleNamespace

import dask
import pytest
from ptychosuite.cluster import dispatch
from ptychosuite.cluster.connection import Connection
from ptychosuite.cluster.dispatch import run_all
from ptychosuite.cluster.tally import Tally
from ptychosuite.cluster.waiting import Waits
from ptychosuite.cluster.work import Terms
from ptychosuite.cluster.workers import DASK_CONFIG
from ptychosuite.errors import ClusterError
from ptychosuite.registry.fingerprint import run_id_of
from ptychosuite.store.layout import Store

from tests.study.small import plan_text

RUNS = 1000
WORKERS = ("tcp://a", "tcp://b")


class Echo:
    """A client whose workers end every run at once, with a message of some length."""

    status, cluster = "running", None

    def __init__(self, workers: tuple[str, ...] = WORKERS) -> None:
        self.workers, self.sent = workers, 0
        self.scheduler = SimpleNamespace(address="tcp://scheduler", identity=self.identity)

    def identity(self, n_workers: int) -> dict[str, object]:
        return {"workers": {address: {"resources": {}} for address in self.workers}}

    def sync(self, call, **options):
        return call(**options)

    def subscribe_topic(self, topic, handler) -> None:
        self.handler = handler

    def unsubscribe_topic(self, topic) -> None:
        pass

    def cancel(self, futures, force: bool) -> None:
        pass

    def submit(self, call, batch, **options) -> Future:
        for task in batch.tasks:
            self.sent += 1
            summary = {"run_id": task.token, "status": "completed", "message": "x" * 3000, "seconds": 1.0}
            self.handler((0.0, {"batch": batch.name, "token": task.token, "summary": summary}))
        future: Future = Future()
        future.status = "finished"
        future.set_result(None)
        return future


@pytest.fixture(scope="module")
def specs(tmp_path_factory):
    return plan_text(tmp_path_factory.mktemp("study"), f"axes: {{seed: {{range: {RUNS}}}}}\n").runs


def test_thousands_of_runs(tmp_path, specs):
    """What is held of them is let go as they end."""
    store, client = Store.create(tmp_path / "x"), Echo()
    tally = Tally.of(specs, None, Waits())
    names = {spec.spec_id: run_id_of(spec) for spec in specs}
    tracemalloc.start()
    sizes = []
    for summary in run_all(Connection(client, "echo"), specs, store, Terms()):
        tally.note(summary | {"run_id": names[summary["run_id"].partition(".")[0]]})
        if tally.ended in (RUNS // 5, RUNS - 1):
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert (client.sent, tally.ended, tally.work_left) == (RUNS, RUNS, {})
    assert sizes[1] - sizes[0] < 100 * 3000, "no more than a hundred of the summaries"


def test_dask_keeps_little_of_what_is_over():
    """The scheduler of a local cluster lives in the client: its logs are short. The names are Dask's own."""
    import distributed  # noqa: F401 - brings its configuration

    bounded = {name: value for name, value in DASK_CONFIG.items() if name.endswith("-length")}
    assert len(bounded) == 3
    for name, value in bounded.items():
        assert value <= 1000
        assert dask.config.get(name) >= value


def test_without_workers_the_sweep_ends_at_the_limit(tmp_path, specs, monkeypatch):
    """Within the limit it waits and says so; a worker that comes is given the runs."""
    monkeypatch.setattr(dispatch, "LOOK_FOR_WORKERS_S", 0.01)
    monkeypatch.setattr("ptychosuite.cluster.waiting.SAID_AFTER_S", 0.02)
    said: list[str] = []
    connection = Connection(Echo(()), "nobody", waits=Waits(said.append))
    with pytest.raises(ClusterError, match=r"no worker for 0.1 s; 3 runs left"):
        list(run_all(connection, specs[:3], Store.create(tmp_path / "x"), Terms(wait_for_workers_s=0.1)))
    assert len(said) == 1

    late = Echo(())
    waits = Waits(lambda line: setattr(late, "workers", WORKERS))
    ended = run_all(Connection(late, "late", waits=waits), specs[:3], Store.create(tmp_path / "y"), Terms())
    assert len(list(ended)) == 3
