"""The speed-up figure and its table on the page."""

from __future__ import annotations

import pandas as pd
import pytest
from ptychosuite.analysis.selection import selection_of_plan
from ptychosuite.errors import NothingToDraw
from ptychosuite.reporting.figures.convergence import ConvergenceFigure
from ptychosuite.reporting.figures.speed_up import SpeedUpFigure
from ptychosuite.reporting.page import write_report

from tests.report.drawing import draw
from tests.report.test_report import Page
from tests.study.small import carry_out, plan_text

STUDY = """\
axes:
  fast_forward: [off, {kind: identity, warm_up: 2, jumps: 1, look_ahead: 2}, {kind: extrapolation, warm_up: 2,
                 jumps: 1, look_ahead: 2}]
  solver: [rpie, {name: magpie, levels: 2}]
  seed: {range: 6}
figures:
  - {kind: speed-up}
  - {kind: speed-up, x: iteration, metric: deviance, within: 0.01, where: {solver: rpie}, title: Fewer}
  - {kind: speed-up, where: {fast_forward: ""}}
  - {kind: convergence, line: fast_forward}
"""


@pytest.fixture(scope="module")
def selection(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speed")
    plan = plan_text(folder, STUDY, "stop={iterations: 6, check_every: 1}")
    assert plan.factors["fast_forward"] is False
    carry_out(plan, folder / "results")
    return selection_of_plan(plan, folder / "results")


@pytest.mark.usefixtures("quick_figures")
def test_page_has_figure_and_table(selection, tmp_path):
    """A row a solver and operator, with what did not reach the target told apart; one figure has no runs."""
    page = write_report(selection, tmp_path)
    text = Page(page.read_text(encoding="utf-8")).text
    for part in (
        "rPIE + identity at 2",
        "MAGPIE + extrapolation factor 6 at 2",
        "median speed-up",
        "95 % interval",
        "final Poisson NLL over plain, worst",
        "jumps rejected",
        "Not drawn: no fast-forwarded run has a plain partner",
        "stays at or below what the plain run",
        "ends with, or 0.01 of it more",
    ):
        assert part in text, part
    stems = sorted(path.stem for path in (page.parent / "figures").glob("*.svg"))
    assert stems == ["convergence-residual-iteration", "speed-up-iteration", "speed-up-seconds"]
    pairs = pd.read_csv(page.parent / "numbers" / "speed-up-seconds.csv")
    assert len(pairs) == 24
    assert "nan" not in text.split("Summary")[0]
    lines = pd.read_csv(page.parent / "numbers" / "convergence-residual-iteration.csv")["line"]
    assert "off" in set(lines)


@pytest.mark.parametrize("panel", ["solver", None])
def test_lines_of_operators_share_the_panel_of_their_solver(selection, panel):
    """A fast-forward is a line there, and no panel as well."""
    figure = ConvergenceFigure(line="fast_forward", panel=panel)
    numbers = draw(figure, selection.table, selection.dataset).numbers
    assert {title.removeprefix("solver ") for title in numbers["panel"]} == {"rPIE", "MAGPIE"}
    assert (numbers.groupby("panel")["line"].nunique() == 3).all()


def test_identity_is_no_faster(selection):
    """In iterations, a jump to where the run is gains and loses nothing, nor does one that is rejected."""
    drawn = draw(SpeedUpFigure(x="iteration"), selection.table, selection.dataset)
    assert (drawn.numbers["speed_up"] == 1).all()
    assert (drawn.numbers["final_ratio"] == 1).all()
    assert drawn.table is not None
    rejected = drawn.table.set_index(drawn.table.columns[0])["jumps rejected"]
    assert [share for line, share in rejected.items() if "extrapolation" in line] == ["100%"] * 2
    assert [share for line, share in rejected.items() if "identity" in line] == ["0%"] * 2
    assert set(drawn.table["95 % interval"]) == {"1.00 to 1.00"}


def test_without_plain_runs(selection):
    """There is nothing to compare with."""
    alone = selection.table[selection.table["fast_forward"] != ""]
    alone.attrs = selection.table.attrs
    with pytest.raises(NothingToDraw, match="no fast-forwarded run has a plain partner"):
        draw(SpeedUpFigure(), alone, selection.dataset)
