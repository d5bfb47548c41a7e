"""Sweeps: in this process, on workers, and when runs go wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from ptychosuite.cluster.cluster_file import connect
from ptychosuite.cluster.whole_sweep import to_do
from ptychosuite.core.problem import Footprint
from ptychosuite.core.runs import Lane
from ptychosuite.errors import BackendError, ClusterError
from ptychosuite.registry import fingerprint
from ptychosuite.registry.fingerprint import Sources, code_of
from ptychosuite.store.layout import Store, place
from ptychosuite.store.read import inventory, read_run, sessions

from tests.study.small import carry_out, plan_text, run_files

AXES = "axes:\n  solver: [rpie, {name: magpie, levels: 2}]\n  seed: {range: 2}\n"
MEASURED = ("seconds", "seconds_per_iteration", "peak_host_bytes")  # different every time


def records(store):
    held = inventory(store)
    return {run_id: read_run(path) for run_id, path in {**held.failed, **held.done}.items()}


def test_every_run_ends_in_the_store(tmp_path):
    """A sweep carries out all runs, and the next one finds nothing to do."""
    plan = plan_text(tmp_path, AXES)
    store, tally = carry_out(plan, tmp_path)
    assert dict(tally.counts) == {"completed": 4}
    assert (tally.total, tally.ended, tally.failed) == (4, 4, 0)
    assert set(records(store)) == set(plan.run_ids)
    before = run_files(store.root)
    assert to_do(plan, store, retry_failed=True) == []
    assert run_files(store.root) == before


def test_a_worker_with_other_code_is_refused(tmp_path, monkeypatch):
    """What it would compute is no run of the plan: the sweep ends before it begins, and says why."""
    monkeypatch.setattr(fingerprint, "SOURCES", Sources(lambda file: file.read_bytes() + b"# changed"))
    plan = plan_text(tmp_path, AXES)
    here = code_of(plan.runs[0]).fingerprint
    with pytest.raises(
        ClusterError, match=rf"'rpie' has the fingerprint (?!{here})\w+ there and {here} here"
    ):
        carry_out(plan, tmp_path, cluster="local")
    assert records(Store.open(tmp_path / "tiny")) == {}


def test_only_what_is_missing_is_computed(tmp_path):
    """A wider study adds its runs and leaves the others alone."""
    store, _ = carry_out(plan_text(tmp_path, AXES), tmp_path)
    before = run_files(store.root)
    _, tally = carry_out(plan_text(tmp_path, AXES, "seed={range: 3}"), tmp_path)
    assert tally.total == 2
    assert before.items() <= run_files(store.root).items()


def test_workers_give_the_same_numbers(tmp_path):
    """On a local cluster every metric, curve and image is that of this process, bit for bit."""
    plan = plan_text(tmp_path, AXES)
    here, _ = carry_out(plan, tmp_path / "here")
    there, tally = carry_out(plan, tmp_path / "there", cluster="local", workers=2)
    assert dict(tally.counts) == {"completed": 4}
    expected, found = records(here), records(there)
    assert set(expected) == set(found) == set(plan.run_ids)
    for run_id, one in expected.items():
        other = found[run_id]
        assert list(one.metrics) == list(other.metrics)
        for name, value in one.metrics.items():
            assert name in MEASURED or np.array_equal(value, other.metrics[name], equal_nan=True), name
        for name, curve in one.curves.items():
            assert name in MEASURED or np.array_equal(curve, other.curves[name], equal_nan=True), name
        np.testing.assert_array_equal(one.object, other.object)
        assert one.reference == other.reference
        assert other.provenance["process"] != one.provenance["process"]
        threads = other.provenance["threads"]
        assert {value for key, value in threads.items() if key.endswith("NUM_THREADS")} == {"1"}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinities")
def test_lanes(tmp_path):
    """In the timing lane no two workers share a core; in the throughput lane they are free."""
    plan = plan_text(tmp_path, "axes: {seed: {range: 12}}\n")
    for lane in Lane:
        store, _ = carry_out(plan, tmp_path / lane, cluster="local", workers=2, lane=lane)
        found = records(store).values()
        assert {record.provenance["lane"] for record in found} == {lane}
        cores = {record.provenance["process"]: record.provenance["cores"] for record in found}
        if lane is Lane.THROUGHPUT:
            assert all(free == sorted(os.sched_getaffinity(0)) for free in cores.values())
        else:
            own = [tuple(held) for held in cores.values() if len(held) == 1]  # the others found none free
            assert len(own) == len(set(own))


def test_a_run_that_cannot_fit_is_not_begun(tmp_path):
    """It fails with the numbers, here and on workers; the others are carried out."""
    plan = plan_text(tmp_path, "axes: {solver: [rpie, epie]}\n")

    def footprint(spec):
        return Footprint(1e15 if spec.solver["name"] == "epie" else 1e6)

    for cluster in ("none", "local"):
        store, tally = carry_out(plan, tmp_path / cluster, cluster=cluster, footprint=footprint)
        assert dict(tally.counts) == {"failed": 1, "completed": 1}
        (failed,) = [record for record in records(store).values() if record.status == "failed"]
        assert failed.message.startswith("not begun: needs about 1e+06 GB of memory; there are")


@pytest.mark.usefixtures("broken_solvers")
def test_a_run_that_raises_does_not_stop_the_sweep(tmp_path):
    """Its record holds the traceback; it is tried again only on request, and may then succeed."""
    cure = tmp_path / "cure"
    plan = plan_text(tmp_path, f"axes: {{solver: [{{name: raises, cure: {cure}}}, rpie, diverges]}}\n")
    store, tally = carry_out(plan, tmp_path)
    assert dict(tally.counts) == {"failed": 1, "completed": 1, "diverged": 1}
    (failed,) = [r for r in records(store).values() if r.status == "failed"]
    assert "Traceback" in failed.message
    assert "broken_solvers.py" in failed.message
    assert failed.message.strip().endswith("ArithmeticError: broken on purpose")
    assert failed.provenance["start"] <= failed.provenance["end"]
    assert to_do(plan, store, retry_failed=False) == []
    assert [spec.solver["name"] for spec in to_do(plan, store, retry_failed=True)] == ["raises"]
    carry_out(plan, tmp_path, retry_failed=True)
    assert [path.name.split(".")[1] for path in inventory(store).failed.values()] == ["failed-2"]
    cure.touch()
    _, tally = carry_out(plan, tmp_path, retry_failed=True)
    assert dict(tally.counts) == {"completed": 1}
    assert not inventory(store).failed


@pytest.mark.usefixtures("broken_solvers")
@pytest.mark.parametrize("cluster", ["none", "local"])
def test_what_the_user_must_act_on_stops_the_sweep(tmp_path, cluster):
    """No further run could get past a missing device: the sweep ends with the message, finished runs stay."""
    plan = plan_text(tmp_path, "axes: {solver: [rpie, no-device], seed: [0, 1, 2]}\n")
    with pytest.raises(BackendError, match="the device is gone; plug it in"):
        carry_out(plan, tmp_path, cluster=cluster)
    results = tmp_path / "tiny"
    assert (results / "study.zarr" / "zarr.json").is_file()
    (session,) = [json.loads(p.read_text()) for p in (results / "sessions").glob("*.json")]
    assert "end" in session
    names = {
        record.solver["name"] for record in (read_run(place(p)).spec for p in results.glob("runs/??/*.zip"))
    }
    assert names <= {"rpie"}


def test_sessions_say_who_ran_what(tmp_path):
    """A session holds the study, its overrides, what varied, the runs, the command and the environment."""
    plan = plan_text(tmp_path, AXES + "figures: [{kind: images, show: [phase]}]\n", "problem.noise=0.2")
    store, _ = carry_out(plan, tmp_path)
    (session,) = sessions(store)
    assert session["text"] == (tmp_path / "tiny.yaml").read_text()
    assert session["overrides"] == ["problem.noise=0.2"]
    assert set(session["factors"]) == set(plan.factors)
    assert session["constants"]["problem.noise"] == 0.2
    assert session["spec_ids"] == [spec.spec_id for spec in plan.runs]
    assert session["figures"][0]["show"] == ["phase"]
    assert session["counts"] == {"completed": 4}
    assert session["start"] <= session["end"]
    assert session["environment"]["packages"]["numpy"] == np.__version__
    assert session["command"] == ["test"]


def test_sweep_removes_leftovers(tmp_path):
    """Half-written files of writers that died are gone after the next sweep."""
    store, _ = carry_out(plan_text(tmp_path, AXES), tmp_path)
    leftover = Path(store.runs / f".{os.uname().nodename}-999999999-x.zarr.zip.tmp")
    leftover.write_text("half a run")
    carry_out(plan_text(tmp_path, AXES, "seed=5"), tmp_path)
    assert not leftover.exists()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("locl", r"unknown cluster 'locl'; did you mean 'local'\?.*tcp://HOST:PORT"),
        ("http://x", "unknown cluster"),
        ("tcp://nowhere", "tcp://nowhere"),
    ],
)
def test_unknown_clusters(kind, message):
    """What is no cluster is refused with what would be one."""
    with pytest.raises(ClusterError, match=message), connect(kind):
        pass


def test_no_cluster_needs_no_client():
    """--cluster none starts nothing."""
    with connect("none") as connection:
        assert connection.client is None
        assert connection.description == "this process"
