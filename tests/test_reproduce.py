"""The command ``reproduce``: what is stored comes out again, and what does not is told apart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import ptychosuite.execute.one_run as execution
import pytest
from ptychosuite.analysis.rounding import ROUNDING
from ptychosuite.api import repeating
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory, read_run
from ptychosuite.store.write import write_run

from tests.faults import other_order, wrong_alpha, wrong_coarse_level
from tests.store.test_damages import flipped
from tests.study.small import (
    AXES,
    PROGRAM,
    REPOSITORY,
    carry_out,
    forget_names,
    held_study,
    plan_of,
    study_file,
    use_test_solvers,
    wait_for,
)

EVERY_SOLVER = """\
axes:
  solver: [epie, rpie, mpie, {name: magpie, levels: 2}, {name: emagpie, levels: 2}, lsqml, lbfgs]
include:
  - {solver: rpie, problem.start_probe: {kind: gaussian, size: 16, fwhm_px: 5}}
  - {solver: rpie, fast_forward: {kind: identity, warm_up: 1, jumps: 1, look_ahead: 1}}
  - {solver: rpie, dtype: complex128}
"""
HERE = ("--cluster", "none")


@pytest.fixture
def again(command, tmp_path):
    """Reproduce the study and read what is said: (exit code, comparisons by run, counts)."""

    def call(*options: object, study: object = "results/tiny") -> tuple[int, dict, dict]:
        code, out, _ = command("reproduce", study, *HERE, "--json", *options)
        content = json.loads(out)
        return code, {run["run_id"]: run for run in content["runs"]}, content["counts"]

    return call


@pytest.fixture
def stored(command, tmp_path):
    """Carry out a study; its store."""

    def call(extra: str = AXES) -> Store:
        command("run", study_file(tmp_path, extra), *HERE)
        return Store.open(tmp_path / "results/tiny")

    return call


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def rewrite(store: Store, run_id: str, **changes: object) -> None:
    """Put a changed record in the place of a stored one."""
    file = inventory(store).done[run_id]
    record = replace(read_run(file), **changes)
    file.delete()
    write_run(store, record)


def test_every_solver_is_identical_in_a_fresh_process(stored, tmp_path):
    """Every solver of ours, blind or fast-forwarded too, gives the same bits in another process."""
    stored(EVERY_SOLVER)
    before = contents(tmp_path / "results")
    path = f"{REPOSITORY / 'suite'}:{REPOSITORY}"
    done = subprocess.run(
        [*PROGRAM, "reproduce", "tiny.yaml", *HERE, "--all"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "10 runs: 10 identical" in done.stdout
    assert contents(tmp_path / "results") == before


def test_stored_specifications_count(stored, again, tmp_path):
    """What is run again is what was run, whatever the study file says now."""
    stored()
    study = tmp_path / "tiny.yaml"
    study.write_text(study.read_text().replace("iterations: 3", "iterations: 7"))
    code, runs, counts = again(study=study)
    assert (code, counts) == (0, {"identical": 4})
    assert {run["spec"]["stop"]["iterations"] for run in runs.values()} == {3}


def nan_metric(monkeypatch):
    real = execution.reconstruct

    def planted(*args):
        outcome = real(*args)
        curve = outcome.curves["error"].copy()
        curve[2] = np.nan
        return replace(outcome, curves={**outcome.curves, "error": curve})

    monkeypatch.setattr(execution, "reconstruct", planted)


@pytest.mark.parametrize(
    ("plant", "different", "iteration"),
    [
        (partial(wrong_alpha, factor=4.0), 2, 1),
        (other_order, 4, 1),
        (partial(wrong_coarse_level, factor=1.001), 2, 1),
        (nan_metric, 4, 2),
    ],
)
def test_planted_change_is_found(stored, again, monkeypatch, plant, different, iteration):
    """A change that matters is told with the first iteration at which it does, and only where it does."""
    stored()
    plant(monkeypatch)
    code, runs, counts = again()
    assert code == 1
    assert counts["different"] == different
    found = [run for run in runs.values() if run["likeness"] == "different"]
    assert {run["first_beyond"] for run in found} == {iteration}
    assert list(runs.values())[:different] == found


def test_what_changed_is_named(stored, again, command, tmp_path):
    """Packages, code and hardware that differ are named, beside results that are the same."""
    store = stored()
    run_id, other = list(inventory(store).done)[:2]
    provenance = read_run(inventory(store).done[run_id]).provenance
    packages = {**provenance["packages"], "numpy": "1.0"}
    rewrite(store, run_id, provenance={**provenance, "packages": packages, "cpu": "abacus", "code": "old"})
    code, runs, counts = again()
    assert (code, counts) == (0, {"identical": 4})
    assert {name: then for name, (then, _) in runs[run_id]["changed"].items()} == {
        "package numpy": "1.0", "cpu": "abacus", "code": "old",
    }  # fmt: skip
    assert runs[other]["changed"] == {}
    out = command("reproduce", "results/tiny", *HERE)[1]
    assert "package numpy: 1.0 -> " in out
    assert "(1 run)" in out


def test_other_backend_is_within_tolerance(stored, again):
    """torch gives what NumPy gave but for rounding, and the largest difference is named."""
    stored()
    code, runs, counts = again("--backend", "torch")
    assert code == 0
    assert counts["within tolerance"] == 4
    for run in runs.values():
        assert run["largest"]["relative"] < run["largest"]["tolerance"]
        assert run["changed"]["backend"] == ["numpy", "torch"]


CHAOTIC = """\
study: tiny
problem:
  object: {kind: texture, size: 48}
  probe: {kind: gaussian, size: 32, fwhm_px: 10}
  scan: {kind: raster, step_px: 4}
  noise: 0.05
stop: {iterations: 10}
dtype: complex64
solver: {name: magpie, levels: 4}
"""


def test_rounding_that_grows_is_asked_for(command, again, tmp_path, monkeypatch):
    """Far beyond the table, and no more than the run itself moves when it begins a rounding error aside."""
    file = tmp_path / "tiny.yaml"
    file.write_text(CHAOTIC)
    command("run", file, *HERE)
    code, runs, _ = again("--backend", "torch", study=file)
    (run,) = runs.values()
    assert (code, run["likeness"], run["message"]) == (0, "within tolerance", ROUNDING)
    assert run["largest"]["relative"] < run["largest"]["tolerance"]
    other_order(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(repeating, "MOST_NUDGED", 0)  # as where too many have changed
        code, runs, _ = again("--backend", "torch", study=file)
    (run,) = runs.values()
    assert (code, run["likeness"], run["message"]) == (1, "different", "")


def test_sample_covers_the_solvers(stored, again):
    """A sample of two has both solvers, the same ones each time."""
    stored()
    code, runs, _ = again("--sample", 2)
    assert code == 0
    assert {run["spec"]["solver"]["name"] for run in runs.values()} == {"rpie", "magpie"}
    assert again("--sample", 2)[1].keys() == runs.keys()


def test_damaged_file_is_not_judged(stored, again):
    """A damaged run is named and not green; the others are compared."""
    store = stored()
    run_id, file = next(iter(inventory(store).done.items()))
    Path(str(file)).write_bytes(file.read()[:100])
    code, runs, counts = again()
    assert (code, counts) == (3, {"not judged": 1, "identical": 3})
    assert "cannot be read" in runs[run_id]["message"]


def test_damaged_image_is_not_judged(stored, again, monkeypatch):
    """Nor carried out again; found damaged only afterwards, it is named as well. The others are judged."""
    store = stored()
    first, second, *_ = sorted(inventory(store).done)
    file = flipped(Path(f"{store.run_file(first)}"))
    code, runs, counts = again()
    assert (code, counts) == (3, {"not judged": 1, "identical": 3})
    assert f"{file.name} cannot be read" in runs[first]["message"]
    real = repeating.run_all

    def damaging(*given):
        yield from real(*given)
        flipped(Path(f"{store.run_file(second)}"))

    monkeypatch.setattr(repeating, "run_all", damaging)
    code, runs, counts = again()
    assert (code, counts) == (3, {"not judged": 2, "identical": 2})
    assert f"{second}.zarr.zip cannot be read" in runs[second]["message"]


def test_data_files_that_are_gone(stored, again, tmp_path):
    """A run whose data file is gone or changed could not be run again; --data says where it is now."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "object.npy", np.exp(1j * rng.random((32, 32))))
    stored("axes:\n  problem.object: [{kind: file, path: object.npy}, {kind: texture, size: 32}]\n")
    (tmp_path / "moved").mkdir()
    (tmp_path / "object.npy").rename(tmp_path / "moved/object.npy")
    code, runs, counts = again()
    assert (code, counts) == (3, {"not judged": 1, "identical": 1})
    (message,) = (run["message"] for run in runs.values() if run["likeness"] == "not judged")
    assert message.startswith("could not be run again: ")
    assert "object.npy is gone" in message
    assert again("--data", tmp_path / "moved")[0] == 0
    np.save(tmp_path / "object.npy", np.ones((32, 32), complex))
    code, runs, _ = again()
    assert code == 3
    assert any("has changed" in run["message"] for run in runs.values())


def test_failures(stored, again, monkeypatch):
    """A run that fails as it did is reproduced; one that fails now only is different, with the reason."""
    real = execution.reconstruct
    monkeypatch.setattr(execution, "reconstruct", lambda *args: 1 / 0)
    stored("seed: 3\n")
    code, runs, counts = again()
    assert (code, counts) == (0, {"identical": 1})
    monkeypatch.setattr(execution, "reconstruct", real)
    code, runs, _ = again()
    assert code == 1
    assert "failed then, completed now" in next(iter(runs.values()))["message"]


def test_solver_whose_package_is_gone(stored, again, tmp_path, monkeypatch):
    """What one solver lacks keeps only its own runs from being carried out again."""
    use_test_solvers(tmp_path / "plug-ins", monkeypatch)
    store = stored()
    run_id, file = next(iter(inventory(store).done.items()))
    record = read_run(file)
    rewrite(store, run_id, spec=replace(record.spec, solver={"name": "no-device"}))
    code, runs, counts = again()
    assert (code, counts) == (3, {"not judged": 1, "identical": 3})
    assert runs[run_id]["message"].startswith("could not be run again: ")


def test_settings_of_another_version(stored, again):
    """A solver that has lost a setting since then is named; its runs are not judged."""
    store = stored()
    run_id, file = next(iter(inventory(store).done.items()))
    record = read_run(file)
    rewrite(store, run_id, spec=replace(record.spec, solver={**record.spec.solver, "momentum": 0.5}))
    code, runs, counts = again()
    assert (code, counts) == (3, {"not judged": 1, "identical": 3})
    assert "momentum" in runs[run_id]["message"]


def test_worker_processes(stored, command):
    """The same on a local cluster."""
    stored("seed: 3\n")
    code, out, _ = command("reproduce", "results/tiny", "--cluster", "local", "--workers", 1)
    assert code == 0
    assert "1 run: 1 identical" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiny.yaml"], "run the study first"),
        (["nope.yaml"], "nope.yaml"),
        (["tiny.yaml", "--backend", "numpi"], "did you mean 'numpy'"),
        (["tiny.yaml", "--sample", "0"], "--sample"),
    ],
)
def test_wrong_usage(command, tmp_path, arguments, message):
    study_file(tmp_path)
    code, _, err = command("reproduce", *arguments, *HERE)
    assert code == 2
    assert message in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.yaml"]


def test_interrupted(tmp_path, monkeypatch):
    """A batch system's request ends with 143; nothing of the repetition is kept, the results are whole."""
    use_test_solvers(tmp_path / "plug-ins", monkeypatch)
    study = held_study(tmp_path, 3, free=4)  # the second of the repetition stands still
    carry_out(plan_of(study), tmp_path / "results")
    before = contents(tmp_path / "results")
    process = subprocess.Popen(
        [*PROGRAM, "reproduce", str(study), *HERE], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    wait_for(lambda: list(tmp_path.glob("ptychosuite-*/again/runs/??/*.zip")), process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "the results are as they were" in err
    assert contents(tmp_path / "results") == before
    assert not list(tmp_path.glob("ptychosuite-*"))
    forget_names()


def test_help_needs_no_heavy_packages():
    code = "import sys; from ptychosuite.cli import main; sys.argv = ['p', 'reproduce', '--help']\n"
    code += "try:\n main()\nexcept SystemExit:\n print(sorted({'torch', 'dask', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
