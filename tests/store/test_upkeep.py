"""Results folders put in order: what they need not keep is told and set aside; others are brought in."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import ptychosuite
import pytest
import xarray as xr
from ptychosuite.store.claims import sharing
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory, read_run
from ptychosuite.store.write import write_run

from tests.store.test_reading_writes_nothing import content_of, forbid_writing
from tests.study.small import AXES, run_files, study_file


def ids_of(folder) -> list[str]:
    return sorted(xr.open_zarr(Path(folder) / "study.zarr")["run_id"].values.tolist())


@pytest.fixture
def untidy(command, tmp_path, monkeypatch):
    """A study of four runs, whose folder has two foreign ones, a failed try, and damaged files."""
    study = study_file(tmp_path, AXES)
    assert command("run", study, "--cluster", "none", "--set", "seed=[0, 7]")[0] == 0
    import ptychosuite.execute.one_run as execution

    real = execution.reconstruct
    monkeypatch.setattr(execution, "reconstruct", lambda *args: 1 / 0)
    assert command("run", study, "--cluster", "none", "--first", "2")[0] == 1
    monkeypatch.setattr(execution, "reconstruct", real)
    folder = tmp_path / "results/tiny"
    (folder / "runs/ab").mkdir(exist_ok=True)
    (folder / "runs/ab/notes.txt").write_text("mine")
    (folder / "sessions/0000.json").write_text("")
    return study, folder


def test_clean_tells_and_touches_nothing(command, untidy, monkeypatch):
    """By default; the command that does it is printed, options and all."""
    study, folder = untidy
    before = content_of(folder)
    forbid_writing(monkeypatch)
    code, out, _ = command("clean", study, "--results", "results")
    assert code == 0
    for line in ("1 failed: tries", "2 foreign: runs that", "2 damaged: files"):
        assert f"\n{line}" in f"\n{out}"
    assert f"do it with: ptychosuite clean {study} --results results --yes" in out
    assert content_of(folder) == before


def test_clean_sets_aside(command, untidy):
    """With --yes; nothing is lost, the dataset follows, and what had failed is to do."""
    study, folder = untidy
    before = {key.rpartition("/")[2]: content for key, (_, content) in content_of(folder / "runs").items()}
    code, out, _ = command("clean", study, "--yes")
    assert code == 0
    (removed,) = (folder / "removed").iterdir()
    assert f"moved to results/tiny/removed/{removed.name}" in out
    kept = set(inventory(Store.open(folder)).done)
    assert len(kept) == 2
    assert ids_of(folder) == sorted(kept)
    moved = {file.name: file.read_bytes() for file in removed.rglob("*") if file.is_file()}
    assert moved.pop("0000.json") == b""
    assert set(moved).isdisjoint(run_files(folder))
    assert (
        moved | {name: (folder / f"runs/{name[:2]}/{name}").read_bytes() for name in run_files(folder)}
        == before
    )
    assert "nothing to clean" in command("clean", study)[1]
    assert "2 done, 2 to do" in command("run", study, "--cluster", "none")[1]


@pytest.mark.parametrize("delete", [False, True])
def test_what_has_become_good_stays(tmp_path, monkeypatch, delete):
    """A run that was damaged when the folder was looked at, and has been done again since."""
    monkeypatch.chdir(tmp_path)
    study = study_file(tmp_path, AXES)
    ptychosuite.run(study, cluster="none", progress=False)
    folder = tmp_path / "results/tiny"
    first, *_ = sorted(folder.glob("runs/??/*.zip"))
    first.write_bytes(first.read_bytes()[:100])
    (folder / "notes.txt").write_text("mine")
    cleaning = ptychosuite.clean(study)
    assert len(cleaning.found["damaged"]) == 2
    ptychosuite.run(study, cluster="none", progress=False)
    cleaning.carry_out(delete)
    assert ptychosuite.plan(study).standing.done == 4
    assert ids_of(folder) == sorted(inventory(Store.open(folder)).done)
    assert not (folder / "notes.txt").exists()


def test_clean_only_what_is_asked_for(command, untidy):
    """One kind of it, deleted; from the folder alone, in JSON."""
    _, folder = untidy
    (folder / "sessions/0000.json").unlink()
    asked = ("clean", folder, "--only", "failed", "--yes", "--delete", "--json")
    said = json.loads(command(*asked)[1])
    assert [len(files) for files in said["found"].values()] == [1]
    assert said["done"]
    assert said["moved_to"] is None
    assert not (folder / "removed").exists()
    assert not list(folder.glob("runs/??/*failed*"))
    code, _, err = command("clean", folder, "--only", "faild")
    assert code == 2
    assert "did you mean 'failed'?" in err
    assert command("clean", folder, "--delete")[0] == 2


def test_results_of_other_code_stay_where_nothing_has_replaced_them(command, tmp_path, monkeypatch):
    """Before the present code has done the runs they are all there is; afterwards they are superseded."""
    study = study_file(tmp_path, AXES)
    command("run", study, "--cluster", "none")
    folder = tmp_path / "results/tiny"
    old = set(run_files(folder))
    monkeypatch.setattr(
        "ptychosuite.core.runs.RunSpec.run_id", lambda self, code: f"{self.seed}{self.spec_id[:15]}"
    )
    assert "nothing to clean" in command("clean", study)[1]
    command("run", study, "--cluster", "none")
    assert len(run_files(folder)) == 8
    code, out, _ = command("clean", study, "--yes")
    assert code == 0
    assert "4 superseded" in out
    assert set(run_files(folder)).isdisjoint(old)
    assert len(ids_of(folder)) == 4


def test_nothing_is_cleaned_under_a_sweep(command, untidy):
    study, folder = untidy
    before = run_files(folder)
    with sharing(Store.open(folder)):
        code, _, err = command("clean", study, "--yes")
    assert code == 2
    assert "a sweep is at work" in err
    assert run_files(folder) == before


def test_merge(command, tmp_path):
    """Two halves make the whole; a second time there is nothing to bring, and what is there stays."""
    study = study_file(tmp_path, AXES)
    for share in ("1/2", "2/2"):
        assert command("run", study, "--cluster", "none", "--shard", share, "--results", share[0])[0] == 0
    assert command("run", study, "--cluster", "none", "--first", "1", "--results", "1")[0] == 0
    before, second = run_files("1/tiny"), content_of(tmp_path / "2")
    code, out, _ = command("merge", "1/tiny", "2/tiny")
    assert code == 0
    assert "1 session" in out
    assert content_of(tmp_path / "2") == second
    assert before.items() <= run_files("1/tiny").items()
    assert len(ids_of(tmp_path / "1/tiny")) == 4
    assert "4 done, 0 to do" in command("plan", study, "--results", "1")[1]
    again = json.loads(command("merge", "1/tiny", "2/tiny", "--json")[1])["from"]["2/tiny"]
    assert (again["runs"], again["failed"], again["sessions"]) == (0, 0, 0)
    assert command("merge", "3/tiny", "1/tiny", "2/tiny")[0] == 0
    assert len(ids_of(tmp_path / "3/tiny")) == 4


def test_merge_keeps_every_failed_try(command, untidy, tmp_path):
    """Of two folders with a failed try of one run both are kept, and the same one once."""
    _, folder = untidy
    shutil.copytree(folder, tmp_path / "other")
    (folder / "sessions/0000.json").unlink()
    (failed,) = (tmp_path / "other").glob("runs/??/*failed-1*")
    code, _, err = command("merge", folder, "other")
    assert code == 1
    assert "notes.txt" in err
    assert "0000.json" in err
    assert len(list(folder.glob("runs/??/*failed*"))) == 1
    record = read_run(Store.open(tmp_path / "other").failed_file(failed.name[:16], 1))
    failed.unlink()
    write_run(Store.open(tmp_path / "other"), replace(record, message="another reason"))
    assert command("merge", folder, "other")[0] == 1
    assert {file.name.split(".")[1] for file in folder.glob("runs/??/*failed*")} == {"failed-1", "failed-2"}


def test_what_cannot_be_merged(command, tmp_path):
    """A folder with itself, with one that has none, with those of another study."""
    study = study_file(tmp_path)
    other = study_file(tmp_path, head=study.read_text().replace("tiny", "other"), name="other.yaml")
    for each in (study, other):
        command("run", each, "--cluster", "none")
    for sources, message in (
        (["results/tiny", "results/tiny"], "merged with itself"),
        (["results/tiny", "nowhere"], "no results in nowhere"),
        (["results/tiny", "results/other"], "only results of one study"),
    ):
        code, _, err = command("merge", *sources)
        assert code == 2
        assert message in err
