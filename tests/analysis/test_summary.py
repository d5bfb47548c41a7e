"""Medians of a study's lines: what counts as never, what is left out, and who is called the best."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from ptychosuite.analysis.heat_grid import heat_grid
from ptychosuite.analysis.selection import selection_of_plan
from ptychosuite.analysis.summary import groups_of, summary
from ptychosuite.analysis.to_target import profile_summary, runs_to_target
from ptychosuite.metrics.metric import metric_of
from ptychosuite.reporting.figures.heatmap import HeatmapFigure
from ptychosuite.reporting.figures.material import Material, RunFiles
from ptychosuite.reporting.overview import summary_table

from tests.analysis.made_up import made_up, run
from tests.study.small import carry_out, plan_text

TO_TOLERANCE = ("iterations_to_tol", "seconds_to_tol")


def met(solver, seed, after=np.nan, **told):
    """A run that met its tolerance ``after`` so many iterations, of a second each."""
    curve = [] if told.get("status", "completed") in ("failed", "timed-out", "missing") else [9, 5, 3, 1]
    return run(solver, curve, seed=seed, **dict.fromkeys(TO_TOLERANCE, after), **told)


def of_line(table, line):
    (found,) = [group for group in groups_of(table, []) if group.line == line]
    return found


@pytest.mark.parametrize("status", ["failed", "timed-out", "diverged"])
def test_what_went_wrong_has_never_met_its_tolerance(status):
    """In summary, file, table and heat map, as in profiles: no line leads by what it has lost."""
    rows = [met("epie", seed, 2.0) if seed < 2 else met("epie", seed, status=status) for seed in range(5)]
    rows += [met("rpie", seed, 3.0) for seed in range(5)]
    table, dataset = made_up(rows)
    epie = of_line(table, "ePIE")
    assert [epie.figures[name].median for name in TO_TOLERANCE] == [np.inf, np.inf]
    assert epie.met_tolerance == 2
    file = summary(table).set_index("solver")
    assert file.loc["epie", [*TO_TOLERANCE, "met_tolerance"]].tolist() == [np.inf, np.inf, 2]
    shown = summary_table(SimpleNamespace(table=table), list(groups_of(table, [])))
    assert shown.rows[0][-1].startswith("not met")
    assert {row for row, column in shown.best if column >= len(shown.header) - 2} == {1}
    keys = table[["seed", "solver"]].assign(seed=0)
    metric = metric_of("seconds_to_tol")
    (first, second) = (
        row[0] for row in heat_grid("", table, keys, "seed", "solver", metric, "seconds_to_tol").cells
    )
    assert (first.state, second.state) == ("never", "value")
    profile = profile_summary(runs_to_target(table, table, dataset, "residual", 0.1), "seconds")
    assert profile.set_index("line").loc["ePIE", ["solved", "never"]].tolist() == [2, 3]


def test_what_nobody_knows_is_no_never():
    """A run without a result has no part in the median, and one that was not timed alone none in seconds."""
    rows = [met("epie", 0, 2.0), met("epie", 1, status="missing"), met("epie", 2, 8.0, lane="throughput")]
    table, _ = made_up(rows)
    figures = of_line(table, "ePIE").figures
    assert (figures["iterations_to_tol"].median, figures["seconds_to_tol"].median) == (5.0, 2.0)


def test_never_needs_no_clock():
    """A run of the throughput lane that does not meet its tolerance is infinitely long in seconds, too."""
    table, _ = made_up([met("epie", 0, 2.0), *(met("epie", seed, lane="throughput") for seed in (1, 2))])
    assert of_line(table, "ePIE").figures["seconds_to_tol"].median == np.inf


def test_cell_without_a_completed_run():
    """It says how its runs ended, not that they never meet the tolerance."""
    table, _ = made_up([met("epie", 0, 2.0), met("rpie", 0, status="timed-out")])
    keys, metric = table[["seed", "solver"]], metric_of("iterations_to_tol")
    cells = heat_grid("", table, keys, "seed", "solver", metric, "iterations_to_tol").cells
    assert [row[0].state for row in cells] == ["value", "failed"]


def test_equals_are_all_the_best():
    """As in heat maps: of equal medians none is left unmarked, but for a line of which too few completed."""
    rows = [run(line, [9, 1], seed) for line in ("epie", "rpie", "lbfgs") for seed in range(3)]
    rows += [run("magpie", [9, 1], 0), *(run("magpie", [], seed, status="failed") for seed in (1, 2))]
    table, _ = made_up([*rows, *(run("adam", [9, 2], seed) for seed in range(3))])
    shown = summary_table(SimpleNamespace(table=table), list(groups_of(table, [])))
    assert shown.header[3] == "residual"
    assert shown.best == {(0, 3), (1, 3), (2, 3)}


AXES = "axes: {stop.residual: [null, 4.1], solver: [rpie, epie]}\n"


@pytest.mark.parametrize("setting", ["stop.iterations=20", "stop.gradient=1e-9"])
def test_without_a_tolerance_there_is_nothing_to_meet(tmp_path, setting):
    """Of a study with one for some of its runs the others have no median and no count."""
    plan = plan_text(tmp_path, AXES, "stop.iterations=20", setting)
    carry_out(plan, tmp_path / "results")
    selection = selection_of_plan(plan, tmp_path / "results")
    found = groups_of(selection.table, ["stop_residual"])
    medians = {
        (group.line, group.condition): (group.figures["iterations_to_tol"].median, group.met_tolerance)
        for group in found
    }
    file = summary(selection.table).set_index(["stop_residual", "solver"])["met_tolerance"]
    grid = HeatmapFigure("stop.residual", "solver", "iterations_to_tol").draw(
        Material(selection.table, selection.dataset, RunFiles(selection.store), selection.table)
    )
    state = grid.numbers.set_index(["column", "row"])["state"]
    assert medians["rPIE", "stop_residual 4.1"][1] == 1
    assert file[4.1, "rpie"] == 1
    assert state["4.1", "rPIE"] == "value"
    (without,) = [value for (line, told), value in medians.items() if line == "rPIE" and "4.1" not in told]
    (untold,) = [each for (told, line), each in state.items() if line == "rPIE" and told != "4.1"]
    if "gradient" in setting:
        assert without == (np.inf, 0)
        assert (file[np.nan, "rpie"], untold) == (0, "never")
    else:
        assert np.isnan(without[0])
        assert (without[1], file[np.nan, "rpie"], untold) == (None, "", "none")
