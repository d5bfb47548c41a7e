"""The dataset that is derived from the run files."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
import zarr
from ptychosuite.errors import StoreError
from ptychosuite.store import compact as compaction
from ptychosuite.store.compact import compact
from ptychosuite.store.layout import Store
from ptychosuite.store.object_store import ObjectPlace
from ptychosuite.store.write import write_run

from tests.store.records import NUMBERS, record, session, store_at

MIXED = [
    record(0),
    record(1, iterations=6, metrics={"iterations_to_tol": 2.0}),
    record(2, "failed"),
    record(3, "diverged", iterations=2),
    record(4, solver={"name": "magpie", "alpha": 0.02, "levels": 2}),
]


def dataset(store: Store) -> xr.Dataset:
    """The dataset in memory, its rows in the order of their ids."""
    found = xr.open_zarr(store.dataset.zarr_store(), chunks=None).load()
    found.close()
    return found.sortby("run_id")


def row(store: Store, seed: int) -> xr.Dataset:
    found = dataset(store)
    return found.isel(run=int(np.flatnonzero(found["seed"].values == seed)[0]))


def fill(store: Store, records) -> None:
    for item in records:
        write_run(store, item)


def test_dataset_holds_all_that_the_runs_do(address):
    """One row a run: identity, factors, metrics, and curves padded with NaN."""
    store = store_at(address, {**NUMBERS, "solver.alpha": True, "solver.levels": True})
    fill(store, MIXED)
    assert compact(store) == 5
    found = dataset(store)
    assert found.sizes == {"run": 5, "iteration": 7}
    np.testing.assert_array_equal(found.coords["iteration"], range(7))
    assert set(found["run_id"].values) == {item.run_id for item in MIXED}
    for item in MIXED:
        one = row(store, item.spec.seed)
        assert one["spec_id"] == item.spec.spec_id
        assert one["status"] == str(item.status)
        assert (store.root / str(one["path"].values)).exists()
        assert one["solver"] == item.spec.solver["name"]
        np.testing.assert_equal(float(one["levels"]), item.spec.solver.get("levels", np.nan))
        for name in ("residual", "error", "iterations_to_tol"):
            np.testing.assert_equal(float(one[name]), item.metrics.get(name, np.nan))
        for name in ("residual", "error"):
            curve = item.curves.get(name, np.empty(0))
            stored = one[f"{name}_curve"].values
            np.testing.assert_array_equal(stored[: len(curve)], curve)
            assert np.isnan(stored[len(curve) :]).all()
        assert one["n_iterations"] == len(item.curves.get("residual", ()))
    assert {"run_id", "status", "path", "seed", "noise", "solver", "alpha", "levels"} <= set(found.coords)


@pytest.mark.parametrize(
    ("steps", "batch"),
    [([5], 1), ([1, 4], 2), ([2, 2, 1], 1), ([2, 2, 1], 512), ([1, 1, 1, 1, 1], 2), ([1, 1, 1, 1, 1], 512)],
)
def test_increments_equal_a_rebuild(tmp_path, monkeypatch, steps, batch):
    """Extending the dataset run by run gives what making it anew gives."""
    monkeypatch.setattr(compaction, "BATCH", batch)
    store = store_at(tmp_path / "r")
    queue = iter(MIXED)
    for count in steps:
        fill(store, [next(queue) for _ in range(count)])
        assert compact(store) == count
    grown = dataset(store)
    assert compact(store) == 0
    compact(store, rebuild=True)
    xr.testing.assert_identical(grown, dataset(store))


def test_success_takes_the_place_of_a_failure(address):
    """A later try takes the place of a failed one, in a dataset made anew; no second row appears."""
    store = store_at(address)
    fill(store, [record(0), record(1, "failed")])
    compact(store)
    fill(store, [replace(record(1, "failed"), message="again")])
    assert compact(store) == 2
    assert str(row(store, 1)["path"].values).endswith("failed-2.zarr.zip")
    fill(store, [record(1)])
    assert compact(store) == 2
    assert row(store, 1)["status"] == "completed"
    assert dataset(store).sizes["run"] == 2


@pytest.mark.parametrize("point", ["_blocks", "_write_blocks", "_widened", "_commit"])
@pytest.mark.parametrize("rebuild", [False, True])
def test_compaction_that_is_killed(tmp_path, monkeypatch, point, rebuild):
    """Readers keep the old dataset, and the next compaction completes the new one."""
    check_kill(str(tmp_path / "r"), monkeypatch, point, rebuild)


@pytest.mark.parametrize("rebuild", [False, True])
def test_compaction_on_object_storage_that_is_killed(bucket, monkeypatch, rebuild):
    """The same holds there, at the last moment before the commit."""
    check_kill(f"{bucket}/r", monkeypatch, "_commit", rebuild)


def check_kill(address, monkeypatch, point, rebuild):
    """Kill a compaction when it comes to ``point``."""
    store = store_at(address)
    fill(store, [record(0), record(1)])
    compact(store)
    before = dataset(store)
    fill(store, [*MIXED[2:], record(7, iterations=9, metrics={"new": 1.0})])

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(compaction, point, die)
        with pytest.raises(KeyboardInterrupt):
            compact(store, rebuild)
    xr.testing.assert_identical(dataset(store), before)
    compact(store)
    completed = dataset(store)
    compact(store, rebuild=True)
    xr.testing.assert_identical(completed, dataset(store))
    assert all(list((store.root / f".study.zarr.{part}").files()) == [] for part in ("new", "old"))


def test_rows_of_a_killed_compaction_do_not_shine_through(address, monkeypatch):
    """What a killed compaction wrote into a row does not stay in it when another run gets the row."""
    monkeypatch.setattr(compaction, "BATCH", 1)
    store = store_at(address)
    fill(store, [record(0)])
    compact(store)
    with_tolerance, without = record(1, metrics={"iterations_to_tol": 2.0}), record(2)
    fill(store, [with_tolerance])
    with monkeypatch.context() as patch:
        patch.setattr(compaction, "_commit", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            compact(store)
    fill(store, [without])
    found = compaction.inventory(store)
    order = sorted(found.done, key=lambda run_id: run_id == with_tolerance.run_id)
    monkeypatch.setattr(
        compaction, "inventory", lambda _: replace(found, done={name: found.done[name] for name in order})
    )
    compact(store)
    assert np.isnan(row(store, 2)["iterations_to_tol"])
    assert row(store, 1)["iterations_to_tol"] == 2


def test_retry_that_is_compacted_halfway(tmp_path, monkeypatch):
    """Until the commit, a reader sees the failed row as it was."""
    store = store_at(tmp_path / "r")
    fill(store, [record(0), record(1, "failed")])
    compact(store)
    before = dataset(store)
    fill(store, [record(1)])
    with monkeypatch.context() as patch:
        patch.setattr(compaction, "_commit", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            compact(store)
    xr.testing.assert_identical(dataset(store), before)


def test_swap_that_is_killed(tmp_path):
    """A rebuild killed between its two renames is made good by the next compaction."""
    store = store_at(tmp_path / "r")
    fill(store, [record(0)])
    compact(store)
    before = dataset(store)
    os.rename(store.dataset, store.root / ".study.zarr.old")
    compact(store)
    xr.testing.assert_identical(dataset(store), before)
    assert not os.path.exists(store.root / ".study.zarr.old")


def test_swap_on_object_storage_that_is_killed(bucket, monkeypatch):
    """There is no dataset until its last part is there; the next compaction makes it."""
    store = store_at(f"{bucket}/r")
    fill(store, [record(0)])
    compact(store)
    before = dataset(store)
    copy = ObjectPlace._copy_to

    def die_at_the_end(self, target):
        if target == store.dataset / "zarr.json":
            raise KeyboardInterrupt
        copy(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectPlace, "_copy_to", die_at_the_end)
        with pytest.raises(KeyboardInterrupt):
            compact(store, rebuild=True)
    assert not (store.dataset / "zarr.json").exists()
    compact(store)
    xr.testing.assert_identical(dataset(store), before)


def test_new_factor_makes_the_dataset_anew(tmp_path):
    """When a later session varies something else, all rows get its column."""
    store = store_at(tmp_path / "r", {"seed": True}, **{"problem.noise": 0.1})
    fill(store, [record(0)])
    compact(store)
    assert "noise" not in dataset(store)
    session(store, "2031", {"problem.noise": True})
    fill(store, [record(1, noise=0.2)])
    compact(store)
    assert sorted(dataset(store)["noise"].values) == [0.1, 0.2]


def test_constants_that_differ_between_sessions_are_a_factor(tmp_path):
    """Two studies of one name that differ in a constant are told apart."""
    store = store_at(tmp_path / "r", {"seed": True}, **{"problem.noise": 0.1})
    session(store, "2031", {"seed": True}, **{"problem.noise": 0.2})
    fill(store, [record(0), record(0, noise=0.2)])
    compact(store)
    assert sorted(dataset(store)["noise"].values) == [0.1, 0.2]


@pytest.mark.parametrize(
    ("factor", "value"),
    [
        ("problem.object.path", "/data/a.npy"),
        ("stop.residual", 0.75),
        ("stop.seconds", 7.5),
        ("stop.error", 3.0),
    ],
)
def test_factors_do_not_overwrite_other_columns(tmp_path, factor, value):
    """A factor whose short name is that of a metric or of a column of every dataset gets its own column."""
    store = store_at(tmp_path / "r", {"seed": True, factor: not isinstance(value, str)})
    plain = record(0, metrics={"seconds": 1.5})
    part, *keys = factor.split(".")
    content = plain.spec.to_dict()
    inner = content[part]
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    item = replace(plain, spec=type(plain.spec).from_dict(content))
    write_run(store, item)
    compact(store)
    found = dataset(store)
    assert (store.root / str(found["path"].values[0])).exists()
    for name, metric in item.metrics.items():
        assert found[name].values[0] == metric
    column = json.loads(found.attrs["columns"])[factor][0]
    assert found[column].values[0] == value


def test_other_dataset_version_is_made_anew(tmp_path):
    """A dataset of another schema version, or one that is damaged, is derived again from the runs."""
    store = store_at(tmp_path / "r")
    fill(store, [record(0)])
    compact(store)
    before = dataset(store)
    zarr.open_group(str(store.dataset), mode="r+", use_consolidated=False).attrs["schema_version"] = 0
    compaction._commit(store.dataset.zarr_store())
    compact(store)
    xr.testing.assert_identical(dataset(store), before)
    (store.dataset / "zarr.json").replace(b"{")
    compact(store)
    xr.testing.assert_identical(dataset(store), before)
    store.dataset.delete()
    compact(store)
    xr.testing.assert_identical(dataset(store), before)


def test_runs_that_were_deleted_are_left_out(tmp_path):
    """When run files are gone, their rows go."""
    store = store_at(tmp_path / "r")
    paths = [write_run(store, record(seed)) for seed in range(3)]
    compact(store)
    paths[1].delete()
    compact(store)
    assert sorted(dataset(store)["seed"].values) == [0, 2]


def test_damaged_run_files_cost_themselves_alone(address):
    """They have no row, whatever comes before and after them; made good, they get theirs."""
    store = store_at(address)
    fill(store, [record(0)])
    compact(store)
    path = write_run(store, record(1))
    content = path.read()
    path.replace(content[:50])
    assert compact(store) == 0
    fill(store, [record(2), record(3)])
    assert compact(store) == 2
    assert sorted(dataset(store)["seed"].values.tolist()) == [0, 2, 3]
    path.replace(content)
    assert compact(store) == 1
    assert compact(store, rebuild=True) == 4
    path.replace(content[:50])
    assert compact(store, rebuild=True) == 3
    assert dataset(store).sizes["run"] == 3


def test_full_disk(tmp_path, monkeypatch):
    """A disk that refuses is named, and the same command completes later."""
    store = store_at(tmp_path / "r")
    fill(store, [record(0)])

    def refuse(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(compaction, "_commit", refuse)
        with pytest.raises(StoreError, match=r"study\.zarr: No space left"):
            compact(store)
    assert not os.path.exists(store.root / ".study.zarr.new")
    assert compact(store) == 1


def test_empty_store(address):
    """A store without runs has an empty dataset that can be opened."""
    store = store_at(address)
    assert compact(store) == 0
    assert xr.open_zarr(store.dataset.zarr_store(), chunks=None).sizes.get("run", 0) == 0
    fill(store, [record(2, "failed")])
    compact(store)
    assert dataset(store)["status"].values.tolist() == ["failed"]


def test_compactors_wait_for_each_other(address):
    """Several at once leave one complete dataset."""
    store = store_at(address)
    fill(store, [record(seed) for seed in range(6)])
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(compact(store))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [0, 0, 6]
    assert dataset(store).sizes["run"] == 6


READER = """
import json, sys, warnings
warnings.simplefilter("error")
warnings.filterwarnings("ignore", category=FutureWarning)
import xarray as xr
table = xr.open_zarr(sys.argv[1])
one = table.set_index(run=["solver", "noise", "seed"]).sel(solver="magpie", noise=0.1, seed=4)
assert "ptychosuite" not in sys.modules
print(json.dumps([float(one["residual"].squeeze()), int(table.sizes["run"])]))
"""


def test_readers_need_nothing_of_ours(tmp_path):
    """xarray alone opens the dataset and selects runs by their factors."""
    store = store_at(tmp_path / "r")
    fill(store, MIXED)
    compact(store)
    command = [sys.executable, "-c", READER, str(store.dataset)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [MIXED[4].metrics["residual"], 5]
