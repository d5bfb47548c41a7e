"""What is kept of runs, and the file it is kept in."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ptychosuite.analysis.baseline import (
    Baseline,
    as_text,
    baselines,
    figures_of,
    present_runs,
    read_baseline,
    write_baseline,
)
from ptychosuite.core.runs import RunRecord, Status

from tests.study.small import carry_out, plan_text


@pytest.fixture
def baseline(tmp_path) -> Baseline:
    """The figures of two runs."""
    plan = plan_text(tmp_path, "axes: {seed: [0, 1], problem.noise: [0.05]}\n")
    store, _ = carry_out(plan, tmp_path / "results")
    present = present_runs(plan, str(store.root))
    assert not present.missing
    return Baseline("b", plan.name, "2026-01-01T00:00:00", present.environment, tuple(present.figures))


def record(plan, **curves: list[float]) -> RunRecord:
    arrays = {name: np.array(values) for name, values in curves.items()}
    return RunRecord("r", plan.runs[0], Status.COMPLETED, {"residual": 1.0, "seconds": 5.0}, arrays)


def test_what_is_kept(tmp_path):
    """Curves at a few iterations where something was measured; NaN as none; nothing of time."""
    plan = plan_text(tmp_path, "")
    residual, error = [9.0, 8.0] + 9 * [np.nan], [3.0, np.nan] + 9 * [np.nan]
    residual[10] = 1.0
    figures = figures_of(record(plan, residual=residual, error=error, seconds=list(range(11))), "run")
    assert figures.curves == {
        "residual": {"0": 9.0, "1": 8.0, "10": 1.0},
        "error": {"0": 3.0, "1": None, "10": None},
    }
    assert figures.metrics == {"residual": 1.0}


def test_baseline_survives_its_file(baseline, tmp_path):
    """What is written is read back, digit for digit."""
    write_baseline(tmp_path, baseline)
    assert read_baseline(tmp_path, "b") == baseline
    assert baselines(tmp_path) == [baseline]
    assert {"sources", "packages", "cpu"} <= set(baseline.environment)


def test_file_is_reviewable(baseline):
    """The same figures give the same text, and one changed figure changes one line."""
    text = as_text(baseline)
    assert json.loads(text)["schema"] == 1
    assert [run.label for run in baseline.runs] == ["seed 0", "seed 1"]
    first, second = baseline.runs
    changed = replace(baseline, runs=(first, replace(second, metrics={**second.metrics, "residual": 1.0})))
    pairs = zip(text.splitlines(), as_text(changed).splitlines(), strict=True)
    assert sum(old != new for old, new in pairs) == 1


def test_nothing_of_the_machine_but_what_computes(baseline):
    """A committed file tells neither host nor user nor paths."""
    assert not {"host", "platform", "process", "memory_bytes"} & set(baseline.environment)


def test_other_files_in_the_folder_are_named(baseline, tmp_path):
    """A listing does not pass over what it cannot read."""
    from ptychosuite.errors import BaselineError

    write_baseline(tmp_path, baseline)
    (tmp_path / "notes.json").write_text("{}")
    with pytest.raises(BaselineError, match=r"notes\.json is no baseline"):
        baselines(tmp_path)
