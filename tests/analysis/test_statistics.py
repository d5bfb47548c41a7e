"""The median's interval: how often it holds the median, and what it is called."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ptychosuite.analysis.statistics import interval_name, median_interval

RNG = np.random.default_rng(7)


def held(n, place):
    """How often the median is between the values at ``place`` from either end of ``n``: by counting heads."""
    return 1 - 2 * sum(math.comb(n, heads) for heads in range(place)) / 2**n


@pytest.mark.parametrize("n", [6, 7, 8, 9, 10, 25, 40])
def test_holds_the_median_as_often_as_it_says(n):
    """By the binomial distribution, with the narrowest pair of values that does; in a trial as well."""
    low, _ = median_interval(np.arange(1.0, n + 1))
    place = int(low)
    assert held(n, place) >= 0.95 > held(n, place + 1)
    low, high = median_interval(RNG.lognormal(size=(n, 4000)))
    assert ((low <= 1) & (high >= 1)).mean() > 0.94


@pytest.mark.parametrize("n", [3, 4, 5])
def test_of_a_few_the_range_of_all(n):
    """No pair of values holds the median so often."""
    assert held(n, 1) < 0.95
    values = RNG.normal(size=n)
    assert median_interval(values) == (values.min(), values.max())


def test_names():
    """What a caption calls it, of medians over different numbers of runs; one or two have none."""
    assert interval_name([6, 20]) == "95 % interval"
    assert interval_name([3, 5, 2]) == "range of all"
    assert interval_name([5, 6]) == "95 % interval, of fewer than 6 the range of all"


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
