"""Targets that the runs of a problem share, what they cost, and performance profiles, on made-up curves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from ptychosuite.analysis.to_target import performance_profile, profile_summary, ratios, runs_to_target
from ptychosuite.core.stages import IMPORTED

from tests.analysis.made_up import made_up, run

NAN, INF = float("nan"), float("inf")


ALL_COSTS = ("seconds", "iteration", "data_passes")


def costs_of(runs, within=0.1, metric="residual", costs=ALL_COSTS, target="way"):
    table, dataset = made_up(runs, metric)
    return runs_to_target(table, table, dataset, metric, within, costs, target)


def random_runs(rng, problems=8, lines="abcd"):
    """Costs as they come: many equal, many infinite, some unknown."""
    rows = [(problem, line) for line in lines for problem in range(problems)]
    runs = pd.DataFrame(rows, columns=["problem", "line"])
    runs["seconds"] = rng.choice([1.0, 2.0, 3.0, 7.0, INF], len(rows)) * rng.choice([1.0, 1.5], len(rows))
    runs.loc[rng.random(len(rows)) < 0.1, "seconds"] = NAN
    return runs


def literal_share(runs, line, t):
    """Dolan and Moré, (2.1) and the definition of rho: of the problems of a line, how many have r <= t."""
    met, of = 0, 0
    for p in runs["problem"].unique():
        costs = {s: c for s, c in runs.loc[runs["problem"] == p, ["line", "seconds"]].to_numpy()}
        if np.isnan(costs[line]):
            continue
        of += 1
        known = [c for c in costs.values() if not np.isnan(c)]
        r = costs[line] / min(known) if np.isfinite(costs[line]) else INF
        met += r <= t
    return met / of


@pytest.mark.parametrize("seed", range(5))
def test_profile_is_that_of_the_paper(seed):
    """By its definition at every step, between steps, and before and behind all of them."""
    runs = random_runs(np.random.default_rng(seed))
    profile = performance_profile(runs, "seconds")
    for line, steps in profile.groupby("line"):
        for t in [*steps["ratio"], *(steps["ratio"] * 1.01), 1.0, 1e9]:
            at = np.searchsorted(steps["ratio"], t, side="right") - 1
            assert steps["share"].iloc[at] == pytest.approx(literal_share(runs, line, t))


@pytest.mark.parametrize("seed", range(5))
def test_profile_rises_to_what_is_solved(seed):
    """From 1 on, within 0 and 1; some line is the best somewhere; the end is the share solved."""
    runs = random_runs(np.random.default_rng(100 + seed))
    profile = performance_profile(runs, "seconds")
    summary = profile_summary(runs, "seconds").set_index("line")
    for line, steps in profile.groupby("line"):
        assert steps["ratio"].iloc[0] == 1
        assert (np.diff(steps["ratio"]) > 0).all()
        assert (np.diff(steps["share"]) >= 0).all()
        assert steps["share"].between(0, 1).all()
        known = runs.loc[runs["line"] == line, "seconds"].dropna()
        assert steps["share"].iloc[-1] == np.isfinite(known).mean()
        assert (steps["problems"] == len(known)).all()
        assert summary.loc[line, "solved"] == np.isfinite(known).sum()
        assert summary.loc[line, "unknown"] == 8 - len(known)
    assert (profile.groupby("line")["share"].first() > 0).any()


def test_scale_of_a_problem_does_not_matter():
    """All costs of one problem, by another clock."""
    runs = random_runs(np.random.default_rng(7))
    slower = runs.assign(seconds=runs["seconds"] * np.where(runs["problem"] == 3, 1024.0, 1.0))
    profiles = [performance_profile(each, "seconds") for each in (runs, slower)]
    pd.testing.assert_frame_equal(*profiles)


def test_ratios():
    """To the best of the problem; nothing counts as the smallest something; never and unknown stay so."""
    costs = pd.Series([2.0, 4, INF, 0, 3, 6, 0, INF, INF, NAN, 5])
    problems = pd.Series([0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 4])
    expected = [1, 2, INF, 1, 1, 2, 1, INF, INF, NAN, 1]
    np.testing.assert_array_equal(ratios(costs, problems), expected)


def test_target_and_costs():
    """Between the common start and the best end, a share of the way; for good, not at the first dip."""
    runs = costs_of(
        [
            run("rpie", [100, 60, 30, 10, 0], step=2.0),  # sets f_best = 0: the target is 10
            run("epie", [100, 5, 60, 8, 9]),
            run("lbfgs", [100, 50, 20, 15, 11]),
        ]
    )
    assert runs["target"].tolist() == [10, 10, 10]
    assert runs["iteration"].tolist() == [3, 3, INF]
    assert runs["seconds"].tolist() == [6, 3, INF]
    assert runs["data_passes"].tolist() == [12, 6, INF]
    assert runs["problem"].nunique() == 1


def test_the_best_reaches_its_own_end():
    """With nothing left of the way there is one that solves the problem, and nobody else."""
    runs = costs_of([run("rpie", [9, 4, 2]), run("epie", [9, 3, 3])], within=0.0)
    assert runs["iteration"].tolist() == [2, INF]


def test_where_higher_is_better():
    """The same, mirrored."""
    curves = [0.1, 0.5, 0.9, 1.1], [0.1, 1.02, 0.6, 0.7]
    runs = costs_of([run("rpie", curves[0]), run("epie", curves[1])], metric="frc_area", within=0.1)
    assert runs["target"].tolist() == pytest.approx([1.0, 1.0])
    assert runs["iteration"].tolist() == [3, INF]


@pytest.mark.parametrize("status", ["failed", "diverged", "timed-out"])
def test_what_went_wrong_is_unsolved_and_sets_no_target(status):
    """Also where its curve was below all others."""
    runs = costs_of([run("rpie", [10, 5, 1]), run("epie", [10, 0.0, 0.0], status=status)], within=0.5)
    assert runs["target"].tolist() == [5.5, 5.5]
    assert runs["iteration"].tolist() == [1, INF]


def test_problems_are_conditions_and_seeds():
    """Each has its own target; a line that was not planned on one is judged by the others."""
    runs = costs_of(
        [
            run("rpie", [10, 1, 1], noise=0.0),
            run("rpie", [10, 4, 1], noise=0.1),
            run("rpie", [10, 9, 6], seed=1, noise=0.1),
            run("epie", [10, 4, 0], noise=0.1),
            run("epie", [10, 6, 5], seed=1, noise=0.1),
        ],
        within=0.1,
    )
    assert runs["problem"].nunique() == 3
    assert runs["target"].tolist() == pytest.approx([1.9, 1, 5.5, 1, 5.5])
    assert runs["iteration"].tolist() == [1, 2, INF, 2, 2]
    summary = profile_summary(runs, "iteration").set_index("line")
    assert summary.loc["rPIE", ["problems", "first", "solved", "unknown"]].tolist() == [3, 2, 2, 0]
    assert summary.loc["ePIE", ["problems", "first", "solved", "unknown"]].tolist() == [2, 2, 2, 0]
    assert summary.index.tolist() == ["ePIE", "rPIE"]


def test_more_iterations_make_no_other_problem():
    """A line that may go on for longer is compared with the others; two runs of one line are two problems."""
    long, short = {"iterations": 4}, {"iterations": 2}
    runs = costs_of([run("rpie", [10, 8, 6, 4, 2], **long), run("epie", [10, 4, 2], **short)], within=0.0)
    assert runs["problem"].nunique() == 1
    assert runs["iteration"].tolist() == [4, 2]
    runs = costs_of(
        [
            run("rpie", [10, 8, 6, 4, 2], **long),
            run("rpie", [10, 8, 6], **short),
            run("epie", [10, 4, 2], **short),
        ]
    )
    assert runs["problem"].tolist() == [0, 1, 1]


def test_what_nobody_knows():
    """Missing runs, results from elsewhere, and times of runs that shared their core count neither way."""
    runs = costs_of(
        [
            run("rpie", [10, 5, 1]),
            run("epie", [], status="missing"),
            run("lbfgs", [10, 0.0, 0.0], lane=IMPORTED),
            run("lsqml", [10, 1, 1], lane="throughput"),
            run("adam", [], status="failed", lane="throughput"),
        ]
    )
    np.testing.assert_array_equal(runs["iteration"], [2, NAN, NAN, 1, INF])
    np.testing.assert_array_equal(runs["seconds"], [2, NAN, NAN, NAN, INF])
    assert runs["target"].iloc[0] == pytest.approx(1.9)
    assert set(performance_profile(runs, "seconds")["line"]) == {"rPIE", "Adam"}


def test_nobody_better_than_the_start():
    """No run solves such a problem; one whose runs have no such metric is no problem of it."""
    worse = costs_of([run("rpie", [10, 11]), run("epie", [10, 10])])
    assert worse["target"].isna().all()
    assert worse["iteration"].tolist() == [INF, INF]
    lacking = costs_of([run("rpie", [NAN, NAN]), run("epie", [], status="failed")])
    assert lacking["iteration"].isna().all()
    all_failed = costs_of([run("rpie", [10], status="failed"), run("epie", [], status="failed")])
    assert all_failed["iteration"].tolist() == [INF, INF]


def test_what_noise_leaves():
    """A tenth above the truth's own deviance; where none is known, above the median of the expectations."""
    truth, seen = {"truth_deviance": 2.0, "expected_deviance": 50.0}, {"truth_deviance": NAN}
    runs = costs_of(
        [
            run("rpie", [9, 5, 2.1, 2.3, 2.2], **truth, step=3.0),
            run("epie", [9, 2.3, 2.3], **truth),
            run("adam", [], status="failed", truth_deviance=NAN, expected_deviance=NAN),
            run("rpie", [9, 5, 4], noise=1, **seen, expected_deviance=4.0),
            run("epie", [9, 4, 3], noise=1, **seen, expected_deviance=5.0),
            run("adam", [9, 1, 1], noise=1, **seen, expected_deviance=3.0),
            run("rpie", [9, 1, 1], noise=2, **seen, expected_deviance=NAN),
            run("epie", [], noise=2, status="failed", **seen, expected_deviance=NAN),
        ],
        metric="poisson_deviance",
        target="noise",
    )
    np.testing.assert_allclose(runs["target"], [2.2] * 3 + [4.4] * 3 + [NAN] * 2)
    np.testing.assert_array_equal(runs["iteration"], [4, INF, INF, 2, 1, 1, NAN, NAN])
    np.testing.assert_array_equal(runs["seconds"], [12, INF, INF, 2, 1, 1, NAN, NAN])
    summary = profile_summary(runs, "seconds").set_index("line")
    counted = summary[["problems", "solved", "never", "median", "unknown"]]
    assert counted.loc["rPIE"].tolist() == [2, 2, 0, 7, 1]
    assert counted.loc["ePIE"].tolist() == [2, 1, 1, INF, 1]


def test_nobody_asked_what_noise_leaves():
    """Nothing is known of runs that completed; what failed is unsolved whatever the target."""
    found = costs_of([run("rpie", [9, 1])], metric="poisson_deviance", target="noise")
    assert found["iteration"].isna().all()
    failed = costs_of([run("rpie", [9], status="failed")], metric="poisson_deviance", target="noise")
    assert failed["iteration"].tolist() == [INF]
