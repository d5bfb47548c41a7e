"""A study that is tuned, from its tries to its report."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import ptychosuite
import pytest
from ptychosuite.errors import StoreError, StudyError
from ptychosuite.solvers.pie import RPIE
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory, read_run

STUDY = """\
study: tuned
problem:
  object: {kind: texture, size: 32}
  probe: {kind: gaussian, size: 16, fwhm_px: 6}
stop: {iterations: 4}
figures: []
axes:
  problem.noise: [0.05, 0.2]
  solver: [rpie, {name: lsqml, batch: 8}, lbfgs]
  seed: {range: 2}
tune:
  tries: 4
  over:
    - solver.alpha: {loguniform: [0.005, 1]}
    - {where: {solver: lsqml}, solver.step_length: {uniform: [0.2, 1]}}
"""


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tuned.yaml"
    path.write_text(STUDY)
    return path


def tries(study: Path):
    """What all tries ended with, read from their files."""
    return {
        run_id: read_run(file) for run_id, file in inventory(Store.open("results/tuned.tuning")).done.items()
    }


def test_from_tries_to_report(command, study):
    """One command: the tries, the settings that do best, the runs with them, and all of it in the report."""
    code, out, err = command("plan", study)
    assert code == 0
    assert "16 runs, 0 done, 16 to do" in out
    assert "these are tries, for 2 sets of settings; the 12 runs of the study follow" in out
    code, out, err = command("run", study, "--cluster", "none")
    assert code == 0, err
    assert "12 completed" in out
    best = best_alpha(tries(study))
    plan = ptychosuite.plan(study)
    assert {run.solver["alpha"] for run in plan.runs.values() if run.solver["name"] == "rpie"} == {best}
    assert set(plan.states.values()) == {"done"}
    assert f"tuned: rPIE: alpha {best:g}, the best of 4 tries" in str(plan)
    code, out, err = command("report", study)
    assert code == 0, err
    page = Path("reports/tuned/index.html").read_text()
    assert "Settings found by tries" in page
    rows = list(csv.DictReader(Path("reports/tuned/numbers/tuning.csv").read_text().splitlines()))
    assert [row["line"] for row in rows] == ["rPIE"] * 4 + [
        "LSQML"
    ] * 4  # settings that were found name no line
    assert [
        float(row["solver.alpha"]) for row in rows if row["chosen"] == "True" and row["solver.alpha"]
    ] == [best]
    code, out, _ = command("run", study, "--cluster", "none")
    assert (code, out.splitlines()[-1]) == (0, "nothing to do; results: results/tuned/study.zarr")


def best_alpha(records) -> float:
    """By the mean rank over the problems, counted here."""
    by_problem: dict[str, list[tuple[float, float]]] = {}
    for run in records.values():
        if run.spec.solver["name"] == "rpie":
            pair = run.metrics["residual"], run.spec.solver["alpha"]
            by_problem.setdefault(run.spec.problem_id, []).append(pair)
    ranks: dict[float, list[int]] = {}
    for pairs in by_problem.values():
        for rank, (_, alpha) in enumerate(sorted(pairs)):
            ranks.setdefault(alpha, []).append(rank)
    return min(ranks, key=lambda alpha: np.mean(ranks[alpha]))


def test_without_its_tries(command, study):
    """What needs to know the runs says in one sentence what is to be done first; 'off' needs none."""
    for arguments in (("report", study), ("check", study, "--published"), ("figures", study)):
        code, _, err = command(*arguments)
        assert code == 2
        assert "tuned: 16 of its 16 tries are to do" in err
        assert "Traceback" not in err
    code, out, _ = command("run", study, "--cluster", "none", "--set", "tune=off", "--first", "2")
    assert code == 0
    assert "2 completed" in out
    assert not Path("results/tuned.tuning").exists()


def test_shares_of_the_tries(study):
    """Each call does its share, and the runs follow when all are done: nothing is compared before."""
    with pytest.raises(StudyError, match="8 of its 16 tries are to do"):
        ptychosuite.run(study, cluster="none", shard="1/2", progress=False)
    assert not Path("results/tuned").exists()
    outcome = ptychosuite.run(study, cluster="none", shard="2/2", progress=False)
    assert sum(outcome.counts.values()) == 6
    assert len(tries(study)) == 16
    outcome = ptychosuite.run(study, cluster="none", shard="1/2", progress=False)
    assert sum(outcome.counts.values()) == 6


@dataclass(frozen=True)
class FailsAbove(RPIE):
    """Raises where alpha is above ``limit``, unless the file ``cure`` exists."""

    limit: float = 0.3
    cure: str = "cure"

    def step(self, problem, state, rng):
        if self.alpha > self.limit and not Path(self.cure).exists():
            raise RuntimeError("too bold")
        return super().step(problem, state, rng)


def test_tries_that_fail(study):
    """They are the last of their problem, and counted; --retry-failed tries them again."""
    study.write_text(STUDY.replace("rpie,", "{name: 'tests.api.test_tuning:FailsAbove'},"))
    outcome = ptychosuite.run(study, cluster="none", progress=False)
    assert outcome.counts["completed"] == 12
    found = ptychosuite.plan(study).plan.tuned[0]
    failed = [place for place, tried in enumerate(found.tries) if tried["solver.alpha"] > 0.3]
    assert failed
    assert all(found.completed[place] == 0 and found.medians[place] is None for place in failed)
    assert found.chosen not in failed
    Path("cure").touch()
    ptychosuite.run(study, cluster="none", progress=False)
    assert ptychosuite.plan(study).plan.tuned[0] == found  # failed ones are left alone
    ptychosuite.run(study, cluster="none", progress=False, retry_failed=True)
    assert min(ptychosuite.plan(study).plan.tuned[0].completed) == 2


@pytest.mark.parametrize(
    "change", [{"chosen": 9}, {"tries": []}, {"ranks": [1.0]}, {"metric": 3}, {"solver": 1}]
)
def test_odd_notes_are_refused(study, change):
    """What a session notes of the tries may have been damaged: one sentence."""
    ptychosuite.run(study, cluster="none", progress=False, where="seed == 0")
    for session in Path("results/tuned/sessions").glob("*.json"):
        content = json.loads(session.read_text())
        content["tuned"][0] |= change
        session.write_text(json.dumps(content))
    with pytest.raises(StoreError, match=r"tuned.*get a fresh copy"):
        ptychosuite.report("results/tuned")


def test_all_tries_fail(study):
    """Nothing is called the best; the runs have the settings of the study, and fail in their turn."""
    study.write_text(STUDY.replace("rpie,", "{name: 'tests.api.test_tuning:FailsAbove', limit: 0},"))
    outcome = ptychosuite.run(study, cluster="none", progress=False)
    assert (outcome.counts["failed"], outcome.counts["completed"]) == (4, 8)
    planned = ptychosuite.plan(study)
    assert "none of 4 tries completed; it stays as it is written" in str(planned)
    assert {run.solver.get("alpha") for run in planned.runs.values() if "limit" in run.solver} == {0.05}


def test_goes_with_the_results(command, study, tmp_path):
    """A results folder and a bundle tell what the tries have found, without the tries."""
    assert command("run", study, "--cluster", "none")[0] == 0
    shutil.rmtree("results/tuned.tuning")
    code, _, err = command("report", "results/tuned", "--out", "of-folder")
    assert code == 0, err
    assert "Settings found by tries" in Path("of-folder/tuned/index.html").read_text()
    code, _, err = command(
        "export", "results/tuned", "--to", "crate", "--license", "CC0-1.0", "--out", "bundle.zip"
    )
    assert code == 0, err
    code, _, err = command("report", "bundle.zip", "--out", "of-bundle")
    assert code == 0, err
    assert "Settings found by tries" in Path("of-bundle/tuned/index.html").read_text()


TO_TOLERANCE = """\
study: tuned
problem:
  object: {kind: texture, size: 32}
  probe: {kind: gaussian, size: 16, fwhm_px: 6}
stop: {iterations: 20, residual: 4.1}
figures: []
axes:
  solver: [rpie]
tune:
  tries: 6
  by: seconds_to_tol
  over:
    - solver.alpha: {loguniform: [0.001, 1]}
"""


def test_by_time_to_tolerance(command, study, quick_figures):
    """Times are from the clocks of the tries; one that never gets there is told from a failed one."""
    study.write_text(TO_TOLERANCE)
    code, out, err = command("run", study, "--cluster", "none")
    assert code == 0, err
    assert "the best of 6 tries (time to tolerance / s " in out
    expected = {}
    for record in tries(study).values():
        met = record.metrics["iterations_to_tol"]
        expected[record.spec.solver["alpha"]] = None if np.isnan(met) else record.curves["seconds"][int(met)]
    found = ptychosuite.plan(study).plan.tuned[0]
    assert [expected[tried["solver.alpha"]] for tried in found.tries] == list(found.medians)
    assert list(found.without) == [int(value is None) for value in found.medians]
    assert sum(found.without) in range(1, 6)
    assert set(found.completed) == {1}
    page = Path(ptychosuite.report(study, progress=False))
    assert f"6 on 1 problem, {sum(found.without)} not met" in page.read_text(encoding="utf-8")
    rows = [*csv.DictReader((page.parent / "numbers/tuning.csv").open())]
    assert [row["without_value"] for row in rows] == [*map(str, found.without)]


def test_no_try_meets_its_tolerance(study):
    """They have completed, and it is said what they lack; the solver stays as it is written."""
    study.write_text(TO_TOLERANCE.replace("4.1", "1e-9"))
    ptychosuite.run(study, cluster="none", progress=False)
    assert "rPIE: not met in any of 6 tries; it stays as it is written" in str(ptychosuite.plan(study))
