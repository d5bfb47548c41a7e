"""Sweeps on one results folder share the work, and none waits for one that is no more."""

from __future__ import annotations

import json
import subprocess
import time
from types import SimpleNamespace

import pytest
from ptychosuite.cluster import dispatch
from ptychosuite.cluster import sharing as waiting
from ptychosuite.cluster.cluster_file import connect
from ptychosuite.cluster.dispatch import run_all
from ptychosuite.cluster.tally import BY_ANOTHER
from ptychosuite.cluster.whole_sweep import sweep
from ptychosuite.cluster.work import ELSEWHERE, Terms
from ptychosuite.registry.fingerprint import run_id_of
from ptychosuite.store.claims import Claim, Claims, sharing
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory, sessions

from tests.study.small import (
    PROGRAM,
    carry_out,
    forget_names,
    plan_text,
    run_files,
    study_file,
    use_test_solvers,
)

RUNS = 12
FAR = {"host": "far away", "pid": 1, "renewed": time.time()}
SLOW = "axes:\n  solver: [{name: slow, seconds: 0.03}]\n  seed: {range: 12}\n"


@pytest.fixture
def test_solvers(tmp_path, monkeypatch):
    use_test_solvers(tmp_path / "plug-ins", monkeypatch)
    yield
    forget_names()


@pytest.mark.usefixtures("test_solvers")
@pytest.mark.parametrize("options", [["--cluster", "none"], ["--workers", "1"]])
def test_two_sweeps_compute_every_run_once(tmp_path, options):
    """Both end with all runs done, and together they have computed each of them once."""
    study = study_file(tmp_path, SLOW)
    calls = [
        subprocess.Popen(
            [*PROGRAM, "run", str(study), *options, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=tmp_path,
        )
        for _ in range(2)
    ]  # fmt: skip
    said = [call.communicate(timeout=120) for call in calls]
    assert [call.returncode for call in calls] == [0, 0], said
    counts = [json.loads(out)["counts"] for out, _ in said]
    computed = [each.get("completed", 0) for each in counts]
    assert sum(computed) == RUNS, counts
    assert all(
        each.get("completed", 0) + each.get(BY_ANOTHER, 0) + each["done_before"] == RUNS for each in counts
    )
    assert min(computed) > 0, counts  # else they did not overlap
    store = Store.open(tmp_path / "results/tiny")
    assert len(run_files(store.root)) == RUNS
    assert not list(Claims(store).folder.files())
    assert len(list(sessions(store))) == 2


def test_sweeps_of_one_process_have_their_own_logs(tmp_path):
    """One that begins in another thread does not take those of the first, which then could not go on."""
    store, connection = Store.create(tmp_path / "r"), SimpleNamespace(client=None)
    first = dispatch._log_folder(store, connection, Terms(), "first")
    (first / "worker.log").write_text("{}")
    second = dispatch._log_folder(store, connection, Terms(), "second")
    assert first != second
    assert (first / "worker.log").exists()


def test_what_others_have_is_waited_for(tmp_path, monkeypatch):
    """A run that another sweep ends is its; one that it gives up is carried out here."""
    plan = plan_text(tmp_path, "axes: {seed: {range: 3}}\n")
    finished, store = carry_out(plan, tmp_path / "finished")[0], Store.create(tmp_path / "results")
    ids = [run_id_of(spec) for spec in plan.runs]
    other = Claims(store, "other")
    (other.folder / "other.sweep").create(json.dumps(FAR).encode())
    assert [other.take(run_id) for run_id in ids[:2]] == [Claim.NEW] * 2

    def meanwhile(seconds: float) -> None:
        if store.run_file(ids[0]).exists():
            (other.folder / "other.sweep").delete()
            return
        store.run_file(ids[0]).create(finished.run_file(ids[0]).read())
        other.give_back(ids[0])

    monkeypatch.setattr(waiting.time, "sleep", meanwhile)
    with sharing(store) as mine, connect("none") as connection:
        summaries = list(run_all(connection, plan.runs, store, Terms(), mine))
    assert [summary["run_id"] for summary in summaries] == [ids[2], ids[0], ids[1]]
    assert [bool(summary.get(ELSEWHERE)) for summary in summaries] == [False, True, False]


def test_who_is_waited_for_is_said(tmp_path, monkeypatch):
    """Host, process, since when and how many runs, once; in one harmless line, whatever its file has."""
    plan = plan_text(tmp_path, "axes: {seed: {range: 3}}\n")
    store = Store.create(tmp_path / "results")
    other = Claims(store, "other")
    content = FAR | {"began": "2026-11-27 14:02 UTC", "renewed": time.time()}
    (other.folder / "other.sweep").create(json.dumps(content).encode())
    for spec in plan.runs[:2]:
        other.take(run_id_of(spec))
    said: list[str] = []
    reasons: list[str] = []

    def meanwhile(seconds: float) -> None:
        reasons.append(connection.waits.reason)
        if len(reasons) == 3:
            (other.folder / "other.sweep").delete()

    monkeypatch.setattr(waiting.time, "sleep", meanwhile)
    with connect("none") as connection:
        connection.waits.say = said.append
        tally = sweep(plan, store, plan.runs, connection, ["test"], lambda *_: None)
        assert connection.waits.reason == ""
    who = "another sweep on far away (process 1, since 2026-11-27 14:02 UTC)"
    assert said == [
        f"{who} is at work in this folder: they share the runs",
        f"waiting for {who}, at 2 runs; it does them, or this one should it stop",
    ]
    assert set(reasons) == {f"waiting for {who}, at 2 runs"}
    assert dict(tally.counts) == {"completed": 3}
    for content in (b"", b"[]", b"{}", b'{"host": "\\u001b[31m\\n", "pid": 1}'):
        (other.folder / "odd.sweep").replace(content)
        assert other.told("odd").isprintable()
        assert other.told("odd").startswith("another sweep")


@pytest.mark.usefixtures("broken_solvers")
def test_a_run_that_failed_elsewhere_is_not_tried_again(tmp_path):
    """Both began with it to do; the second to come to it finds the first one's failure."""
    plan = plan_text(tmp_path, "axes: {solver: [raises, rpie]}\n")
    store = Store.create(tmp_path / "tiny")
    with connect("none") as connection:

        def other_first(tally, summary):
            if not (inventory(store).failed or tally.counts["failed"]):
                carry_out(plan, tmp_path)

        specs = sorted(plan.runs, key=lambda run: run.solver_name, reverse=True)
        tally = sweep(plan, store, specs, connection, ["test"], other_first)
    assert dict(tally.counts) == {"completed": 1, BY_ANOTHER: 1}
    assert [file.name.split(".")[1] for file in inventory(store).failed.values()] == ["failed-1"]


@pytest.mark.usefixtures("broken_solvers")
@pytest.mark.parametrize("cluster", ["none", "local"])
def test_a_sweep_stops_after_so_many_failures(tmp_path, cluster):
    """None is begun after the last failure that is allowed."""
    plan = plan_text(tmp_path, "axes: {solver: [raises], seed: {range: 30}}\n")
    store, tally = carry_out(plan, tmp_path, cluster=cluster, fail_fast=2)
    assert dict(tally.counts) == {"failed": 2}
    assert len(inventory(store).failed) == 2
    assert tally.total == 30
