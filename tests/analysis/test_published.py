"""Ours beside published values, where runs never get there or nobody has timed them alone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from ptychosuite.analysis.published import published_findings, reproduced
from ptychosuite.analysis.verdict import Judgement
from ptychosuite.core.plan import Published
from ptychosuite.reporting.published_table import published_table

from tests.analysis.made_up import made_up, run


def beside(rows, metric, value):
    """What is found of one value that holds for all of ``rows``."""
    table, _ = made_up(rows)
    published = Published(metric=metric, where={}, value=value, source="Nobody", tolerance=0.1)
    selection = SimpleNamespace(table=table, constants={}, noted=lambda section, cls: [published])
    return reproduced(selection)


def test_runs_that_never_get_there_are_not_dropped():
    """Four of five do not: the value is not reproduced, though the fifth is as published."""
    rows = [run("epie", [9, 1], seed, iterations_to_tol=np.nan if seed else 210.0) for seed in range(5)]
    found = beside(rows, "iterations_to_tol", 210.0)
    assert (found[0].median, found[0].low, found[0].is_within) == (np.inf, 210.0, False)
    (finding,) = published_findings(found)
    assert (finding.judgement, finding.found) == (Judgement.REGRESSION, None)
    assert "half of the runs or more never get there" in finding.message
    assert published_table(found).rows[0][3:] == ["not met (210 to not met)", "5 of 5", "", "no (10 %)"]


@pytest.mark.parametrize("lane", ["timing", "throughput"])
def test_times_are_those_of_runs_alone(lane):
    """Runs that shared their core do not count beside others, and where there is nothing else it is said."""
    rows = [run("epie", [9, 1], seed, seconds=10.0 if seed else 50.0) for seed in range(3)]
    rows = [{**row, "lane": "throughput" if row["seed"] == 0 else lane} for row in rows]
    found = beside(rows, "seconds", 10.0)
    (finding,) = published_findings(found)
    if lane == "timing":
        assert (found[0].median, found[0].high, finding.judgement) == (10.0, 10.0, Judgement.GOOD)
    else:
        assert np.isnan(found[0].median)
        assert finding.judgement is Judgement.UNDECIDED
        assert "throughput lane: not comparable" in finding.message
        assert published_table(found).rows[0][-1] == "not known (throughput lane: not comparable)"
