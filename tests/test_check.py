"""The commands ``baseline`` and ``check``: planted faults are caught, healthy code is not blamed."""

from __future__ import annotations

import errno
import json
from dataclasses import replace

import pytest
from ptychosuite.backends import arrays
from ptychosuite.core.problem import Problem
from ptychosuite.errors import StoreError
from ptychosuite.metrics.of_truth import MagnitudeError
from ptychosuite.registry.fingerprint import Code
from ptychosuite.solvers import magpie, multigrid
from ptychosuite.solvers.sweep import Sweeping
from ptychosuite.store import place

from tests.faults import other_order, plain_v_cycle, wrong_alpha, wrong_coarse_level
from tests.study.small import carry_out, plan_of, study_file, use_test_solvers

AXES = """\
axes:
  solver: [{name: rpie, alpha: 0.05}, {name: magpie, levels: 2}, lbfgs]
  seed: {range: 2}
"""
SLOW = """\
study: tiny
problem:
  object: {kind: texture, size: 32}
  probe: {kind: gaussian, size: 16, fwhm_px: 6}
  noise: 0
solver: {name: rpie, alpha: 0.5}
stop: {iterations: 200, residual: 0.3}
"""


@pytest.fixture
def checked(command, tmp_path, monkeypatch):
    """Save a baseline of a study, change the code by ``fault``, run again, check: (exit code, verdict)."""

    def call(fault=lambda: None, extra: str = AXES, **head: str) -> tuple[int, dict]:
        study = study_file(tmp_path, extra, **head)
        carry_out(plan_of(study), tmp_path / "results")
        assert command("baseline", "save", "healthy", study)[0] == 0
        change_code(monkeypatch)
        fault()
        carry_out(plan_of(study), tmp_path / "results")
        code, out, _ = command("check", study, "--baseline", "healthy", "--json")
        return code, json.loads(out)

    return call


def change_code(monkeypatch: pytest.MonkeyPatch, fingerprint: str = "changed") -> None:
    """Make every run one that has not been done."""
    code = Code({}, {}, fingerprint)
    monkeypatch.setattr("ptychosuite.registry.fingerprint.code_of", lambda spec: code)


def blamed(verdict: dict, judgement: str = "regression") -> set[str]:
    """The quantities that were judged so."""
    return {f["quantity"] for f in verdict["findings"] if f["judgement"] == judgement}


# Planted faults


def test_healthy_code_is_good(checked):
    """Other code that computes the same raises no alarm, in whatever is compared."""
    code, verdict = checked()
    assert code == 0
    assert verdict["judgement"] == "good"
    assert {f["judgement"] for f in verdict["findings"]} == {"good"}
    assert {"residual", "error", "poisson_nll", "peak_host_bytes", "first iterations", "failure rate"} <= {
        f["quantity"] for f in verdict["findings"]
    }


def test_five_per_cent_more_iterations(checked, monkeypatch):
    """A solver that wastes one iteration of twenty, after the first ones, is told by its iterations."""

    def fault():
        healthy = Sweeping.step

        def idle_now_and_then(self, problem, state, rng):
            passes = getattr(state, "data_passes", 0)
            if passes % 20 == 19:
                return replace(state, data_passes=passes + 1)
            return healthy(self, problem, state, rng)

        monkeypatch.setattr(Sweeping, "step", idle_now_and_then)

    code, verdict = checked(fault, "", head=SLOW)
    assert code == 1
    (finding,) = [f for f in verdict["findings"] if f["quantity"] == "iterations_to_tol"]
    assert finding["judgement"] == "regression"
    assert 1.03 < finding["found"] / finding["baseline"] < 1.07


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_wrong_alpha(checked, monkeypatch, dtype, factor):
    """A regularisation that is two per cent off, either way, is another computation."""

    code, verdict = checked(lambda: wrong_alpha(monkeypatch, factor), f"dtype: {dtype}\n{AXES}")
    assert code == 1
    assert "first iterations" in blamed(verdict)
    assert {f["subject"].split(" ")[0] for f in verdict["findings"] if f["judgement"] == "regression"} == {
        "rpie"
    }


def test_changed_random_order(checked, monkeypatch):
    """Another order of the positions is another computation; L-BFGS, which knows none, is not blamed."""

    code, verdict = checked(lambda: other_order(monkeypatch))
    assert code == 1
    assert "first iterations" in blamed(verdict)
    lbfgs = {f["judgement"] for f in verdict["findings"] if f["subject"].startswith("lbfgs")}
    assert lbfgs == {"good"}


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("factor", [0.999, 1.001])
def test_small_error_in_one_coarse_level(checked, monkeypatch, dtype, factor):
    """Coefficients of a coarse level a part in a thousand off are caught, in single precision too."""
    plain_v_cycle(monkeypatch)
    monkeypatch.setattr(magpie, "hierarchy", multigrid.hierarchy.__wrapped__)
    code, verdict = checked(lambda: wrong_coarse_level(monkeypatch, factor), f"dtype: {dtype}\n{AXES}")
    assert code == 1
    assert "first iterations" in blamed(verdict)
    assert all(f["subject"].startswith("magpie") for f in verdict["findings"] if f["judgement"] != "good")


def test_metric_that_is_no_number(checked, monkeypatch):
    """A metric that has become NaN is a regression, and the other metrics are not blamed for it."""

    def fault():
        monkeypatch.setattr(MagnitudeError, "value", lambda *_: float("nan"))

    code, verdict = checked(fault)
    assert code == 1
    assert blamed(verdict) == {"error", "first iterations"}


def test_better_is_reported(checked, monkeypatch):
    """What has become better beyond the tolerance is not red, and is told."""

    def fault():
        healthy = MagnitudeError.value
        monkeypatch.setattr(MagnitudeError, "value", lambda *given: healthy(*given) / 2)

    code, verdict = checked(fault)
    assert code == 0
    assert verdict["judgement"] == "improvement"
    assert {"error", "first iterations"} <= blamed(verdict, "improvement")


def test_run_that_fails_or_diverges_now(command, tmp_path, monkeypatch):
    """A run that completed and does not any more is a regression, and so is the share of such runs."""
    use_test_solvers(tmp_path / "plug-ins", monkeypatch)
    study = study_file(tmp_path, "axes: {seed: {range: 2}}\n")
    carry_out(plan_of(study), tmp_path / "results")
    command("baseline", "save", "healthy", study)
    change_code(monkeypatch)
    monkeypatch.setattr(Sweeping, "step", lambda *_: 1 / 0)
    carry_out(plan_of(study), tmp_path / "results")
    code, out, _ = command("check", study, "--baseline", "healthy", "--json")
    assert code == 1
    assert blamed(json.loads(out)) == {"status", "failure rate"}


MASKED = """\
study: tiny
problem:
  object: {kind: texture, size: 32}
  probe: {kind: gaussian, size: 16, fwhm_px: 6}
stop: {iterations: 3}
axes:
  solver: [{name: rpie, alpha: 0.1}, {name: lsqml}, lbfgs, {name: adam}]
  problem.detector: [{}, {dead_pixels: 0.05}]
"""


def test_ignored_mask(checked, monkeypatch):
    """Solvers that look at pixels that do not count are blamed, in the runs that have such pixels."""
    code, verdict = checked(lambda: monkeypatch.setattr(Problem, "mask", lambda *_: None), "", head=MASKED)
    assert code == 1
    subjects = {f["subject"] for f in verdict["findings"] if f["judgement"] == "regression"}
    assert {subject.split(" ")[0] for subject in subjects} == {"rpie", "lsqml", "lbfgs", "adam"}
    assert all("dead_pixels" in subject for subject in subjects)


# Another machine

LENS = """\
study: tiny
problem:
  object: {kind: texture, size: 32}
  probe: {kind: lens, size: 16, aperture_px: 3, defocus_rad: 4}
dtype: complex128
solver: {name: rpie, alpha: 0.1}
stop: {iterations: 10}
check: {tolerance: {first_iterations: 1e-9, residual: 1e-6, error: 1e-6, poisson_nll: 1e-6}}
"""


def test_unchanged_code_on_another_machine(checked, monkeypatch):
    """A run that amplifies rounding is told by beginning it a rounding error aside, and is no regression."""
    code, verdict = checked(lambda: monkeypatch.setattr(arrays, "ducc", None), "", head=LENS)
    assert code == 0
    differing = [f for f in verdict["findings"] if f["message"].startswith("beyond the usual tolerance")]
    assert {"first iterations", "residual"} <= {f["quantity"] for f in differing}
    assert max(abs(f["found"] / f["baseline"] - 1) for f in differing) > 1e-5


def test_a_fault_on_another_machine(checked, monkeypatch):
    """A fault in that run is more than rounding does to it."""

    def fault():
        monkeypatch.setattr(arrays, "ducc", None)
        wrong_alpha(monkeypatch, 3.0)

    code, verdict = checked(fault, "", head=LENS)
    assert code == 1
    assert "first iterations" in blamed(verdict)


# What cannot be judged


def test_runs_that_are_not_done_are_not_green(command, tmp_path, monkeypatch):
    """Results of other code do not count; the verdict says what to run."""
    study = study_file(tmp_path)
    carry_out(plan_of(study), tmp_path / "results")
    command("baseline", "save", "healthy", study)
    change_code(monkeypatch)
    code, out, _ = command("check", study, "--baseline", "healthy")
    assert code == 3
    assert "could not judge" in out
    assert f"ptychosuite run {study}" in out


def test_changed_study_is_not_green(command, tmp_path):
    """Runs that the baseline or the study lacks cannot be judged, even where the others are good."""
    study = study_file(tmp_path, "axes: {seed: [0, 1]}\n")
    carry_out(plan_of(study), tmp_path / "results")
    command("baseline", "save", "healthy", study)
    study = study_file(tmp_path, "axes: {seed: [0, 2]}\n")
    carry_out(plan_of(study), tmp_path / "results")
    code, out, _ = command("check", study, "--baseline", "healthy", "--json")
    assert code == 3
    lost = {f["message"].split(";")[0]: f["subject"] for f in json.loads(out)["findings"] if f["message"]}
    assert lost == {
        "the baseline does not have this run": "seed 2",
        "the study no longer has this run": "seed 1",
    }
    assert "baseline save healthy STUDY --force" in out


# Wrong usage


@pytest.fixture
def saved(command, tmp_path):
    """A study that has been run, with its baseline "healthy"."""
    study = study_file(tmp_path)
    carry_out(plan_of(study), tmp_path / "results")
    assert command("baseline", "save", "healthy", study)[0] == 0
    return study


def test_something_to_compare_with_is_needed(command, saved):
    code, _, err = command("check", saved)
    assert code == 2
    assert "--baseline" in err


@pytest.mark.parametrize("name", ["helthy", "../healthy", ""])
def test_baseline_that_is_not_there(command, saved, name):
    """The nearest name, or what a name may be."""
    code, _, err = command("check", saved, "--baseline", name)
    assert code == 2
    assert ("did you mean 'healthy'?" in err) == (name == "helthy")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[:200], "damaged"),
        (lambda text: "[]", "damaged"),
        (lambda text: text.replace('"status"', '"stattus"'), "damaged"),
        (lambda text: text.replace('"schema": 1', '"schema": 0'), "schema version 0"),
        (lambda text: text.replace('"study": "tiny"', '"study": "other"'), "of the study 'other'"),
    ],
)
def test_baseline_that_cannot_be_used(command, saved, tmp_path, damage, said):
    """Damaged, of another version or of another study: said with what to do."""
    file = tmp_path / "results/baselines/healthy.json"
    file.write_text(damage(file.read_text()))
    code, _, err = command("check", saved, "--baseline", "healthy")
    assert code == 2
    assert said in err


def test_save_replaces_only_when_told(command, saved, tmp_path):
    before = (tmp_path / "results/baselines/healthy.json").read_text()
    code, _, err = command("baseline", "save", "healthy", saved)
    assert (code, "--force" in err) == (2, True)
    assert (tmp_path / "results/baselines/healthy.json").read_text() == before
    assert command("baseline", "save", "healthy", saved, "--force")[0] == 0


def test_save_wants_all_runs(command, saved, tmp_path, monkeypatch):
    """Runs that are missing, have failed, or end by the clock make no baseline."""
    code, _, err = command("baseline", "save", "more", saved, "--set", "seed=[0, 1]")
    assert code == 2
    assert "1 of 2 runs" in err
    assert "'seed 1'" in err
    use_test_solvers(tmp_path / "plug-ins", monkeypatch)
    failing = study_file(tmp_path, "solver: raises\n", name="failing.yaml")
    carry_out(plan_of(failing), tmp_path / "results")
    code, _, err = command("baseline", "save", "more", failing)
    assert code == 2
    assert "have failed" in err
    timed = study_file(tmp_path, "axes: {stop.seconds: [100.0]}\n", name="timed.yaml")
    carry_out(plan_of(timed), tmp_path / "results")
    code, _, err = command("baseline", "save", "more", timed)
    assert code == 2
    assert "stop.seconds" in err
    assert [file.name for file in (tmp_path / "results/baselines").iterdir()] == ["healthy.json"]


# Outputs


def test_list(command, saved):
    code, out, _ = command("baseline", "list")
    assert code == 0
    assert out.splitlines()[1].split()[:2] == ["healthy", "tiny"]
    (entry,) = json.loads(command("baseline", "list", "--json")[1])
    assert (entry["name"], entry["runs"]) == ("healthy", 1)


def test_every_check_leaves_its_verdict(command, saved, tmp_path):
    """Two checks leave two files, and what is printed names them; results stay usable."""
    for number in (1, 2):
        code, out, _ = command("check", saved, "--baseline", "healthy")
        assert code == 0
        assert out.startswith("tiny against baseline healthy: good.")
        files = sorted((tmp_path / "results/tiny/checks").glob("*.json"))
        assert len(files) == number
        assert files[-1].name in out
    assert command("run", saved, "--cluster", "none")[0] == 0
    code, out, _ = command("check", saved, "--baseline", "healthy", "--all")
    assert "first iterations" in out


@pytest.mark.parametrize("machine", [False, True])
def test_results_that_cannot_be_written_are_judged(command, saved, tmp_path, monkeypatch, machine):
    """Told as ever; a line says that the verdict is not kept, and why."""

    def refused(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(place, "_write", refused)
    code, out, err = command("check", saved, "--baseline", "healthy", *(["--json"] if machine else []))
    assert code == 0
    assert err.startswith("verdict not kept: cannot write ")
    assert "Read-only file system" in err
    if machine:
        assert (json.loads(out)["judgement"], json.loads(out)["file"]) == ("good", None)
    else:
        assert out.startswith("tiny against baseline healthy: good.")
        assert "verdict: " not in out
    assert not (tmp_path / "results/tiny/checks").exists()


def test_verdict_that_is_not_kept_is_drawn(command, saved, tmp_path, monkeypatch):
    """The history ends with it."""

    def refused(*_):
        raise StoreError("locked")

    monkeypatch.setattr("ptychosuite.api.checking.keep_verdict", refused)
    code, out, err = command("check", saved, "--baseline", "healthy", "--out", "pages")
    assert (code, err) == (0, "verdict not kept: locked\n")
    assert "trend: pages/tiny-trend.html" in out


def test_nothing_is_written_where_no_results_are(command, saved, tmp_path):
    """The runs are missing, which is said; no folder is made for the verdict."""
    before = sorted(tmp_path.rglob("*"))
    code, _, err = command("check", saved, "--baseline", "healthy", "--results", "elsewhere")
    assert code == 3
    assert "verdict not kept: no results in elsewhere/tiny" in err
    assert sorted(tmp_path.rglob("*")) == before


def test_files_for_servers(command, saved, tmp_path):
    """JUnit and Markdown are written where asked; a folder that is not there is named."""
    code, _, _ = command("check", saved, "--baseline", "healthy", "--junit", "j.xml", "--markdown", "m.md")
    assert code == 0
    assert "<testsuite" in (tmp_path / "j.xml").read_text()
    assert (tmp_path / "m.md").read_text().startswith("## tiny: good")
    code, _, err = command("check", saved, "--baseline", "healthy", "--junit", "nowhere/j.xml")
    assert (code, "nowhere/j.xml" in err) == (2, True)


def test_history_is_drawn_where_asked(command, saved, tmp_path):
    """The page of the study's checks, this one among them."""
    code, out, _ = command("check", saved, "--baseline", "healthy", "--out", "pages")
    assert code == 0
    assert "trend: pages/tiny-trend.html" in out
    assert (tmp_path / "pages/tiny-trend.html").is_file()


def test_github(command, saved, tmp_path, monkeypatch):
    """Under GitHub Actions there are annotations, and the summary is added to."""
    (tmp_path / "summary.md").write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    change_code(monkeypatch)
    assert "::warning" not in command("check", saved, "--baseline", "healthy")[1]
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert "::warning title=could not judge" in command("check", saved, "--baseline", "healthy")[1]
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("before\n")
    assert summary.count("## tiny: could not judge") == 2
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "nowhere/summary.md")
    code, _, err = command("check", saved, "--baseline", "healthy")
    assert (code, "nowhere/summary.md" in err) == (2, True)
