"""Which try is best, against the definition in loops."""

from __future__ import annotations

import numpy as np
import pytest
from ptychosuite.analysis.tries import names_of, ranking
from ptychosuite.core.plan import Tuned


def mean_ranks(values, sign):
    """1 + those that are better + half of the equal ones, on each problem."""
    tries, problems = values.shape
    cost = np.where(np.isfinite(values), sign * values, np.inf)
    ranks = np.zeros(tries)
    for i in range(tries):
        for p in range(problems):
            better = sum(cost[j, p] < cost[i, p] for j in range(tries))
            equal = sum(cost[j, p] == cost[i, p] for j in range(tries))
            ranks[i] += (better + (equal + 1) / 2) / problems
    return ranks


@pytest.mark.parametrize("sign", [1, -1])
def test_against_the_definition(sign):
    rng = np.random.default_rng(0)
    values = rng.choice([1.0, 2.0, 3.0, np.nan, np.inf], size=(7, 5))
    found = ranking(values, sign)
    np.testing.assert_allclose(found.ranks, mean_ranks(values, sign))
    np.testing.assert_array_equal(found.completed, (~np.isnan(values)).sum(axis=1))
    np.testing.assert_array_equal(found.without, np.isinf(values).sum(axis=1))


def test_no_problem_outweighs_another():
    """Any increasing change of a problem's scale leaves the ranks alone."""
    values = np.random.default_rng(1).random((6, 4))
    scaled = values * np.array([1, 1e6, 1, 1e-6])
    scaled[:, 2] = np.exp(scaled[:, 2])
    np.testing.assert_array_equal(ranking(values, 1).ranks, ranking(scaled, 1).ranks)


def test_what_failed_is_last():
    """Worse than anything that completed; where all have failed the first is left, as it is written."""
    found = ranking(np.array([[np.nan, 1.0], [1e9, 2.0], [1e8, np.nan]]), 1)
    assert found.ranks.tolist() == [2.0, 2.0, 2.0]
    assert found.best == 0
    nothing = ranking(np.full((3, 2), np.nan), 1)
    assert nothing.best == 0
    assert np.isnan(nothing.medians).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_without_a_value(sign):
    """One that completed and never got there is worst in the median, whichever way is better."""
    found = ranking(np.array([[np.inf, np.inf, 3.0], [np.inf, 2.0, 3.0], [np.nan, 2.0, 3.0]]), sign)
    assert found.medians.tolist() == [sign * np.inf, 3.0 if sign == 1 else 2.0, 2.5]
    assert found.completed.tolist() == [3, 3, 2]
    assert found.without.tolist() == [2, 1, 0]


def test_names():
    """What tells contests of one solver apart, and what each was tuned for; not what was tried."""

    def tuned(where, **solver):
        return Tuned(solver, where, "residual", [{"solver.alpha": 0.1}], [1.0], [2.0], [1], 1, 0)

    every = [
        tuned({}, name="rpie", alpha=0.1, sweep="sequential"),
        tuned({"problem.noise": None}, name="lsqml", batch=8),
        tuned({"problem.noise": 0.1}, name="lsqml", batch=16),
    ]
    assert names_of(every) == ["rPIE", "LSQML (batch 8, noise none)", "LSQML (batch 16, noise 0.1)"]
