"""Done, failed, to do: counted once, and alike by all that say it."""

from __future__ import annotations

import json

import ptychosuite
import pytest
from ptychosuite.store.place import LocalPlace
from ptychosuite.store.read import Inventory, Standing

from tests.study.small import forget_names, study_file, use_test_solvers

STUDY = "axes: {solver: [rpie, raises, diverges], seed: {range: 2}}\n"


@pytest.fixture
def study(tmp_path, monkeypatch):
    use_test_solvers(tmp_path / "plug-ins", monkeypatch)
    yield study_file(tmp_path, STUDY)
    forget_names()


def test_every_run_is_one_of_three():
    held = Inventory({"a": LocalPlace("a")}, {"b": LocalPlace("b")})
    assert str(Standing.of("abc", held)) == "1 done, 1 failed, 1 to do"
    assert str(Standing.of("abc", held, "b")) == "1 done, 2 to do (1 of them again)"
    assert str(Standing.of("abc", held, "abc")) == "0 done, 3 to do (2 of them again)"
    assert str(Standing.of("c", held)) == "0 done, 1 to do"


def test_plan_and_run_count_alike(command, study):
    """Failed runs are neither done nor to do, for both and at any time; diverged ones are done."""
    options = ("--cluster", "none")
    before = "6 runs, 0 done, 6 to do"
    assert before in command("plan", study)[1]
    code, out, err = command("run", study, *options, "--where", "seed == 0")
    assert code == 1
    assert "3 of 6 runs (--where 'seed == 0'), 0 done, 3 to do" in out
    assert "1 of 3 runs failed" in err
    after = "6 runs, 2 done, 1 failed, 3 to do"
    assert after in command("plan", study)[1]
    assert after in command("run", study, *options, "--dry-run")[1]
    retried = "6 runs, 2 done, 4 to do (1 of them again)"
    assert retried in command("run", study, *options, "--retry-failed", "--dry-run")[1]
    planned = ptychosuite.plan(study)
    sweep = ptychosuite.prepare(study, cluster="none")
    assert planned.standing == sweep.standing
    assert planned.remaining == tuple(sweep.specs)
    assert len(planned.remaining) == planned.standing.to_do
    data = json.loads(command("plan", study, "--json")[1])
    assert data["counts"] == {"done": 2, "failed": 1, "to_do": 3}
    assert [run["state"] for run in data["runs"]].count("failed") == 1
    _, out, _ = command("run", study, *options, "--json")
    found = json.loads(out)
    assert found["counts"] == {
        "done_before": 2, "failed_before": 1, "failed": 2, "completed": 1, "diverged": 1
    }  # fmt: skip
    assert all("RuntimeError" in why or "Error" in why for why in found["failures"].values())
    assert len(found["failures"]) == 2
    shown = command("show", study)[1]
    assert "2 completed" in shown
    assert "2 failed" in shown
