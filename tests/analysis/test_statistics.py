"""The median's interval: every resample there is, without drawing any."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
from ptychosuite.analysis.statistics import median_interval

RNG = np.random.default_rng(7)


@pytest.mark.parametrize("n", [3, 5, 7])
def test_against_all_resamples(n):
    """Of an odd number the ends are the exact quantiles of the medians of all n^n resamples."""
    values = np.sort(RNG.normal(size=n))
    counted = itertools.product(range(n), repeat=n)
    medians = np.sort([values[sorted(places)[n // 2]] for places in counted])
    expected = np.quantile(medians, (0.025, 0.975), method="inverted_cdf")
    np.testing.assert_allclose(median_interval(values), expected)


@pytest.mark.parametrize("n", [4, 6, 10, 25, 40])
def test_against_the_bootstrap(n):
    """Of any number they hold what SciPy draws at random, at most one value wider at either end."""
    values = np.sort(RNG.normal(size=n))
    drawn = scipy.stats.bootstrap(
        (values,), np.median, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    low, high = median_interval(values)
    assert low <= drawn.low + 1e-12
    assert high >= drawn.high - 1e-12
    wider = values[np.searchsorted(values, low) + 1], values[np.searchsorted(values, high) - 1]
    assert wider[0] >= drawn.low - 1e-12
    assert wider[1] <= drawn.high + 1e-12


def test_it_does_not_grow_with_the_number_as_the_range_does():
    """More seeds make it narrower."""
    widths = [
        np.median([np.ptp(median_interval(RNG.normal(size=n))) for _ in range(200)]) for n in (5, 20, 80)
    ]
    assert widths[0] > 1.5 * widths[1] > 2 * widths[2]


def test_two_values_give_none():
    """Nor does one; curves have an interval at each point."""
    assert np.isnan(median_interval(np.array([1.0, 2.0]))).all()
    low, high = median_interval(np.arange(12.0).reshape(3, 4))
    assert (low.tolist(), high.tolist()) == ([0, 1, 2, 3], [8, 9, 10, 11])


def test_what_is_never_reached_is_infinite():
    """The upper end is infinite where too many never get there."""
    low, high = median_interval(np.array([1.0, 2.0, np.inf]))
    assert (low, high) == (1.0, np.inf)
