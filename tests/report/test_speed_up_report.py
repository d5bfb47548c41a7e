"""The speed-up figure and its table on the page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.markers import CARETLEFT, CARETRIGHT
from ptychosuite.analysis.selection import selection_of_plan
from ptychosuite.errors import NothingToDraw, StudyError
from ptychosuite.reporting.figures.convergence import ConvergenceFigure
from ptychosuite.reporting.figures.speed_up import SpeedUpFigure
from ptychosuite.reporting.overview import cards
from ptychosuite.reporting.page import write_report

from tests.analysis.made_up import made_up, run
from tests.report.drawing import draw
from tests.report.test_report import Page
from tests.study.small import carry_out, plan_text

STUDY = """\
axes:
  fast_forward: [off, {kind: identity, warm_up: 2, jumps: 1, look_ahead: 2}, {kind: extrapolation, warm_up: 2,
                 jumps: 1, look_ahead: 2}]
  solver: [rpie, {name: magpie, levels: 2}]
  seed: {range: 6}
metrics: [truth_deviance, phase_artefact_rad]
figures:
  - {kind: speed-up}
  - {kind: speed-up, target: noise, within: 9, x: iteration, at: 5, title: Noise}
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
        "noise-limited",
        "95 % interval",
        "final Poisson NLL over plain, worst",
        "jumps rejected",
        "Not drawn: no fast-forwarded run has a plain partner",
        "stays at or below what the plain run",
        "ends with, or 0.01 of it more",
        "stays at or below 10 times what noise leaves (the truth's own deviance on the same counts;",
        "Both runs are taken to end at iteration 5.",
        "phase artefacts, change / rad",
        "of the time: steps, inference, look-ahead",
    ):
        assert part in text, part
    stems = sorted(path.stem for path in (page.parent / "figures").glob("*.svg"))
    assert stems == [
        "convergence-residual-iteration", "speed-up-iteration", "speed-up-iteration-noise-at-5",
        "speed-up-seconds",
    ]  # fmt: skip
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
    rejected = drawn.table.set_index(drawn.table.columns[0])["jumps rejected or not tried"]
    assert [share for line, share in rejected.items() if "extrapolation" in line] == ["100%"] * 2
    assert set(drawn.table["95 % interval"]) == {"1.00 to 1.00"}


def test_without_plain_runs(selection):
    """There is nothing to compare with."""
    alone = selection.table[selection.table["fast_forward"] != ""]
    alone.attrs = selection.table.attrs
    with pytest.raises(NothingToDraw, match="no fast-forwarded run has a plain partner"):
        draw(SpeedUpFigure(), alone, selection.dataset)


def made_up_pairs(outcomes, level=1.0):
    """A table and curves of pairs, each of which comes to ``level`` after so many iterations, or never."""
    runs = []
    for seed, after in enumerate(outcomes):
        for fast_forward, iterations in zip(("", "network"), after, strict=True):
            curve = [9.0 if iterations is None or each < iterations else level for each in range(11)]
            runs.append(run("rpie", curve, seed, fast_forward=fast_forward, truth_deviance=level))
    table, dataset = made_up(runs, "poisson_deviance", ["fast_forward"])
    table["run_id"] = table.index.astype(str)
    for name in ("ff_jumps", "ff_rejected", "ff_seconds_inference"):
        table[name] = np.where(table["fast_forward"] == "", np.nan, 1.0)
    return table, dataset


def test_who_comes_to_the_target_is_drawn_and_counted():
    """A mark each for both, one alone and the other; none for neither; what is noise-limited has a tick."""
    outcomes = [(8, 2), (None, 5), (4, None), (None, None), (10, 2), (None, 2), (6, 3)]
    table, dataset = made_up_pairs(outcomes)
    drawn = draw(SpeedUpFigure(target="noise", within=0.0, x="iteration"), table, dataset)
    (axis,) = drawn.figure.axes
    marks = {str(line.get_marker()): np.sort(line.get_xdata()).tolist() for line in axis.get_lines()}
    assert marks["o"] == [2, 4, 5]
    assert marks[str(CARETRIGHT)] == [2, 5]
    assert marks[str(CARETLEFT)] == [0.4]
    ticked = np.concatenate([line.get_xdata() for line in axis.get_lines() if line.get_marker() == "|"])
    assert sorted(ticked) == [0.4, 2, 4, 5]
    (row,) = drawn.table.to_dict("records")
    assert row["reached by both, it alone, plain alone, neither"] == "3, 2, 1, 1"
    assert row["noise-limited"] == "4"
    # the medians of 0, 2, 2, 4, 5, 5, and of 0.4, 2, 4, 5 and twice no limit
    assert row["median speed-up"] == "3.00 to 4.50"
    assert row["95 % interval"] == "no limit"
    for part in (
        "1 pair of which neither gets there tell",
        "An arrow to the right",
        "4 pairs noise-limited",
        "1 times what noise leaves",
    ):
        assert part in drawn.caption, part


def test_targets_are_refused_that_cannot_be(tmp_path):
    """Nothing says what noise leaves, or leaves of what is no deviance; nothing is held out."""
    for settings, asked, expected in (
        ("target: noise", "", "ask for it with 'metrics: [truth_deviance]'"),
        ("target: noise, metric: residual", "metrics: [truth_deviance]\n", "'residual' is none"),
        ("target: best", "", "no run has 'held_out_deviance'"),
    ):
        with pytest.raises(StudyError) as refused:
            plan_text(tmp_path, f"{asked}figures: [{{kind: speed-up, {settings}}}]\n")
        assert expected in str(refused.value)
    for settings, asked in (
        ("target: noise", "metrics: [expected_deviance]\n"),
        ("target: noise, metric: deviance", "metrics: [truth_deviance]\n"),
        ("target: best, metric: poisson_nll", ""),
        ("target: best", "axes: {problem.hold_out: [0.05]}\n"),
    ):
        assert plan_text(tmp_path, f"{asked}figures: [{{kind: speed-up, {settings}}}]\n").figures


def in_lanes(shared, of=6):
    """As :func:`made_up_pairs`, the fast-forwarded runs of the seeds ``shared`` in the throughput lane."""
    table, dataset = made_up_pairs([(8, 2)] * of)
    is_shared = (table["fast_forward"] != "") & table["seed"].isin(shared)
    table["lane"] = np.where(is_shared, "throughput", "timing")
    return table, dataset


def test_seconds_are_of_runs_that_were_alone():
    """A pair of which one run shared its core is left out and counted; iterations have it all the same."""
    table, dataset = in_lanes([0, 1])
    figure = SpeedUpFigure(target="noise", within=0.0)
    drawn = draw(figure, table, dataset)
    assert len(drawn.numbers) == 4
    assert "Left out: 2 pairs of which not both runs are of the timing lane" in drawn.caption
    assert len(draw(SpeedUpFigure(target="noise", x="iteration"), table, dataset).numbers) == 6
    table, dataset = in_lanes(range(6))
    with pytest.raises(NothingToDraw, match="of no pair are both runs of the timing lane"):
        draw(figure, table, dataset)


def test_seconds_of_the_throughput_lane_are_named():
    """Where no run had its core to itself, axis, caption and card say that times are not comparable."""
    table, dataset = in_lanes([])
    table["lane"] = "throughput"
    drawn = draw(SpeedUpFigure(target="noise", within=0.0), table, dataset)
    assert len(drawn.numbers) == 6
    assert "throughput lane: not comparable" in drawn.figure.axes[0].get_xlabel()
    assert "solver time (throughput lane: not comparable) until" in drawn.caption


@pytest.mark.parametrize("shared", [[0], range(6)])
def test_card_of_the_speed_up_says_so(selection, shared):
    table = selection.table.copy()
    table["lane"] = np.where(table["seed"].isin(shared), "throughput", "timing")
    found = [card for card in cards(replace(selection, table=table), []) if "speed-up" in card.title]
    assert len(found) == 4
    for card in found:
        assert ("throughput lane: not comparable" in card.title) is (len(shared) == 6)
        left_out = [line for line in card.lines if "left out" in line]
        assert bool(left_out) is (len(shared) == 1)
