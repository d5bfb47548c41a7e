"""Folders of others: a sweep leaves what has the rights that its folder means; refusals are a sentence."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory

from tests.store.test_reading_writes_nothing import content_of
from tests.study.small import AXES, carry_out, plan_of, run_files, study_file

FIRST, SECOND, STRANGER, GROUP = 61001, 61002, 61003, 61000
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may act for other users")


@contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def acting_as(user, group):
    """Do as ``user`` of ``group`` does, who has a umask of 022."""
    groups = os.getgroups()
    os.setgroups([group])
    os.setegid(group)
    os.seteuid(user)
    try:
        with umask(0o022):
            yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


@pytest.fixture
def everywhere(monkeypatch):
    """A folder that all users may enter, as the working directory."""
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="ptychosuite-rights-"))
    folder.chmod(0o755)
    monkeypatch.chdir(folder)
    yield folder
    shutil.rmtree(folder)


def rights_below(folder):
    """Of folders, and of files: whose differ."""
    modes = {True: set(), False: set()}
    for where, below, files in os.walk(folder):
        for name in (*below, *files):
            path = Path(where, name)
            modes[path.is_dir()].add(stat.S_IMODE(path.stat().st_mode))
    return modes[True], modes[False]


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o002, 0o077])
def test_rights_follow_the_umask(tmp_path, mask):
    """Of runs, truths, sessions, code, dataset and locks alike."""
    with umask(mask):
        carry_out(plan_of(study_file(tmp_path, AXES)), tmp_path / "results")
    assert rights_below(tmp_path / "results/tiny") == ({0o777 & ~mask}, {0o666 & ~mask})


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_shared_folder_stays_shared(tmp_path, mask):
    """One that its group may write, and that hands its group on, is meant to be: whatever the umask."""
    results = tmp_path / "results"
    results.mkdir()
    results.chmod(0o2775)
    with umask(mask):
        carry_out(plan_of(study_file(tmp_path, AXES)), results)
    folders, files = rights_below(results / "tiny")
    assert {mode & 0o2070 for mode in folders} == {0o2070}
    assert {mode & 0o070 for mode in files} == {0o060}
    assert all(not mode & 0o007 for mode in files) == (mask == 0o077)


@needs_root
def test_two_users_share_a_folder(command, everywhere):
    """Each does a part, cleans, and makes the dataset; a third may do nothing."""
    study = study_file(everywhere, AXES)
    warm_up = ("--cluster", "none", "--results", "warm-up")  # what is imported lazily may be root's alone
    assert command("run", study, *warm_up)[0] == command("clean", study, "--results", "warm-up")[0] == 0
    (everywhere / "results").mkdir()
    os.chown(everywhere / "results", FIRST, GROUP)
    (everywhere / "results").chmod(0o2775)
    os.chdir(everywhere)
    with acting_as(FIRST, GROUP):
        assert (
            command("run", study, "--cluster", "none", "--results", everywhere / "results", "--first", 2)[0]
            == 0
        )
    with acting_as(SECOND, GROUP):
        code, out, err = command("run", study, "--cluster", "none", "--results", everywhere / "results")
        assert code == 0, err
        assert "2 done, 2 to do" in out
    folder = everywhere / "results/tiny"
    owners = {(folder / f"runs/{name[:2]}/{name}").stat().st_uid for name in run_files(folder)}
    assert owners == {FIRST, SECOND}
    next(folder.glob("runs/??/*.zip")).write_bytes(b"")
    with acting_as(FIRST, GROUP):
        assert command("clean", study, "--results", everywhere / "results", "--yes")[0] == 0
        assert command("run", study, "--cluster", "none", "--results", everywhere / "results")[0] == 0
    assert len(inventory(Store.open(folder)).done) == 4
    assert {path.stat().st_gid for path in folder.rglob("*")} == {GROUP}


@pytest.fixture
def of_another(everywhere, command):
    """The results of a study with two of four runs, which belong to another user."""
    study = study_file(everywhere, AXES + "figures: [{kind: setup}]\n")
    os.chdir(everywhere)
    assert (
        command("run", study, "--cluster", "none", "--results", everywhere / "results", "--first", 2)[0] == 0
    )
    for path in (everywhere / "results").rglob("*"):
        os.chown(path, FIRST, GROUP)
    (everywhere / "mine").mkdir()
    os.chown(everywhere / "mine", STRANGER, STRANGER)
    return study, everywhere / "results", everywhere / "mine"


@needs_root
def test_without_the_right_to_write(command, of_another, quick_figures, monkeypatch):
    """What reads works, and writes elsewhere; what writes refuses in one sentence, before a run begins."""
    study, results, mine = of_another
    monkeypatch.setattr("ptychosuite.execute.one_run.reconstruct", None)  # no run is to begin
    at = ("--results", results)
    reading = [
        ("plan", study, *at), ("show", study, *at), ("show", results / "tiny"),
        ("report", study, *at, "--out", mine / "reports"), ("figures", study, *at, "--out", mine / "figures"),
        ("export", study, *at, "--to", "csv", "--partial", "--out", mine / "tiny.csv"),
        ("clean", study, *at), ("doctor", study, *at), ("run", study, *at, "--first", 2, "--cluster", "none"),
    ]  # fmt: skip
    writing = [
        ("run", study, *at, "--cluster", "none"),
        ("report", study, *at, "--out", results), ("merge", results / "tiny", results / "tiny/."),
        ("export", study, *at, "--to", "csv", "--partial", "--out", results / "tiny.csv"),
        ("clean", study, *at, "--set", "seed=[5]", "--yes"),
        ("run", study, "--results", "/root/results", "--cluster", "none"),
    ]  # fmt: skip
    for call in reading:  # what is imported lazily may be root's alone
        assert command(*(str(each).replace("/mine/", "/roots/") for each in call))[0] == 0
    before = content_of(results)
    with acting_as(STRANGER, STRANGER):
        for call in reading:
            code, _, err = command(*call)
            assert code == 0, (call, err)
        for call in writing:
            code, _, err = command(*call)
            assert code == 2, (call, err)
            assert err.splitlines()[-1].startswith("ptychosuite: "), err
    assert content_of(results) == before
    assert (mine / "reports/tiny/index.html").exists()


@needs_root
def test_files_that_may_not_be_read(command, of_another):
    """Each costs itself; it is named; and a sweep leaves it to its owner."""
    study, results, _ = of_another
    for call in ("plan", "show", "doctor"):  # what is imported lazily may be root's alone
        assert command(call, study, "--results", results)[0] == 0
    (run, _), (session,) = results.glob("tiny/runs/??/*.zip"), results.glob("tiny/sessions/*.json")
    run.chmod(0o600)
    session.chmod(0o600)
    for path in (results, *results.rglob("*")):
        if path.is_dir():
            path.chmod(0o777)
    at = ("--results", results)
    with acting_as(STRANGER, STRANGER):
        code, out, _ = command("show", study, *at)
        assert (code, "1 completed" in out, run.name in out, session.name in out) == (0, True, True, True)
        code, out, _ = command("doctor", study, *at)
        assert (code, f"cannot read {run}: Permission denied" in out) == (1, True)
        assert command("show", study, run.name[:16], *at)[0] == 2
        code, _, err = command("run", study, *at, "--cluster", "none")
        assert (code, f"cannot read {run}: Permission denied" in err) == (2, True)
    run.parent.chmod(0o700)
    with acting_as(STRANGER, STRANGER):
        for call in (["plan"], ["show"], ["run", "--cluster", "none"]):
            code, _, err = command(*call, study, *at)
            assert (code, f"cannot read {results}/tiny/runs: Permission denied" in err) == (2, True)
    assert run.exists()
