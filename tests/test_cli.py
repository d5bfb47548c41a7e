"""The command line: exit codes, messages, JSON, and what survives an interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import xarray as xr

from tests.study.small import (
    AXES,
    HEAD,
    PROGRAM,
    REPOSITORY,
    forget_names,
    held_study,
    run_files,
    study_file,
    use_test_solvers,
    wait_for,
)

RUNS, FREE = 4, 2  # of the study that is interrupted: all, and those that have ended by then


def python(code: str, *arguments: str, cwd: Path) -> str:
    """Run ``code`` in a fresh interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=cwd, timeout=60,
        env={**os.environ, "PYTHONPATH": f"{REPOSITORY / 'suite'}:{REPOSITORY}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


# Start-up


IMPORTED = """
import sys
from ptychosuite.cli import main
for command in sys.argv[1:]:
    sys.argv = ["ptychosuite", *command.split()]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, ended.code
    print("IMPORTED after", repr(command), *sorted(sys.modules))
"""


@pytest.mark.parametrize(
    ("commands", "unwanted"),
    [
        (["--help", "--version", "run --help"],
         "torch dask distributed matplotlib cupy xarray numpy pandas zarr"),
        (["schema", "plan tiny.yaml", "run tiny.yaml --cluster none"],
         "torch dask distributed cupy matplotlib scipy.stats"),
    ],
)  # fmt: skip
def test_commands_import_only_what_they_need(tmp_path, commands, unwanted):
    """Reading help or a study waits for none of the heavy packages."""
    study_file(tmp_path)
    lines = [line for line in python(IMPORTED, *commands, cwd=tmp_path).splitlines() if "IMPORTED" in line]
    assert len(lines) == len(commands)
    for line in lines:
        assert not set(line.split()) & set(unwanted.split()), line


def test_help_names_the_commands(command):
    """What waiting for it costs is what it imports: see above."""
    code, out, _ = command("--help")
    assert code == 0
    for name in ("plan", "run", "report", "figures", "show", "schema", "solvers", "doctor"):
        assert f"\n  {name} " in out


# Commands


def test_plan_shows_runs_and_cost(command, tmp_path):
    """The plan lists the runs with what varies, and says what is left and what it costs."""
    study = study_file(tmp_path, AXES)
    code, out, _ = command("plan", study)
    assert code == 0
    assert "4 runs, 0 done, 4 to do" in out
    assert "MB of memory a run" in out
    assert out.count("to do\n") == 5
    assert not (tmp_path / "results").exists()
    code, out, _ = command("plan", study, "--set", "seed={range: 60}")
    assert "120 runs" in out
    assert "... and 80 more (--all lists them)" in out
    assert len(command("plan", study, "--set", "seed={range: 60}", "--all")[1].splitlines()) > 120


def test_first_and_second_run(command, tmp_path):
    """The first run computes everything, the second nothing; both end well."""
    study = study_file(tmp_path, AXES)
    code, out, err = command("run", study, "--cluster", "none")
    assert code == 0
    assert "4 runs, 0 done, 4 to do" in out
    assert "4 completed; results: results/tiny/study.zarr" in out
    assert "4/4 runs, 0 failed" in err
    before = run_files(tmp_path / "results/tiny")
    code, out, _ = command("run", study, "--cluster", "none")
    assert code == 0
    assert "4 done, 0 to do" in out
    assert "nothing to do" in out
    assert run_files(tmp_path / "results/tiny") == before
    assert len(list((tmp_path / "results/tiny/sessions").iterdir())) == 1
    assert "4 runs, 4 done, 0 to do" in command("plan", study)[1]


def test_json_can_be_parsed(command, tmp_path):
    """Whatever --json prints on stdout is JSON, and nothing else is there."""
    study = study_file(tmp_path, AXES)
    planned = json.loads(command("plan", study, "--json")[1])
    assert planned["study"] == "tiny"
    assert planned["remaining"] == 4
    assert {run["state"] for run in planned["runs"]} == {"to do"}
    run = json.loads(command("run", study, "--cluster", "none", "--json")[1])
    assert run["counts"] == {"done_before": 0, "failed": 0, "completed": 4}
    again = json.loads(command("run", study, "--cluster", "none", "--json")[1])
    assert again["counts"] == {"done_before": 4, "failed": 0}
    rows = json.loads(command("show", study, "--json")[1])
    assert {row["run_id"] for row in rows} == {run["run_id"] for run in planned["runs"]}
    one = json.loads(command("show", study, rows[0]["run_id"], "--json")[1])
    assert one["status"] == "completed"
    assert one["spec"]["solver"]["name"] == rows[0]["solver"]
    assert one["metrics"]["residual"] == pytest.approx(rows[0]["residual"])
    assert json.loads(command("solvers", "--json")[1])["rpie"]["settings"]["alpha"] == 0.05
    doctor = json.loads(command("doctor", "--json")[1])
    assert doctor["backends"]["numpy"] == "available"
    assert json.loads(command("schema")[1])["title"] == "ptychosuite study"


@pytest.mark.parametrize("ran", [False, True])
def test_dry_run(command, tmp_path, ran):
    """A dry run says what would be done, computes nothing, and can be read by a machine too."""
    study = study_file(tmp_path, AXES)
    if ran:
        command("run", study, "--cluster", "none", "--set", "seed=0")
    before = run_files(tmp_path / "results/tiny")
    code, out, _ = command("run", study, "--dry-run")
    assert code == 0
    assert ("2 done, 2 to do" if ran else "4 runs, 0 done, 4 to do") in out
    assert run_files(tmp_path / "results/tiny") == before
    assert (tmp_path / "results").exists() is ran
    out = command("run", study, "--dry-run", "--json")[1]
    assert json.loads(out)["study"] == "tiny"


def test_show(command, tmp_path):
    """All runs in a table, one run in full by the first digits of its id, from study or results folder."""
    study = study_file(tmp_path, AXES)
    command("run", study, "--cluster", "none")
    for source in (study, tmp_path / "results/tiny"):
        code, out, _ = command("show", source)
        assert code == 0
        assert "4 runs in" in out
        assert "4 completed" in out
    (name, *_) = run_files(tmp_path / "results/tiny")
    code, out, _ = command("show", study, name[:8])
    assert code == 0
    assert f"run_id: {name.split('.')[0]}" in out
    assert "residual:" in out
    code, _, err = command("show", study, "zzz")
    assert code == 2
    assert "0 runs" in err
    assert "ptychosuite show" in err


@pytest.mark.skipif(find_spec("dask_jobqueue") is None, reason="dask-jobqueue is not installed")
def test_dry_run_shows_the_job_script(command, tmp_path):
    """What a batch system would be given is printed, nothing is submitted or written."""
    study = study_file(tmp_path, AXES)
    (tmp_path / "cluster.yaml").write_text("cluster: slurm\ncores: 3\nmemory: 6GB\ninterface: lo\n")
    before = sorted(tmp_path.iterdir())
    code, out, _ = command("run", study, "--cluster", "cluster.yaml", "--dry-run")
    assert code == 0
    assert "4 to do" in out
    assert "#SBATCH --cpus-per-task=3" in out
    content = json.loads(command("run", study, "--cluster", "cluster.yaml", "--dry-run", "--json")[1])
    assert content["job_script"].startswith("#!/usr/bin/env bash")
    assert "job_script" not in json.loads(command("run", study, "--dry-run", "--json")[1])
    assert sorted(tmp_path.iterdir()) == before


def test_solvers_lists_each_with_its_settings(command):
    """Every solver has a line and its defaults."""
    code, out, _ = command("solvers")
    assert code == 0
    for name in ("epie", "rpie", "mpie", "magpie", "lbfgs"):
        assert f"{{name: {name}" in out


def test_doctor(command):
    """Backends that are not available say why and what to do; that is no error."""
    code, out, _ = command("doctor")
    assert code == 0
    assert "numpy: available" in out


@pytest.mark.usefixtures("quick_figures")
def test_report_by_study_and_by_folder(command, tmp_path):
    """The report lands in reports/STUDY, or where --out says."""
    study = study_file(tmp_path, "figures: [{kind: setup}]\n")
    command("run", study, "--cluster", "none")
    code, out, _ = command("report", study)
    assert code == 0
    assert "reports/tiny/index.html" in out
    assert (tmp_path / "reports/tiny/index.html").is_file()
    assert command("report", tmp_path / "results/tiny", "--out", tmp_path / "other")[0] == 0
    assert (tmp_path / "other/tiny/index.html").is_file()


@pytest.mark.usefixtures("quick_figures")
def test_figures_by_study_and_by_folder(command, tmp_path):
    """They land in figures/STUDY, or where --out says; the program says what was not drawn."""
    study = study_file(tmp_path, "figures: [{kind: setup, key: figure-03}, {kind: speed-up, key: table}]\n")
    command("run", study, "--cluster", "none")
    code, out, _ = command("figures", study)
    assert code == 0
    assert "1 figure: figures/tiny\ntable: Not drawn: no fast-forwarded run" in out
    assert (tmp_path / "figures/tiny/figures/figure-03.svg").is_file()
    assert command("figures", tmp_path / "results/tiny", "--out", tmp_path / "other")[0] == 0
    assert (tmp_path / "other/tiny/figures/figure-03.svg").is_file()


TRAINING = """\
study: tiny
problem:
  object: {kind: texture, size: 32}
  probe: {kind: gaussian, size: 16, fwhm_px: 6}
stop: {iterations: 20, check_every: 20}
snapshots: [10, 20]
axes: {problem.object.pattern: {range: 3}}
train: {width: 2, epochs: 1, mixed_precision: off}
"""


def test_train(command, tmp_path):
    """The runs are carried out once; checkpoint, figures and metrics are there; the state is taken up."""
    study = study_file(tmp_path, TRAINING, head="")
    code, out, _ = command("train", study, "--cluster", "none", "--out", "net.safetensors")
    assert code == 0
    assert "3 to do" in out
    assert "epoch 1 of 1" in out
    folder = Path("results/tiny/training")
    assert {f.name for f in folder.iterdir()} >= {"checkpoint.safetensors", "metrics.json", "training.png"}
    assert Path("net.safetensors").read_bytes() == (folder / "checkpoint.safetensors").read_bytes()
    code, out, _ = command("train", study, "--cluster", "none")
    assert code == 0
    assert "0 to do" in out
    assert "epoch" not in out


def test_training_goes_on_from_a_checkpoint(command, tmp_path):
    """'start' is read beside the study, and a training may look at where the solver gets from a jump."""
    first = study_file(tmp_path, TRAINING, head="")
    assert command("train", first, "--cluster", "none", "--out", "first.safetensors")[0] == 0
    settings = "train: {start: first.safetensors, resumed_sweeps: 1, "
    study = study_file(tmp_path, TRAINING.replace("train: {", settings), head="")
    code, out, _ = command("train", study, "--cluster", "none")
    assert code == 0
    assert "0 to do" in out
    assert "epoch 1 of 1" in out
    study = study_file(tmp_path, TRAINING.replace("train: {", "train: {start: none.safetensors, "), head="")
    code, _, err = command("train", study, "--cluster", "none")
    assert code == 2
    assert "none.safetensors" in err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("train: {width: 2, epochs: 1, mixed_precision: off}\n", "", "'train' is missing"),
        ("epochs: 1", "epoch: 1", "did you mean 'epochs'"),
        ("epochs: 1", "epochs: 0", "greater than or equal to 1"),
        ("snapshots: [10, 20]\n", "", "no training pairs"),
    ],
)
def test_studies_that_cannot_train(command, tmp_path, old, new, message):
    assert old in TRAINING
    study = study_file(tmp_path, TRAINING.replace(old, new), head="")
    code, _, err = command("train", study, "--cluster", "none")
    assert code == 2
    assert message in err


def test_failed_runs_leave_with_1(command, tmp_path, monkeypatch):
    """A sweep with failures ends, says how to see why and how to try again, and leaves with 1."""
    import ptychosuite.execute.one_run as execution

    real = execution.reconstruct
    monkeypatch.setattr(execution, "reconstruct", lambda *args: 1 / 0)
    study = study_file(tmp_path, AXES)
    code, out, err = command("run", study, "--cluster", "none")
    assert code == 1
    assert "4 failed" in out
    assert "ZeroDivisionError" in err
    assert "--retry-failed" in err
    failed = json.loads(command("plan", study, "--json")[1])["runs"]
    assert {run["state"] for run in failed} == {"failed"}
    assert "ZeroDivisionError" in command("show", study, failed[0]["run_id"])[1]
    assert command("run", study, "--cluster", "none")[0] == 1
    monkeypatch.setattr(execution, "reconstruct", real)
    assert command("run", study, "--cluster", "none", "--retry-failed")[0] == 0
    assert command("run", study, "--cluster", "none")[0] == 0


HUGE = ("--set", "problem.object.size=16384", "--set", "problem.probe.size=512", "--set",
        "problem.probe.fwhm_px=99", "--set", "problem.scan.overlap=0.98")  # fmt: skip
WRONG = {
    "no study": (["plan", "nope.yaml"], r"nope.yaml"),
    "close name": (["plan", "tny.yaml"], "did you mean tiny.yaml"),
    "a folder": (["plan", "."], "folder"),
    "wrong value": (["plan", "tiny.yaml", "--set", "problem.noise=-1"], "--set problem.noise=-1"),
    "wrong value, run": (["run", "tiny.yaml", "--set", "seed=x"], "--set seed=x"),
    "no override file": (["plan", "tiny.yaml", "--override", "nope.yaml"], "nope.yaml"),
    "unknown cluster": (["run", "tiny.yaml", "--cluster", "locl"], "did you mean 'local'"),
    "no backend": (["run", "tiny.yaml", "--set", "backend=cupy"], "cupy"),
    "no workers": (["run", "tiny.yaml", "--workers", "0"], "workers"),
    "more workers than cores": (["run", "tiny.yaml", "--workers", "4096"], "--lane throughput"),
    "unknown lane": (["run", "tiny.yaml", "--lane", "fast"], "throughput"),
    "no time": (["run", "tiny.yaml", "--timeout", "soon"], "90, 30s, 10m or 2h"),
    "no time at all": (["run", "tiny.yaml", "--timeout", "0"], "found '0'"),
    "time limit without a worker": (
        ["run", "tiny.yaml", "--cluster", "none", "--timeout", "10m"],
        "--cluster local --workers 1",
    ),
    "no room": (
        ["run", "tiny.yaml", "--cluster", "none", *HUGE],
        "no run fits: the first needs about",
    ),
    "unknown command": (["rum"], "rum"),
    "unknown option": (["run", "tiny.yaml", "--clutser", "none"], "--cluster"),
    "report before run": (["report", "tiny.yaml"], "run the study first"),
    "figures before run": (["figures", "tiny.yaml"], "run the study first"),
    "figures of a folder with set": (["figures", ".", "--set", "seed=1"], "--set"),
    "report of a folder": (["report", "."], "no results in"),
    "show before run": (["show", "tiny.yaml"], "run the study first"),
    "set with a folder": (["report", ".", "--set", "seed=1"], "--set"),
    "blank condition": (["run", "tiny.yaml", "--where", ""], "found nothing; expected a condition"),
    "no condition": (["run", "tiny.yaml", "--where", "nois < 1"], "no run has 'nois'; did you mean 'noise'?"),
    "a condition that nothing meets": (
        ["plan", "tiny.yaml", "--where", "noise > 1"],
        "matches no run of the study",
    ),
    "no share": (["run", "tiny.yaml", "--shard", "3/2"], "I from 1 to N"),
    "clean before run": (["clean", "tiny.yaml"], "run the study first"),
    "results below a file": (
        ["run", "tiny.yaml", "--results", "tiny.yaml", "--cluster", "none"],
        "--results",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_wrong_usage_leaves_with_2(command, tmp_path, arguments, message):
    """Each mistake has one readable message on stderr and exit code 2, and leaves nothing behind."""
    study_file(tmp_path)
    code, _, err = command(*arguments)
    assert code == 2
    assert message in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.yaml"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_results_folder_without_permission(command, tmp_path):
    """A folder that may not be written is named, with another way."""
    study = study_file(tmp_path)
    (tmp_path / "locked").mkdir(mode=0o500)
    code, _, err = command("run", study, "--cluster", "none", "--results", "locked")
    assert code == 2
    assert "Permission denied" in err
    assert "--results" in err


def test_damaged_run_file(command, tmp_path):
    """A run file that was damaged is named with what to do, by every command that reads it."""
    study = study_file(tmp_path, AXES)
    command("run", study, "--cluster", "none")
    path = next((tmp_path / "results/tiny").glob("runs/??/*.zip"))
    path.write_bytes(path.read_bytes()[:100])
    code, _, err = command("show", study, path.name[:16])
    assert code == 2
    assert path.name in err
    assert "set it aside" in err


# Interruptions


@pytest.fixture
def held(tmp_path, monkeypatch):
    """A study that stands still after its first runs, until :func:`goes_on`; its solver is known."""
    use_test_solvers(tmp_path / "plug-ins", monkeypatch)
    yield held_study(tmp_path, RUNS, FREE)
    forget_names()


def stopped_by(number: int, study: Path, *options: str) -> tuple[int, str, dict[str, float]]:
    """Run the study in a process of its own and send a signal when it stands still: code, stderr, files."""
    process = subprocess.Popen(
        [*PROGRAM, "run", str(study), *options, "--workers", "1"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, cwd=study.parent, start_new_session=True,
    )  # fmt: skip
    root = study.parent / "results/tiny"
    wait_for(lambda: len(run_files(root)) == FREE, process)
    os.killpg(process.pid, number)  # a terminal sends Ctrl-C to the workers too
    _, err = process.communicate(timeout=60)
    return process.returncode, err, run_files(root)


def assert_goes_on(command, study: Path, before: dict[str, float]) -> None:
    """The same command repeats nothing and completes the study."""
    (study.parent / "go").touch()
    code, out, err = command("run", study, "--cluster", "none")
    assert code == 0, err
    assert f"{FREE} done, {RUNS - FREE} to do" in out
    root = study.parent / "results/tiny"
    assert before.items() <= run_files(root).items()
    assert_complete(root, RUNS)


def assert_complete(root: Path, number: int) -> None:
    """All runs are there once and readable, in files and dataset, and nothing temporary is."""
    files = sorted(root.glob("runs/??/*.zarr.zip"))
    assert len(files) == number
    for file in files:
        assert zipfile.ZipFile(file).testzip() is None
    assert [p for p in root.rglob("*") if p.name.endswith(".tmp")] == []
    dataset = xr.open_zarr(root / "study.zarr", chunks=None)
    assert sorted(dataset["run_id"].values.tolist()) == [file.name.split(".")[0] for file in files]
    assert set(dataset["status"].values.tolist()) == {"completed"}
    assert sorted(dataset["seed"].values.tolist()) == list(range(number))


@pytest.mark.parametrize(
    ("number", "cluster", "expected"),
    [("SIGINT", "none", 130), ("SIGTERM", "none", 143), ("SIGHUP", "none", 129), ("SIGINT", "local", 130)],
)
def test_interrupted_run_goes_on_where_it_stopped(held, command, number, cluster, expected):
    """Each request has an exit code of its own; all keep what is finished, and say how to go on."""
    code, err, before = stopped_by(signal.Signals[number], held, "--cluster", cluster)
    assert code == expected, err
    assert "Traceback" not in err
    assert "stopped; finished runs are kept" in err
    assert_goes_on(command, held, before)


def test_killed_run_goes_on_where_it_stopped(held, command):
    """After kill -9 of program and workers, the same command repeats nothing and completes the study."""
    code, _, before = stopped_by(signal.SIGKILL, held, "--cluster", "local")
    assert code == -signal.SIGKILL
    assert_goes_on(command, held, before)


def test_head_is_a_study(tmp_path):
    """The small study of these tests is itself a valid one, five lines long."""
    assert len(HEAD.splitlines()) == 5


# Subsets


def test_plan_and_run_of_a_part(command, tmp_path):
    """They say what chooses; the run carries out those alone, and a session still knows the whole study."""
    study = study_file(tmp_path, AXES)
    asked = ("--where", "solver == magpie", "--first", "1")
    code, out, _ = command("plan", study, *asked)
    assert code == 0
    assert "tiny: 1 of 4 runs (--where 'solver == magpie' --first 1), 0 done, 1 to do" in out
    assert out.count(" to do\n") == 2
    planned = json.loads(command("plan", study, *asked, "--json")[1])
    assert (planned["planned"], len(planned["runs"])) == (4, 1)
    assert planned["chosen_by"] == "--where 'solver == magpie' --first 1"
    dry = json.loads(command("run", study, *asked, "--dry-run", "--json")[1])
    assert dry["to_do"] == [planned["runs"][0]["spec_id"]]
    code, out, _ = command("run", study, *asked, "--cluster", "none")
    assert code == 0
    assert "1 of 4 runs (--where 'solver == magpie' --first 1), 0 done, 1 to do" in out
    assert "1 completed" in out
    (session,) = (tmp_path / "results/tiny/sessions").iterdir()
    assert len(json.loads(session.read_text())["spec_ids"]) == 4
    assert "4 runs, 1 done, 3 to do" in command("plan", study)[1]
    assert "1 of 4 runs (--first 1), 0 done, 1 to do" in command("plan", study, "--first", "1")[1]


def test_shards_of_a_job_array(command, tmp_path):
    """Together they are the study; one that is empty has nothing to do."""
    study = study_file(tmp_path, AXES)
    for index in range(1, 6):
        code, out, _ = command("run", study, "--cluster", "none", "--shard", f"{index}/5")
        assert code == 0
        assert f"{'0' if 'nothing' in out else '1'} of 4 runs (--shard {index}/5)" in out
    assert "4 done, 0 to do" in command("plan", study)[1]


def test_failures_of_a_part(command, tmp_path, monkeypatch):
    """They are counted in the part; the commands to go on with have its options, and those of the study."""
    monkeypatch.setattr("ptychosuite.execute.one_run.reconstruct", lambda *args: 1 / 0)
    study = study_file(tmp_path, AXES)
    options = ("--set", "seed={range: 5}", "--where", "solver == rpie", "--results", "here")
    code, out, err = command("run", study, *options, "--cluster", "none", "--fail-fast", "2")
    assert code == 1
    assert "2 failed; 3 runs not begun, after so many failures" in out
    assert "2 of 5 runs failed" in err
    repeated = "--set 'seed={range: 5}' --results here --where 'solver == rpie' --cluster none --fail-fast 2"
    assert f"try them again with: ptychosuite run {study} {repeated} --retry-failed" in err
    assert len(run_files(tmp_path / "here/tiny")) == 2
    other = ("--set", "seed={range: 5}", "--where", "solver == magpie", "--results", "here")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert command("run", study, *other, "--cluster", "none")[0] == 0
    out = command("run", study, *options, "--cluster", "none", "--fail-fast", "2", "--json")[1]
    assert json.loads(out)["counts"] == {
        "done_before": 0, "failed_before": 2, "failed": 2, "completed": 3,
    }  # fmt: skip


def test_force_computes_one_run_again(command, tmp_path):
    """It alone; the old result is set aside, and the dataset has the new one."""
    study = study_file(tmp_path, AXES)
    command("run", study, "--cluster", "none")
    folder = tmp_path / "results/tiny"
    before = run_files(folder)
    old = {str(row): when for row, when in zip(*starts(folder), strict=True)}
    name = sorted(old)[1]
    code, out, _ = command("run", study, "--cluster", "none", "--force", name[:8])
    assert code == 0
    assert f"1 of 4 runs (--force {name[:8]}), 0 done, 1 to do" in out
    after = run_files(folder)
    assert {file for file in after if after[file] != before[file]} == {f"{name}.zarr.zip"}
    assert [file.name for file in folder.glob("removed/*/runs/??/*")] == [f"{name}.zarr.zip"]
    new = {str(row): when for row, when in zip(*starts(folder), strict=True)}
    assert {row for row in new if new[row] != old[row]} == {name}
    code, _, err = command("run", study, "--cluster", "none", "--force", "zz")
    assert code == 2
    assert "0 runs of tiny have an id that begins with 'zz'" in err


def starts(folder: Path):
    """run_id and time of begin, of every row of the dataset."""
    runs = xr.open_zarr(folder / "study.zarr")
    return runs["run_id"].values.tolist(), runs["start"].values.tolist()


def test_diverged_runs_are_tried_again_on_request(command, tmp_path, monkeypatch):
    """Those alone, and what is missing."""
    use_test_solvers(tmp_path / "plug-ins", monkeypatch)
    study = study_file(tmp_path, "axes: {solver: [rpie, diverges]}\n")
    assert "1 completed, 1 diverged" in command("run", study, "--cluster", "none")[1]
    assert "nothing to do" in command("run", study, "--cluster", "none", "--retry-failed")[1]
    code, out, _ = command("run", study, "--cluster", "none", "--retry-diverged")
    assert code == 0
    assert "1 done, 1 to do" in out
    assert "1 diverged;" in out
    assert len(list((tmp_path / "results/tiny").glob("removed/*/runs/??/*"))) == 1
    forget_names()
