"""The median of a few runs, and how well it is known."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from scipy.special import bdtr

CONFIDENCE = 0.95
FEWEST = 3  # values whose range is told
FEWEST_OF_INTERVAL = 6  # of fewer, the range of all holds the median in less than 95 % of all cases


def median_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95 % interval of the median along the first axis, by order statistics.

    It holds the median at least so often whatever the distribution is. Of fewer than
    :data:`FEWEST_OF_INTERVAL` values the ends are the least and the largest: :func:`interval_name` says which
    it is.

    Parameters
    ----------
    values : (n, ...)
        Infinity for what is never reached.

    Returns
    -------
    low, high : (...)
        NaN where there are fewer than :data:`FEWEST` values.
    """
    n = len(values)
    if n < FEWEST:
        nothing = np.full(values.shape[1:], np.nan)
        return nothing, nothing
    rank = max(1, interval_rank(n))
    ordered = np.sort(values, axis=0)
    return ordered[rank - 1], ordered[n - rank]


@lru_cache(maxsize=256)
def interval_rank(n: int) -> int:
    """The place, from either end of ``n`` values in order, of the ends of the median's 95 % interval.

    0 where there are too few values for one.
    """
    at_most = bdtr(np.arange(n + 1), n, 0.5)  # the binomial distribution
    return int(np.argmax(at_most >= (1 - CONFIDENCE) / 2))


def interval_name(numbers: Iterable[int]) -> str:
    """What the ends of :func:`median_interval` are, of medians over so many values each."""
    are_few = {number < FEWEST_OF_INTERVAL for number in numbers if number >= FEWEST}
    if are_few == {True}:
        return "range of all"
    return "95 % interval" + f", of fewer than {FEWEST_OF_INTERVAL} the range of all" * (True in are_few)
