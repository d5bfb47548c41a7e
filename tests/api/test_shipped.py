"""Studies that come with ptychosuite: listed, counted, taken by name; and the first one of one's own."""

from __future__ import annotations

import json

import ptychosuite
import pytest
from ptychosuite.api.planning import read_study
from ptychosuite.errors import StudyError
from ptychosuite.study.expand import make_plan
from ptychosuite.study.needs import Needs
from ptychosuite.study.shipped import shipped_files
from ptychosuite.study.study_file import load_study

from tests.conftest import REPOSITORY
from tests.study.small import AXES, study_file

NEEDING_NOTHING = [
    "quickstart", "blind", "nightly", "peers/modes", "paper/levels", "paper/overlap", "paper/circuit",
    "experiment/positions",
]  # fmt: skip


@pytest.fixture(scope="module")
def listed():
    return ptychosuite.studies()


def test_all_files_of_the_folder_are_there(listed):
    names = {*listed, *listed.overrides}
    folder = REPOSITORY / "studies"
    assert names == {file.relative_to(folder).as_posix()[:-5] for file in folder.rglob("*.yaml")}
    assert not {*listed} & {*listed.overrides}
    assert {each.name: each.file for each in listed.values()}.items() <= shipped_files().items()


def test_overrides_are_what_no_study_is(listed):
    assert "paper/authors-images" in listed.overrides
    for name in listed.overrides:
        with pytest.raises(StudyError):
            load_study(shipped_files()[name])


@pytest.mark.parametrize("name", NEEDING_NOTHING)
def test_runs_are_those_that_are_planned(listed, name):
    assert listed[name].needs.runs == len(make_plan(load_study(listed[name].file)).runs)


def test_needs_are_those_of_the_runs(tmp_path):
    """Files below a variable, packages of a solver alone or as a stage, backends of axes."""
    file = study_file(tmp_path, """axes:
  problem.probe: [{kind: gaussian, size: 16, fwhm_px: 6}, {kind: file, path: "${HERE}/probe.npy"}]
  solver: [rpie, {name: ptychi}, [{name: rpie, iterations: 2}, {name: cdtools}]]
  backend: [numpy, torch]
exclude: [{solver: rpie, backend: torch}]
""")  # fmt: skip
    needs = Needs.of(load_study(file))
    assert needs.runs == 12 - 2
    assert needs.files == ("${HERE}/probe.npy",)
    assert needs.packages == ("cdtools-py", "ptychi")
    assert needs.backends == ("numpy", "torch")


def test_what_lacks_is_told(tmp_path, monkeypatch):
    needs = Needs(1, ("${HERE}/probe.npy",), ("ptychi",), ("numpy",))
    monkeypatch.setattr("ptychosuite.study.needs.version_there", lambda python, package: "")
    monkeypatch.delenv("HERE", raising=False)
    unset = "the environment variable HERE is not set"
    assert needs.lacking == (unset, "the package ptychi is not installed")
    monkeypatch.setenv("HERE", str(tmp_path))
    monkeypatch.setattr("ptychosuite.study.needs.version_there", lambda python, package: "2.2")
    assert needs.lacking == (f"there is no file {tmp_path / 'probe.npy'}",)
    (tmp_path / "probe.npy").touch()
    assert needs.lacking == ()


def test_measured_studies_need_data(listed, monkeypatch):
    monkeypatch.delenv("PTYCHOSUITE_DATA", raising=False)
    assert listed["measured/siemens-star"].needs.files == ("${PTYCHOSUITE_DATA}/siemens-star-small.npz.bz2",)
    assert listed["measured/siemens-star"].lacking
    assert listed["quickstart"].lacking == ()


def test_table_and_json_say_the_same(listed, command):
    code, out, _ = command("studies")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line}
    told = json.loads(command("studies", "--json")[1])
    for name, study in told["studies"].items():
        assert f" {study['runs']} " in lines[name]
        assert lines[name].endswith(study["title"])
        assert (" no " in lines[name]) is bool(study["lacking"])
    assert told["overrides"] == [*listed.overrides]


def test_one_is_printed_as_it_is(command):
    code, out, _ = command("studies", "paper/levels")
    assert code == 0
    assert out == (REPOSITORY / "studies/paper/levels.yaml").read_text(encoding="utf-8")
    code, _, err = command("studies", "paper/level")
    assert code == 2
    assert "did you mean 'paper/levels'?" in err


SMALL = [
    "problem.object={kind: texture, size: 64}", "problem.probe={kind: gaussian, size: 32, fwhm_px: 12}",
    "stop.iterations=2", "seed=0", "solver=[rpie, lbfgs]",
]  # fmt: skip
FEW = [word for setting in SMALL for word in ("--set", setting)]


def test_name_serves_every_command(command, tmp_path):
    """From an empty folder: planned, run, shown, drawn; results and report land here."""
    code, out, err = command("run", "quickstart", "--cluster", "none", *FEW)
    assert code == 0, err
    assert (tmp_path / "results/quickstart/study.zarr").is_dir()
    code, out, _ = command("plan", "quickstart", *FEW)
    assert code == 0
    assert "4 done, 0 to do" in out
    assert command("export", "quickstart", "--to", "csv", *FEW)[0] == 0
    assert command("baseline", "save", "mine", "quickstart", *FEW)[0] == 0
    code, out, err = command("check", "quickstart", "--baseline", "mine", *FEW)
    assert code == 0, (out, err)
    assert command("clean", "quickstart", *FEW)[0] == 0
    code, out, err = command("report", "quickstart", *FEW)
    assert code == 0, err
    assert (tmp_path / "reports/quickstart/index.html").is_file()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["quickstart.csv", "reports", "results"]


def test_commands_that_are_told_name_it_as_it_was_named(command):
    _, _, err = command("report", "paper/levels")
    assert "ptychosuite run paper/levels" in err


def test_names_of_overrides(command):
    assert command("plan", "paper/blind-overlap", "--override", "paper/blind-short")[0] == 0


def test_relative_files_of_a_shipped_study(monkeypatch, tmp_path):
    """Its checkpoints lie beside it, wherever the call is made."""
    monkeypatch.chdir(tmp_path)
    planned = ptychosuite.plan("fast-forward/second", sample=3)
    checkpoints = {run.fast_forward["checkpoint"] for run in planned.plan.runs if run.fast_forward}
    assert checkpoints <= {str(REPOSITORY / "studies/fast-forward/first.safetensors")}
    assert read_study("fast-forward/second").base == REPOSITORY / "studies/fast-forward"


def test_what_lies_here_goes_before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study_file(tmp_path, AXES, name="quickstart")
    assert read_study("quickstart").name == "tiny"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("quickstrat", "did you mean 'quickstart'? 'ptychosuite studies' lists them"),
        ("nothing-like-it", "ptychosuite; 'ptychosuite studies' lists them"),
        ("studies/paper/levels.yaml", "is called 'paper/levels'"),
        ("levels.yaml", "cannot read the study file levels.yaml"),
    ],
)
def test_what_is_not_there_is_told(command, name, told):
    code, _, err = command("plan", name)
    assert code == 2
    assert told in err


# A first study


def test_new_study_is_planned_and_run(command, tmp_path):
    assert command("new", "mine.yaml")[0] == 0
    code, out, err = command("plan", "mine.yaml")
    assert code == 0, err
    assert "4 runs, 0 done, 4 to do" in out
    code, _, err = command("run", "mine.yaml", "--cluster", "none")
    assert code == 0, err
    assert (tmp_path / "results/mine/study.zarr").is_dir()
    errors = ptychosuite.open("mine.yaml").table.set_index(["overlap", "solver"])["error"]
    assert (errors[0.75] < 0.7 * errors[0.5]).all()
    assert command("report", "mine.yaml")[0] == 0


def test_new_study_names_itself(command, tmp_path):
    """Its comments name commands that exist, of this file."""
    command("new", "over lap.yaml")
    assert not (tmp_path / "over lap.yaml").exists()
    command("new", "overlap.yaml")
    text = (tmp_path / "overlap.yaml").read_text(encoding="utf-8")
    assert "NAME" not in text
    for name in ("plan", "run", "report"):
        assert f"ptychosuite {name} overlap.yaml" in text


def test_new_study_overwrites_nothing(command, tmp_path):
    (tmp_path / "mine.yaml").write_text("mine")
    code, _, err = command("new", "mine.yaml")
    assert code == 2
    assert "is there already" in err
    assert (tmp_path / "mine.yaml").read_text() == "mine"
    assert command("new", "mine")[0] == 2
    assert command("new", "nowhere/mine.yaml")[0] == 2
