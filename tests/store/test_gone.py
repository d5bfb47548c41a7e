"""A results folder that is moved or deleted while somebody writes: that is said, and none takes its place."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path

import pytest
from ptychosuite.cluster.cluster_file import connect
from ptychosuite.cluster.whole_sweep import sweep
from ptychosuite.errors import StoreError
from ptychosuite.store.claims import Claims, sharing
from ptychosuite.store.compact import compact
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory
from ptychosuite.store.upkeep import set_aside
from ptychosuite.store.write import write_code, write_run, write_session

from tests.store.records import record, store_at
from tests.study.small import plan_text, study_file

WRITES = {
    "run": lambda store: write_run(store, record(1)),
    "failed try": lambda store: write_run(store, record(1, "failed")),
    "session": lambda store: write_session(store, "2031", {}),
    "code": lambda store: write_code(store, "ab", {}),
    "claim": lambda store: Claims(store, "me").take("ab"),
    "sweep": lambda store: sharing(store).__enter__(),
    "dataset": compact,
    "what is set aside": lambda store: set_aside(store, [store.run_file("ab")]),
}


@pytest.mark.parametrize("what", WRITES)
@pytest.mark.parametrize("lost", ["moved", "deleted", "emptied"])
def test_nothing_is_written(tmp_path, what, lost):
    """Into a folder that nobody would find, and the folder is not made again."""
    store = store_at(tmp_path / "r")
    write_run(store, record(0))
    if lost == "moved":
        os.rename(tmp_path / "r", tmp_path / "elsewhere")
    else:
        shutil.rmtree(tmp_path / "r")
    if lost == "emptied":
        (tmp_path / "r").mkdir()
    with pytest.raises(StoreError, match="r has gone: it was moved or deleted meanwhile"):
        WRITES[what](store)
    assert list((tmp_path / "r").rglob("*")) == []
    assert (tmp_path / "r").exists() == (lost == "emptied")


def test_nothing_is_written_on_object_storage(bucket):
    """The same there."""
    store = store_at(f"{bucket}/r")
    store.root.delete()
    for what in ("run", "session", "dataset"):
        with pytest.raises(StoreError, match="r has gone"):
            WRITES[what](store)
    assert list(store.root.files()) == []


@pytest.mark.parametrize(("cluster", "workers"), [("none", None), ("local", 1)])
def test_a_sweep_ends(tmp_path, monkeypatch, cluster, workers):
    """With what it is, exit code 2, and all that had ended where it is now; put back, it goes on."""
    monkeypatch.setattr("ptychosuite.store.claims.LEASE_S", 1.0)  # its own process is at work still
    plan = plan_text(tmp_path, "axes: {seed: {range: 40}}\n", "stop.iterations=200")
    store = Store.create(tmp_path / "results/tiny")

    def moved(*_):
        if (tmp_path / "results").exists():
            os.rename(tmp_path / "results", tmp_path / "elsewhere")

    with connect(cluster, workers) as connection:
        carry_out = partial(sweep, plan, store, plan.runs, connection, ["test"])
        with pytest.raises(StoreError, match="results/tiny has gone") as caught:
            carry_out(moved)
        assert caught.value.exit_code == 2
        assert not (tmp_path / "results").exists()
        assert 0 < len(inventory(Store.open(tmp_path / "elsewhere/tiny")).done) < 40
        os.rename(tmp_path / "elsewhere", tmp_path / "results")
        carry_out(lambda *_: None)
        assert len(inventory(store).done) == 40
    assert not list(Path(tmp_path).rglob("*.tmp"))


def test_runs_without_the_marker(command, tmp_path):
    """It is said what to write, by what reads and what runs; then they are results again."""
    study = study_file(tmp_path, "axes: {seed: [0, 1]}\n")
    assert command("run", study, "--cluster", "none")[0] == 0
    marker = tmp_path / "results/tiny/store.json"
    marker.unlink()
    for words in (("show", study), ("run", study, "--cluster", "none"), ("doctor", "results/tiny")):
        code, _, err = command(*words)
        assert (code, 'write {"schema_version": 1} into' in err) == (2, True), words
    marker.write_text('{"schema_version": 1}')
    assert "2 completed" in command("show", study)[1]


def test_two_that_begin_together(address, monkeypatch):
    """Who comes second finds a folder that was not there a moment ago, and takes it."""
    find, asked = Store.find.__func__, []

    def looked_too_early(cls, root):
        asked.append(root)
        return find(cls, root) if len(asked) > 1 else None

    Store.create(address)
    monkeypatch.setattr(Store, "find", classmethod(looked_too_early))
    assert Store.create(address).marker.exists()
    assert len(asked) == 2
