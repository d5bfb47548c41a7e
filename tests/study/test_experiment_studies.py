"""The studies of what experiments suffer plan, and are small."""

from __future__ import annotations

import pytest
from ptychosuite.problems.problem_kind import kind_of

from tests.study.small import REPOSITORY, plan_of

FOLDER = REPOSITORY / "studies" / "experiment"


@pytest.mark.parametrize("name", ["coherence", "positions", "flyscan", "dose", "gaps"])
def test_study(name):
    """Some runs with each of its faults, some without, all of one scan where one question is asked."""
    plan = plan_of(FOLDER / f"{name}.yaml")
    assert plan.name == f"experiment-{name}"
    assert 10 <= len(plan.runs) <= 30
    groups = [path for path in plan.factors if path.startswith("problem.") and "scan.overlap" not in path]
    assert groups
    positions = {kind_of(run.problem).size().n_positions for run in plan.runs}
    assert len(positions) == (3 if name == "positions" else 1)


def test_a_question_takes_twenty_lines():
    """How much position error at which overlap, with and without correction: written as one asks it."""
    assert len((FOLDER / "positions.yaml").read_text().splitlines()) <= 20
