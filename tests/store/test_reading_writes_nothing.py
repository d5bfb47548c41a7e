"""Another person's results, a read-only folder: all that reads works, and nothing is written."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from ptychosuite.analysis.tables import open_dataset
from ptychosuite.analysis.verdict import Verdict, keep_verdict
from ptychosuite.errors import StoreError
from ptychosuite.store.compact import compact, readable
from ptychosuite.store.layout import Store
from ptychosuite.store.place import LocalPlace
from ptychosuite.store.write import write_run
from zarr.storage import LocalStore, MemoryStore

from tests.store.records import NUMBERS, record, session, store_at
from tests.study.small import PROGRAM, carry_out, plan_of, study_file

WRITING = ("create", "replace", "delete", "move_to", "lock", "remove_leftovers", "set_aside", "share")


def refuse(*_, **__):
    raise AssertionError("something is written")


def in_reports_alone(write):
    return lambda place, *given: (write if "/reports/" in str(place) else refuse)(place, *given)


def forbid_writing(monkeypatch):
    """No place can be written, by us or by Zarr, but where reports are."""
    for name in WRITING:
        monkeypatch.setattr(LocalPlace, name, in_reports_alone(getattr(LocalPlace, name)))
    monkeypatch.setattr(LocalStore, "set", refuse)
    monkeypatch.setattr(LocalStore, "delete", refuse)


def content_of(folder) -> dict[str, tuple[int, bytes]]:
    return {
        str(file): (file.stat().st_mtime_ns, file.read_bytes())
        for file in Path(folder).rglob("*")
        if file.is_file()
    }


def filled(path, seeds=4, **fields):
    store = store_at(path, {**NUMBERS, "solver.name": False})
    for seed in range(seeds):
        write_run(store, record(seed, **fields))
    return store


def up_to_date(store):
    compact(store)


def never_compacted(store):
    pass


def behind(store):
    compact(store)
    for seed in range(10, 13):
        write_run(store, record(seed, iterations=5 + seed, metrics={"new": 1.0}))


def other_columns(store):
    compact(store)
    session(store, "2031-01-01", {"stop.iterations": True})


def success_after_failure(store):
    write_run(store, record(20, "failed"))
    compact(store)
    write_run(store, record(20))


def cut_off(store):
    compact(store)
    Path(f"{store.dataset}/zarr.json").write_text("{")


STATES = [up_to_date, never_compacted, behind, other_columns, success_after_failure, cut_off]


@pytest.mark.parametrize("state", STATES)
def test_dataset_is_that_of_the_compactor(tmp_path, monkeypatch, state):
    """Whatever state study.zarr is in, what is read is what a compaction would leave, and nothing changes."""
    store = filled(tmp_path / "r")
    state(store)
    before = content_of(tmp_path)
    forbid_writing(monkeypatch)
    found = open_dataset(store).load()
    assert content_of(tmp_path) == before
    assert isinstance(readable(store), LocalStore if state is up_to_date else MemoryStore)
    monkeypatch.undo()
    compact(store)
    expected = xr.open_zarr(str(store.dataset), chunks=None).load()
    assert dict(found.sizes) == dict(expected.sizes)
    order = {run_id: row for row, run_id in enumerate(found["run_id"].values.tolist())}
    rows = [order[run_id] for run_id in expected["run_id"].values.tolist()]
    for name, values in expected.variables.items():
        of_rows = found[name].values[rows] if "run" in values.dims else found[name].values
        np.testing.assert_array_equal(of_rows, values.values, err_msg=str(name))


def test_a_compactor_at_work_meanwhile(tmp_path, monkeypatch):
    """A dataset that is replaced while it is copied is not taken by halves."""
    store = filled(tmp_path / "r")
    behind(store)
    read = LocalPlace.read

    def replaced(place):
        if place.path.endswith("study.zarr/error/zarr.json"):
            shutil.rmtree(str(store.dataset / "error"))
            raise FileNotFoundError(place.path)
        return read(place)

    monkeypatch.setattr(LocalPlace, "read", replaced)
    found = open_dataset(store).load()
    assert sorted(found["seed"].values.tolist()) == [0, 1, 2, 3, 10, 11, 12]
    assert np.isfinite(found["error"].values).all()


def test_what_may_not_be_read_is_named(tmp_path, monkeypatch):
    """Rights that are missing give one line, for every file."""
    store = filled(tmp_path / "r")
    compact(store)

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("ptychosuite.store.place.Path.read_bytes", denied)
        with pytest.raises(StoreError, match=r"cannot read .*store\.json: Permission denied"):
            Store.find(store.root.address)
    with monkeypatch.context() as patch:
        patch.setattr("ptychosuite.store.place.os.scandir", denied)
        with pytest.raises(StoreError, match=r"cannot read .*: Permission denied"):
            open_dataset(store)


def test_a_verdict_that_cannot_be_kept(tmp_path, monkeypatch):
    """It is a StoreError, which says what could not be written; the verdict is the caller's all the same."""
    store = filled(tmp_path / "r")

    def read_only_disk(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("ptychosuite.store.place._write", read_only_disk)
    verdict = Verdict(study="tiny", when="2030-01-01T00:00:00+0000", against={}, environment={}, findings=())
    with pytest.raises(StoreError, match=r"cannot write .*checks/.*: Read-only file system"):
        keep_verdict(store, verdict)


FIGURES = "axes: {seed: [0, 1]}\nfigures: [{kind: images}, {kind: convergence}]\n"


@pytest.fixture
def study(tmp_path):
    """A study that was carried out and whose dataset is behind, as after a kill."""
    path = study_file(tmp_path, FIGURES)
    plan = plan_of(path)
    store, _ = carry_out(plan, tmp_path / "results")
    shutil.rmtree(str(store.dataset))
    return path


@pytest.mark.parametrize("by", ["study", "folder"])
def test_commands_that_read(study, command, tmp_path, monkeypatch, by):
    """report, show, export and plan work where no file of the results can be written."""
    source = study if by == "study" else tmp_path / "results/tiny"
    calls = [
        ("report", source, "--out", tmp_path / "reports"),
        ("show", source, "--json"),
        ("export", source, "--to", "csv", "--out", tmp_path / "tiny.csv"),
        ("export", source, "--to", "netcdf", "--out", tmp_path / "tiny.nc"),
        ("plan", study),
    ]
    forbid_writing(monkeypatch)
    before = content_of(tmp_path / "results")
    for call in calls:
        code, out, err = command(*call)
        assert code == 0, (call, err)
        if call[0] == "show":
            assert sorted(run["seed"] for run in json.loads(out)) == [0, 1]  # in the order of their ids
    assert content_of(tmp_path / "results") == before
    assert (tmp_path / "reports/tiny/figures/images.pdf").is_file()


def test_on_a_read_only_mount(study, command, tmp_path):
    """The same, and check, on a file system mounted read-only, where this machine lets us mount one."""
    results = tmp_path / "results"
    assert command("baseline", "save", "good", study, "--baselines", tmp_path)[0] == 0
    script = (
        f"mount --bind {results} {results} && mount -o remount,bind,ro {results} || exit 77\n"
        f"touch {results}/x 2>/dev/null && exit 77\n"
        f"cd {tmp_path}\n"
        'for call in "report tiny.yaml" "show results/tiny" "export tiny.yaml --to csv"; do\n'
        f"{' '.join(PROGRAM)} $call || exit 1\n"
        "done\n"
        f"{' '.join(PROGRAM)} check tiny.yaml --baseline good --baselines {tmp_path} || exit 1\n"
    )
    try:
        done = subprocess.run(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", script], capture_output=True, text=True
        )
    except FileNotFoundError:
        pytest.skip("no unshare on this machine")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"this machine lets us mount nothing: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert "verdict not kept" in done.stderr
    assert (tmp_path / "reports/tiny/index.html").is_file()
    assert sys.executable == PROGRAM[0]
