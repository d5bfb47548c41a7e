"""``ptychosuite import-result``: judged as runs are, kept beside them, counted in nothing of a clock's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import ptychosuite
import pytest
from ptychosuite.analysis.summary import summary
from ptychosuite.api.results import selected_runs
from ptychosuite.errors import UserError
from ptychosuite.metrics.metric import known_metrics
from ptychosuite.store.layout import Store

from tests.study.small import AXES, HEAD, carry_out, plan_of, study_file

HERE = "solver == magpie and seed == 1"
NOISES = "axes: {problem.noise: [0.05, 0.2]}\n"
LOOP = {metric.name for metric in known_metrics() if metric.needs == "the loop"}


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """A study with its results, a tolerance that one run meets, and what one of its runs has found."""
    folder = tmp_path_factory.mktemp("computed")
    head = HEAD.replace("{iterations: 3}", "{iterations: 3, residual: 4.1}")
    figures = (
        "figures: [{kind: convergence, x: seconds}, {kind: heatmap, x: seed, y: solver, value: seconds}]\n"
    )
    plan = plan_of(study_file(folder, AXES + figures, head))
    store, _ = carry_out(plan, folder / "results")
    results = ptychosuite.open(store.root)
    (run_id,) = [row.run_id for row in results.table.itertuples() if (row.solver, row.seed) == ("magpie", 1)]
    record = results.record(run_id)
    np.savez(folder / "theirs.npz", object=record.object, probe=record.probe)
    np.save(folder / "object.npy", record.object)
    np.save(folder / "probe.npy", record.probe)
    return folder, record


@pytest.fixture
def study(computed, tmp_path, monkeypatch):
    """A copy of it, as the working directory; the path of the study."""
    shutil.copytree(computed[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Path("tiny.yaml")


def test_judged_as_the_run_that_found_it(computed, study):
    """Every metric of a run but those of its loop, to the last digit: the state is the same."""
    found = ptychosuite.import_result(study, "theirs.npz", label="theirs", where=HERE)
    run = {name: value for name, value in computed[1].metrics.items() if name not in LOOP}
    assert found.is_new
    assert found.metrics == pytest.approx(run, rel=1e-6)
    assert {"residual", "phase_rmse_rad", "frc_area"} <= found.metrics.keys()
    assert not LOOP & found.metrics.keys()
    assert not found.record.curves
    stored = ptychosuite.open(study).record(found.run_id)
    assert np.array_equal(stored.object, computed[1].object)
    assert stored.reference == computed[1].reference


def test_is_listed_beside_the_runs_and_is_none_of_them(study):
    ptychosuite.import_result(study, "theirs.npz", label="theirs", where="seed == 0", who="Ada")
    results = ptychosuite.open(study)
    assert results.table["solver"].tolist() == ["rpie", "rpie", "magpie", "magpie", "theirs (imported)"]
    assert "5 runs in results/tiny: 4 completed, 1 computed elsewhere, not timed by us" in str(results)
    assert results.describe(results.table["run_id"].iloc[-1])["provenance"]["imported"] == {
        "who": "Ada",
        "files": ["theirs.npz"],
    }
    assert ptychosuite.plan(study).standing.to_dict() == {"done": 4, "failed": 0, "to_do": 0}
    assert not len(ptychosuite.clean(study))
    assert not ptychosuite.doctor(study)["results"]["damaged"]
    assert len(ptychosuite.reproduce(study, cluster="none", progress=False).comparisons) == 4


def test_nothing_of_the_clock_has_it(study):
    """No time, and no count of a tolerance that it has never met: that is unknown, not infinite."""
    ptychosuite.import_result(study, "theirs.npz", label="theirs", where="seed == 0")
    selection = selected_runs(study, (), None, "results")
    assert selection.outcome.short == "4 of 4"
    rows = summary(selection.table).set_index("solver")
    theirs, ours = rows.loc["theirs (imported)"], rows.loc["rpie"]
    assert np.isfinite(theirs["residual"])
    assert theirs[["seconds", "iterations_to_tol"]].isna().all()
    assert np.isinf(ours["iterations_to_tol"])
    assert np.isfinite(ours["seconds"])
    page = Path(ptychosuite.report(study, progress=False))
    text = page.read_text(encoding="utf-8")
    assert (
        "computed elsewhere and judged here by the same metrics: theirs (imported). Not timed by us" in text
    )
    assert "solver time / s (without imported results)" in text
    for numbers in page.parent.glob("numbers/*seconds*.csv"):
        assert "theirs" not in numbers.read_text()


def test_twice_changes_nothing(study, command):
    """Nor does another kind of file with the same numbers; another label is another result."""
    call = ("import-result", "tiny.yaml", "--where", "seed == 0", "--label")
    assert command(*call, "theirs", "theirs.npz")[0] == 0
    (file,) = Path("results/tiny/imported").iterdir()
    before, changed = file.read_bytes(), file.stat().st_mtime_ns
    for files in (["theirs.npz"], ["object.npy", "probe.npy"]):
        code, out, _ = command(*call, "theirs", *files)
        assert code == 0
        assert "imported before, nothing has changed" in out
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (before, changed)
    found = json.loads(command(*call, "others", "theirs.npz", "--json")[1])
    assert (found["label"], found["condition"], found["new"]) == ("others (imported)", "seed 0", True)
    assert len(ptychosuite.open(study)) == 6


def test_judged_again_by_other_code(study, monkeypatch):
    """It takes the place of the old judgement, in the dataset too."""
    first = ptychosuite.import_result(study, "theirs.npz", label="theirs", where="seed == 0")
    monkeypatch.setattr("ptychosuite.api.importing.fingerprint_of", lambda spec: "other")
    again = ptychosuite.import_result(study, "theirs.npz", label="theirs", where="seed == 0")
    assert again.is_new
    assert again.run_id == first.run_id
    assert len(ptychosuite.open(study)) == 5
    more = ptychosuite.import_result(
        study, "theirs.npz", {"metrics": ["ssim_phase"]}, label="theirs", where="seed == 0"
    )
    assert "ssim_phase" in more.metrics
    assert len(list(Path("results/tiny/imported").iterdir())) == 1


def test_without_any_run_and_in_copies(study):
    """It needs no run; its truth stays; a bundle, a table and a merged folder have it."""
    settings = {"problem.noise": 0.3}
    found = ptychosuite.import_result(
        study, "theirs.npz", settings, label="theirs", where="seed == 0", results="r"
    )
    assert ptychosuite.clean(study, settings, results="r").found["orphaned"] == []
    assert ptychosuite.open("r/tiny").truth(found.run_id) is not None
    ptychosuite.merge("m/tiny", "r/tiny")
    assert ptychosuite.open("m/tiny").record(found.run_id).metrics == found.metrics
    ptychosuite.import_result(study, "theirs.npz", label="theirs", where="seed == 0")
    ptychosuite.export(study, "crate", out="kept.zip", licence="MIT", progress=False)
    with ptychosuite.open("kept.zip") as kept:
        assert "theirs (imported)" in set(kept.table["solver"])
        assert "missing" not in str(kept)
    compared = ptychosuite.compare("kept.zip", "results/tiny", out="compared").to_dict()
    assert (compared["only_a"], compared["only_b"]) == (0, 0)
    exported = ptychosuite.export(study, "csv", progress=False)
    assert "theirs (imported)" in exported.path.read_text()


def test_of_problems_that_the_study_has_alone(study):
    """With another noise it is none of its conditions: kept, not shown, and not in the way."""
    ptychosuite.import_result(study, "theirs.npz", label="theirs", where="seed == 0")
    settings = {"problem.noise": 0.3}
    ptychosuite.run(study, settings, cluster="none", progress=False)
    assert len(selected_runs(study, settings, None, "results").table) == 4
    assert ptychosuite.clean(study, settings).found["orphaned"] == []
    assert len(selected_runs(study, (), None, "results").table) == 5


def test_baselines_and_checks_do_not_see_it(study):
    ptychosuite.save_baseline("good", study)
    ptychosuite.import_result(study, "theirs.npz", label="theirs", where="seed == 0")
    verdict = ptychosuite.check(study, baseline="good")
    assert verdict.judgement == "good"
    assert "theirs" not in str(verdict)


def test_positions_found_elsewhere(study):
    """They are judged, and patterns are compared where they say."""
    true = ptychosuite.open(study).truth(ptychosuite.open(study).table["run_id"].iloc[0]).scan_positions_px
    rng = np.random.default_rng(0)
    np.save("positions.npy", true + rng.uniform(-1, 1, true.shape))
    files = ["object.npy", "probe.npy", "positions.npy"]
    found = ptychosuite.import_result(study, files, label="moved", where="seed == 1")
    plain = ptychosuite.import_result(study, files[:2], label="plain", where="seed == 1")
    assert 0.3 < found.metrics["position_error_px"] < 0.9
    assert found.metrics["residual"] > 1.1 * plain.metrics["residual"]
    np.save("positions.npy", true[:-1])
    with pytest.raises(UserError, match=r"positions have shape \(8, 2\); expected \(9, 2\)"):
        ptychosuite.import_result(study, files, label="few", where="seed == 1")


def test_a_probe_of_other_transforms_is_told(study):
    """One that is scaled for unnormalised transforms explains nothing: a word about it, not a refusal."""
    np.save("probe.npy", 16 * np.load("probe.npy"))
    found = ptychosuite.import_result(study, ["object.npy", "probe.npy"], label="x", where="seed == 1")
    assert "far worse than an empty object" in str(found)


def refused(*arguments, **settings):
    with pytest.raises(UserError) as caught:
        ptychosuite.import_result(*arguments, **settings)
    assert not Path("results/tiny/imported").exists()
    return str(caught.value)


def test_refusals(study):
    """Another shape, NaN, a label or files that are none, several problems; nothing is written."""
    obj, probe = np.load("object.npy"), np.load("probe.npy")
    here = {"label": "x", "where": "seed == 0"}
    np.save("wide.npy", np.ones((32, 40)))
    assert "the object has shape (32, 40), that of the problem is (32, 32)" in refused(
        study, "wide.npy", **here
    )
    obj[3, 4] = np.nan
    np.save("nan.npy", obj)
    assert "NaN" in refused(study, "nan.npy", **here)
    np.save("small.npy", probe[:8, :8])
    assert "the probe has shape (8, 8)" in refused(study, ["object.npy", "small.npy"], **here)
    assert "2 problems are left (seed 0; seed 1)" in refused(study, "theirs.npz", label="x")
    assert "--label" in refused(study, "theirs.npz", label="a; b", where="seed == 0")
    assert "found 4 files" in refused(study, ["object.npy"] * 4, **here)
    assert "matches no run" in refused(study, "theirs.npz", label="x", where="seed == 7")
    unknown = {"problem.start_probe": {"kind": "gaussian", "size": 16, "fwhm_px": 5}}
    assert "holds no probe" in refused(study, "object.npy", unknown, **here)
    np.savez("named.npz", a=np.load("object.npy"), b=probe)
    assert "named.npz" in refused(study, "named.npz", **here)
    named = ptychosuite.import_result(study, "named.npz", object_key="a", probe_key="b", **here)
    assert named.is_new
    with pytest.raises(UserError, match="'x' has another result of this problem"):
        ptychosuite.import_result(study, "object.npy", **here)


def product(path, record, pixel_m):
    """A product of ptychodus."""
    with h5py.File(path, "w") as file:
        file["object"], file["probe"] = record.object[None], record.probe[None, None]
        for side in ("height", "width"):
            file["object"].attrs[f"pixel_{side}_m"] = pixel_m
        for axis in "xy":
            file[f"probe_position_{axis}_m"] = np.arange(4.0) * pixel_m
        file["probe_position_indexes"] = np.arange(4)


def test_product_of_another_program(tmp_path, monkeypatch, computed):
    """A product of ptychodus says its pixel, a zone plate's problem has one: they have to be the same."""
    monkeypatch.chdir(tmp_path)
    head = HEAD.replace("{kind: gaussian, size: 16, fwhm_px: 6}", "{kind: fresnel-zone-plate, size: 16}")
    study = study_file(tmp_path, NOISES, head)
    product("same.h5", computed[1], 40e-9)
    product("other.h5", computed[1], 20e-9)
    here = {"label": "ptychodus", "where": "noise == 0.2"}
    found = ptychosuite.import_result(study, "same.h5", **here)
    assert np.array_equal(found.record.object, computed[1].object)
    assert found.record.probe.shape == (16, 16)
    with pytest.raises(UserError, match=r"its pixel is 2e-08 x 2e-08 m, that of the problem 4e-08 m"):
        ptychosuite.import_result(study, "other.h5", **here)
    assert len(list(Store.open("results/tiny").imported.files())) == 1
