"""Which patterns of a file are taken."""

from __future__ import annotations

import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.format import ReadSettings
from ptychosuite.problems.measured.raw import Raw

SIGMA_OF_MAD = 1.4826  # standard deviation of a normal distribution over its median absolute deviation


def chosen_frames(raw: Raw, settings: ReadSettings) -> np.ndarray:
    """True for the patterns (N,) that are taken; what was left out is told in the source.

    Raises
    ------
    DataFileError
        A number is not that of a pattern, or no pattern is left.
    """
    stack, path = raw.patterns, settings.path
    n = stack.n_patterns
    last = n - 1 if settings.last is None else settings.last
    for name, numbers in (("first", [settings.first]), ("last", [last]), ("drop", settings.drop)):
        beyond = [number for number in numbers if number >= n]
        if beyond:
            raise DataFileError(
                f"{path}: '{name}' names pattern {beyond[0]}; '{raw.source['data']}' has {n}, counted from 0"
            )
    chosen = np.zeros(n, dtype=bool)
    chosen[settings.first : last + 1 : settings.every] = True
    chosen[list(settings.drop)] = False
    if settings.drop_empty or settings.drop_outliers:
        totals = stack.totals(chosen, raw.ever_good, path)
        if settings.drop_empty:
            chosen &= totals > 0
        if settings.drop_outliers:
            chosen &= _is_usual(totals, chosen, settings.drop_outliers)
    if not chosen.any():
        raise DataFileError(f"{path}: no pattern is left of {n}; check 'first', 'last' and what is dropped")
    if chosen.sum() < n:
        raw.source["patterns taken"] = f"{int(chosen.sum())} of {n}"
    return chosen


def median_and_spread(totals: np.ndarray) -> tuple[float, float]:
    """The median of counts (n,), and a standard deviation that a few odd ones do not move."""
    middle = float(np.median(totals))
    return middle, SIGMA_OF_MAD * float(np.median(np.abs(totals - middle)))


def _is_usual(totals: np.ndarray, chosen: np.ndarray, sigmas: float) -> np.ndarray:
    """Whether counts are within so many robust standard deviations of the median of those chosen."""
    middle, spread = median_and_spread(totals[chosen])
    return np.asarray(np.abs(totals - middle) <= sigmas * spread)
