"""A run that ends above its own start is counted, named and never leads in silence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from ptychosuite.analysis.outcomes import ABOVE_START, Outcome
from ptychosuite.analysis.selection import selection_of_plan
from ptychosuite.reporting.figures.material import RunFiles
from ptychosuite.reporting.origin import troubles
from ptychosuite.reporting.overview import cards, groups, matrix, summary_table
from ptychosuite.reporting.page import write_report
from ptychosuite.solvers.solver import Solver, SweepState

from tests.study.small import carry_out, plan_text


@dataclass(frozen=True, kw_only=True)
class Growing(Solver):
    """Makes the object larger at each step: its tolerance is met at once, and what it finds gets worse."""

    label: ClassVar[str] = "growing"

    def init(self, problem):
        return SweepState(problem.start_object, problem.probe)

    def step(self, problem, state, rng):
        return replace(state, object=1.3 * state.object)


STUDY = """\
axes:
  solver: [rpie, "tests.report.test_above_start:Growing"]
  seed: {range: 2}
figures:
  - {kind: convergence, metric: residual}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("above")
    plan = plan_text(folder, STUDY)
    carry_out(plan, folder / "results")
    return plan, folder / "results"


def test_it_is_counted_and_named(study):
    selection = selection_of_plan(*study)
    assert selection.outcome.completed == 4
    assert selection.outcome.above_start == 2
    assert selection.outcome.text == "4 of 4 completed, 2 of them above their start"
    found = troubles(selection, RunFiles(selection.store), "results")
    assert [trouble.status for trouble in found] == [ABOVE_START] * 2
    assert all("growing" in trouble.label and "ends above its start" in trouble.message for trouble in found)


def test_it_does_not_lead_in_silence(study):
    """Alone on its condition it is the best line: the card says what that is worth, and is a warning."""
    selection = selection_of_plan(*study)
    found = groups(selection)
    alone = [group for group in found if group.line == "growing"]
    *_, card = cards(selection, alone)
    assert card.value == "growing"
    assert card.is_warning
    assert "2 of 2 completed, 2 of them above their start" in card.lines
    assert [cell.above_start for row in matrix(found).cells for cell in row] == [0, 2]
    assert any("above their start" in text for row in summary_table(selection, found).rows for text in row)


def test_the_page_says_it(study, tmp_path):
    page = write_report(selection_of_plan(*study), tmp_path)
    text = page.read_text(encoding="utf-8")
    assert "Runs that did not complete or ended above their start" in text
    assert "2 of them above their start" in text


def test_runs_of_earlier_versions_do_not_say(study):
    """Their tables have no such column: nothing is claimed of them."""
    table = selection_of_plan(*study).table.drop(columns="above_start")
    assert Outcome.of_rows(table).is_sound
