"""The median of a few runs, and how well it is known."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import bdtrc

CONFIDENCE = 0.95
FEWEST = 3  # runs that an interval is given for


def median_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95 % bootstrap interval of the median along the first axis.

    The percentile interval over all resamples, without drawing any: a resample's median is one of the
    values, with binomial probabilities (Maritz and Jarrett, J. Am. Stat. Assoc. 73, 194, 1978). Of an even
    number of values the lower and the upper middle one are taken for the ends, which is a little too wide.

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
    low, high = _ranks(n)
    ordered = np.sort(values, axis=0)
    return ordered[low], ordered[high]


@lru_cache(maxsize=256)
def _ranks(n: int) -> tuple[int, int]:
    """Places, among ``n`` values in order, of the two ends."""
    places = np.arange(1, n + 1)
    lower_middle, upper_middle = (n + 1) // 2, n // 2 + 1
    # at least so many of n draws are among the first `place` values: the middle one is
    at_most = [bdtrc(middle - 1, n, places / n) for middle in (lower_middle, upper_middle)]
    tail = (1 - CONFIDENCE) / 2
    return int(np.argmax(at_most[0] >= tail)), int(np.argmax(at_most[1] >= 1 - tail))
