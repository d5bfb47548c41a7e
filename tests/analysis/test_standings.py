"""Ranks of lines by hand-made numbers."""

from __future__ import annotations

import numpy as np
import pytest
from ptychosuite.analysis.standings import quality_of, standings
from ptychosuite.analysis.to_target import runs_to_target
from ptychosuite.core.stages import IMPORTED
from ptychosuite.errors import NothingToDraw

from tests.analysis.made_up import made_up, run

NAN, INF = float("nan"), float("inf")


def ranked(runs, quality="residual", within=0.1):
    """By (line, criterion)."""
    table, dataset = made_up(runs)
    found = runs_to_target(table, table, dataset, "residual", within)
    return standings(found, ("seconds", "iteration"), table, quality).set_index(["line", "by"])


def solved_after(iteration, end=0.0, length=9):
    """A curve that is at its end from ``iteration`` on."""
    return [100.0] * iteration + [end] * (length - iteration)


def lines(**each):
    """A run for each solver and seed: iterations until solved; None for one that failed."""
    return [
        run(solver, [], seed, status="failed")
        if after is None
        else run(solver, solved_after(after, end=1.0 + after), seed)
        for solver, iterations in each.items()
        for seed, after in enumerate(iterations)
    ]


def test_median_of_ratios():
    """Over the problems, each to its best, with the interval of the few; and the figures themselves."""
    found = ranked(lines(rpie=[1, 2, 4], epie=[2, 2, 8], lbfgs=[3, 8, 4]))
    by = found.xs("iteration", level="by")
    assert by["ratio"].tolist() == [1, 2, 3]
    assert by["rank"].tolist() == [1, 2, 3]
    assert by.loc["L-BFGS", ["ratio_low", "ratio_high"]].tolist() == [1, 4]
    assert by["median"].tolist() == [2, 2, 4]
    assert by.loc["ePIE", ["low", "high"]].tolist() == [2, 8]
    assert by["reached"].tolist() == by["problems"].tolist() == [3, 3, 3]
    quality = found.xs("residual", level="by")
    assert quality["ratio"].tolist() == pytest.approx([1, 3 / 2, 2])
    assert quality["median"].tolist() == [3, 3, 5]


def test_censored_runs_are_infinitely_late():
    """One of three leaves a median without an upper end; two leave none; all equal ones share a rank."""
    found = ranked(lines(rpie=[1, 2, None], epie=[2, None, None], lbfgs=[1, 2, 2], lsqml=[None] * 3))
    by = found.xs("iteration", level="by")
    assert by["ratio"].tolist() == [1, INF, 1, INF]
    assert by["rank"].tolist() == [1, 3, 1, 3]
    assert by.loc["rPIE", "ratio_high"] == INF
    assert by["reached"].tolist() == [2, 1, 3, 0]
    assert found.xs("residual", level="by")["ratio"].tolist() == pytest.approx([1, INF, 1, INF])


def test_half_reached_is_no_median():
    """Of an even number the upper middle one has no end."""
    by = ranked(lines(rpie=[1, 1, 1, 1], epie=[2, 2, None, None])).xs("iteration", level="by")
    assert by["ratio"].tolist() == [1, INF]


def test_where_higher_is_better():
    """The best over the others; what failed is the worst."""
    runs = [
        run("rpie", [9, 1], frc_area=0.8),
        run("epie", [9, 1], frc_area=0.4),
        run("lbfgs", [9], status="diverged", frc_area=NAN),
    ]
    by = ranked(runs, "frc_area").xs("frc_area", level="by")
    assert by["ratio"].tolist() == [1, 2, INF]
    assert by["rank"].tolist() == [1, 2, 3]
    assert by["median"].tolist() == [0.8, 0.4, -INF]


def test_imported_results_rank_by_their_ends_alone():
    """They have no time, and set no target; a missing run has neither."""
    runs = [
        run("rpie", [9, 1]),
        run("theirs", [9, 0.5], lane=IMPORTED),
        run("epie", [], status="missing"),
    ]
    found = ranked(runs)
    assert found.loc[("theirs", "seconds"), ["rank", "problems", "unknown"]].tolist()[1:] == [0, 1]
    assert np.isnan(found.loc[("theirs", "iteration"), "rank"])
    assert found.loc[("theirs", "residual"), ["rank", "ratio"]].tolist() == [1, 1]
    assert found.loc[("rPIE", "residual"), ["rank", "ratio"]].tolist() == [2, 2]
    assert found.loc[("rPIE", "seconds"), ["rank", "ratio"]].tolist() == [1, 1]
    assert np.isnan(found.loc[("ePIE", "residual"), "rank"])


def test_without_a_value():
    """One that others on its problem have counts as the worst; a line that never has any is not ranked."""
    runs = [
        run("rpie", [9, 1], error=1.0),
        run("rpie", [9, 1], 1, error=1.0),
        run("epie", [9, 1], error=2.0),
        run("epie", [9, 1], 1, error=NAN),
        run("lbfgs", [9, 1], error=NAN),
        run("lbfgs", [9, 1], 1, error=NAN),
    ]
    by = ranked(runs, "error").xs("error", level="by")
    assert by["reached"].tolist() == [2, 1, 0]
    assert by["problems"].tolist() == [2, 2, 0]
    assert by["rank"].tolist()[:2] == [1, 2]
    assert np.isnan(by["rank"].iloc[2])


def test_what_has_no_ratio():
    """Values below zero are refused in a sentence; the metric is the first that there is."""
    with pytest.raises(NothingToDraw, match="values below zero"):
        ranked([run("rpie", [9, 1], poisson_nll=-3.0)], "poisson_nll")
    table, _ = made_up([run("rpie", [9, 1], error=2.0, phase_rmse_rad=NAN)])
    assert quality_of(table) == "error"
    with pytest.raises(NothingToDraw):
        quality_of(table.drop(columns=["error", "residual"]))
