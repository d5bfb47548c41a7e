"""A folder with runs of two codes, or of an earlier version of the study: everything shows the same runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import ptychosuite
import pytest
import xarray as xr
from ptychosuite.cluster import whole_sweep
from ptychosuite.execute import one_run
from ptychosuite.registry import fingerprint
from ptychosuite.registry.fingerprint import PACKAGE, Sources
from ptychosuite.store.layout import Store
from ptychosuite.store.planned import OtherRuns, other_runs
from ptychosuite.store.read import inventory, latest_session, read_run

from tests.study.small import plan_of, study_file

STUDY = """\
axes:
  problem.noise: [0.0, 0.1]
  solver: [rpie, {name: magpie, levels: 2}]
  seed: {range: 2}
exclude:
  - {solver.name: magpie, problem.noise: 0.1, seed: 1}
figures:
  - {kind: convergence, metric: residual}
"""
RUNS = 7
FACTOR = {"A": 1.0, "B": 2.0, "C": 3.0}
"""What each code makes of a residual, so that its runs are known by their numbers."""


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make the code another one: a file that every run depends on has other content, and residuals differ."""
    made = one_run._record

    def change(name: str) -> None:
        def read(file: Path) -> bytes:
            changed = file.parts[-3:] == (PACKAGE, "execute", "loop.py")
            return file.read_bytes() + (f"# {name}".encode() if changed else b"")

        def record(*given):
            found = made(*given)
            metrics = {**found.metrics, "residual": FACTOR[name] * (1 + found.spec.seed)}
            return replace(found, metrics=metrics)

        monkeypatch.setattr(fingerprint, "SOURCES", Sources(read))
        monkeypatch.setattr(one_run, "_record", record)

    return change


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return study_file(tmp_path, STUDY)


def run(study: Path, *settings: str) -> ptychosuite.SweepOutcome:
    return ptychosuite.run(study, list(settings), cluster="none", progress=False)


def states(study: Path) -> list[str]:
    return sorted(set(ptychosuite.plan(study).states.values()))


def factors(runs: pd.DataFrame | xr.Dataset) -> set[float]:
    """By which code the runs were computed, told from their numbers."""
    return set((runs["residual"] / (1 + runs["seed"])).to_numpy().tolist())


def as_on_the_page() -> xr.Dataset:
    """The dataset opened in the words of docs/results.md."""
    return xr.open_zarr("results/tiny/study.zarr", chunks=None).set_index(run=["noise", "solver", "seed"])


def test_back_to_the_first_code(study, use, command):
    """Code A, code B, back to A: plan calls all done, and all that shows results shows those of A."""
    use("A")
    run(study)
    use("B")
    assert states(study) == ["to do"]
    run(study)
    assert factors(ptychosuite.open("results/tiny").table) == {FACTOR["B"]}
    use("A")
    assert states(study) == ["done"]
    ptychosuite.report(study, progress=False)
    assert factors(pd.read_csv("reports/tiny/numbers/runs.csv")) == {FACTOR["A"]}
    code, shown, _ = command("show", study, "--json")
    assert code == 0
    assert factors(pd.DataFrame(json.loads(shown))) == {FACTOR["A"]}
    for to in ("csv", "netcdf"):
        ptychosuite.export(study, to, progress=False)
    assert factors(pd.read_csv("tiny.csv")) == {FACTOR["A"]}
    with xr.open_dataset("tiny.nc") as written:
        assert factors(written) == {FACTOR["A"]}
        assert written.sizes["run"] == RUNS
    with ptychosuite.open(study) as opened:
        assert (len(opened), opened.others) == (RUNS, OtherRuns(superseded=RUNS))
        assert f"{RUNS} by other code" in str(opened)
        assert len(opened.files) == 2 * RUNS
    outcome = run(study)  # nothing to do, but the folder is of this code from now on
    assert factors(outcome.dataset) == {FACTOR["A"]}
    assert factors(as_on_the_page()) == {FACTOR["A"]}
    assert factors(ptychosuite.open("results/tiny").table) == {FACTOR["A"]}
    sessions = len(list(Path("results/tiny/sessions").iterdir()))
    run(study)
    assert len(list(Path("results/tiny/sessions").iterdir())) == sessions


def test_a_folder_is_of_what_was_planned_last(study, use):
    """A results folder needs no study: the session's own runs are shown, whichever began last."""
    use("A")
    run(study)
    use("B")
    ptychosuite.run(study, ["seed=[0]"], cluster="none", progress=False)
    ptychosuite.report("results/tiny", progress=False)
    table = pd.read_csv("reports/tiny/numbers/runs.csv")
    assert (len(table), factors(table)) == (4, {FACTOR["B"]})
    use("A")
    compared = ptychosuite.compare(study, "results/tiny", progress=False).to_dict()
    assert (compared["pairs"], compared["only_a"], compared["changed"]) == (4, 3, 4)


def test_the_dataset_is_the_study(study, use, tmp_path):
    """Selections of docs/results.md hold beside runs of another code and of an older version of the study."""
    use("A")
    run(study, "problem.probe.fwhm_px=5", "problem.noise=[0.0, 0.1, 0.2]")
    run(study)
    use("B")
    run(study)
    runs = as_on_the_page()
    assert runs.sizes["run"] == RUNS
    assert {read_run(file).provenance["code"] for file in present_files(study)} == {
        *runs.code.values.tolist()
    }
    assert runs.sel(noise=0.1, solver="magpie", seed=0).residual == FACTOR["B"]
    assert runs.sel(noise=0.0, solver="rpie").residual.values.tolist() == [FACTOR["B"], 2 * FACTOR["B"]]
    grid = runs.unstack("run")
    assert dict(grid.residual.sizes) == {"noise": 2, "solver": 2, "seed": 2}
    assert int(grid.residual.isnull().sum()) == 1  # what the study leaves out
    runs.reset_index("run").to_netcdf(tmp_path / "runs.nc")
    xr.open_zarr("results/tiny/study.zarr").to_netcdf(tmp_path / "lazy.nc")
    grid.to_netcdf(tmp_path / "grid.nc")
    with xr.open_dataset(tmp_path / "grid.nc") as read_back:
        np.testing.assert_array_equal(read_back.residual, grid.residual)
        np.testing.assert_array_equal(
            read_back.residual.sel(solver="magpie", noise=0.1), [FACTOR["B"], np.nan]
        )
    store = Store.open("results/tiny")
    assert other_runs(store, latest_session(store)) == OtherRuns(superseded=RUNS, foreign=11)


def test_results_of_other_code_alone_are_shown_as_such(study, use, command):
    """What the present code has not computed at all is shown by the latest code that has, and said so."""
    for name in "AB":
        use(name)
        run(study)
    use("C")
    assert states(study) == ["to do"]
    code, said, _ = command("report", study)
    assert code == 0
    assert "note: The present code has computed none of these runs" in said
    assert factors(pd.read_csv("reports/tiny/numbers/runs.csv")) == {FACTOR["B"]}
    page = Path("reports/tiny/index.html").read_text()
    assert page.count("The present code has computed none of these runs") == 1
    assert "The present code has computed none" in str(ptychosuite.open(study))
    ptychosuite.export(study, "crate", licence="CC0-1.0", progress=False)
    with ptychosuite.open("tiny.zip") as bundle:
        assert factors(bundle.table) == {FACTOR["B"]}


def test_codes_are_not_mixed(study, use, command):
    """Once the present code has a run, the others are missing, as plan has them, and it is said why."""
    use("A")
    run(study)
    use("B")
    run(study)
    held = inventory(Store.open("results/tiny"))
    for run_id in plan_of(study).run_ids[1:]:
        held.done[run_id].delete()
    assert [*ptychosuite.plan(study).states.values()].count("done") == 1
    code, said, _ = command("report", study)
    assert code == 0
    assert "note: 6 missing runs have results by other code, not shown" in said
    table = pd.read_csv("reports/tiny/numbers/runs.csv")
    assert table["status"].value_counts().to_dict() == {"missing": 6, "completed": 1}
    assert "1 completed, 6 missing\n" in str(ptychosuite.open(study))
    code, _, err = command("export", study, "--to", "csv")
    assert (code, "6 of the 7 runs" in err) == (2, True)
    (drawn,) = [next(iter(ptychosuite.watch(study, progress=False)))]
    assert (drawn.runs, drawn.planned) == (1, RUNS)


def test_a_bundle_is_of_its_study(study, use):
    """A bundle of what was not run last: its dataset and its list of runs are those of its report."""
    use("A")
    run(study)
    use("B")
    run(study)
    use("A")
    ptychosuite.export(study, "crate", out="tiny", licence="CC0-1.0", progress=False)
    assert factors(xr.open_zarr("tiny/results/tiny/study.zarr")) == {FACTOR["A"]}
    with ptychosuite.open("tiny") as bundle:
        assert (factors(bundle.table), len(bundle.files)) == ({FACTOR["A"]}, RUNS)


def test_a_folder_of_an_earlier_version(study, use):
    """Its sessions name no ids: all runs have a row, the newest is shown, and the next run puts it right."""
    use("A")
    run(study)
    use("B")
    run(study)
    for file in Path("results/tiny/sessions").iterdir():
        content = json.loads(file.read_text())
        del content["run_ids"]
        file.write_text(json.dumps(content))
    assert len(ptychosuite.open("results/tiny").table) == 2 * RUNS
    ptychosuite.report("results/tiny", progress=False)
    assert factors(pd.read_csv("reports/tiny/numbers/runs.csv")) == {FACTOR["B"]}
    use("C")
    ptychosuite.report(study, progress=False)
    assert factors(pd.read_csv("reports/tiny/numbers/runs.csv")) == {FACTOR["B"]}
    use("A")
    run(study)
    assert factors(as_on_the_page()) == {FACTOR["A"]}


def present_files(study: Path):
    held = inventory(Store.open("results/tiny")).done
    return [held[run_id] for run_id in plan_of(study).run_ids]


@pytest.mark.parametrize("again", ["other settings", "nothing to do"])
def test_a_clock_that_was_ahead(study, monkeypatch, again):
    """The session that begins last is the latest, whatever the clock said before."""
    with monkeypatch.context() as patch:
        patch.setattr(whole_sweep, "now", lambda: "2999-01-01T00:00:00.405+00:00")
        run(study)
        if again == "nothing to do":
            run(study, "stop.iterations=4")
    outcome = run(study, *(["stop.iterations=4"] if again == "other settings" else []))
    store = Store.open("results/tiny")
    assert latest_session(store)["start"] < "2999"
    found = xr.open_zarr("results/tiny/study.zarr", chunks=None)
    assert set(found["n_iterations"].values) == {5 if again == "other settings" else 4}
    assert set(found["run_id"].values) == {*outcome.plan.run_ids}
    names = sorted(store.sessions.files())
    assert names[1].startswith("2999-01-01T000000.406Z-")
    assert len(names) == (2 if again == "other settings" else 3)
