"""Is the head slower than its baseline? Statistics and the decision; ``timing`` takes the times.

Baseline and head run in turns on one core or device, so that what slows both cancels in the ratio of a pair.
A case passes through two stages:

1. **Screen**: 10 pairs. The case is settled, and good, unless it is suspicious (one-sided Wilcoxon p < 0.10
   and median ratio beyond 3 %, to either side) or the 95 % interval of the ratio is wider than 5 % and
   reaches above 1.05.
2. **Confirm**: 30 fresh pairs, taken by fresh processes, for what is not settled. Where the interval is still
   too wide, 30 more are added, up to 120. On all of these, in this order:

   - regression: Holm-adjusted p < 0.01 and median ratio above 1.05, however wide the interval;
   - improvement: the mirror image;
   - could not judge: interval wider than 5 % and reaching above 1.05, so that a regression may hide in it;
   - good: all else.

Adjusted means for the number of cases that reached the second stage and for the number of looks at each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ptychosuite.analysis.verdict import Judgement

SCREEN_PAIRS = 10
SCREEN_P = 0.10
SCREEN_RATIO = 1.03
CONFIRM_PAIRS = 30
CONFIRM_P = 0.01
TOLERANCE = 0.05  # relative change that is no regression
CONFIRM_RATIO = 1 + TOLERANCE
WIDEST_INTERVAL = 0.05
MOST_LOOKS = 4
RESAMPLES = 2000


@dataclass(frozen=True)
class TimeRatio:
    """Times of the head over those of the baseline, for one case."""

    ratio: float  # median over the pairs
    interval: tuple[float, float]  # 95 %, bootstrapped
    p_slower: float  # one-sided Wilcoxon signed rank, on the logarithms of the ratios
    p_faster: float
    pairs: int

    @classmethod
    def of(cls, pairs: Sequence[tuple[float, float]]) -> TimeRatio:
        """Compare ``pairs``, (n, 2) seconds: baseline and head, one measured right after the other."""
        baseline, head = np.asarray(pairs, dtype=np.float64).T
        logarithms = np.log(head / baseline)
        bounds = stats.bootstrap(
            (logarithms,), np.median, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(0)
        ).confidence_interval
        return cls(
            ratio=float(np.exp(np.median(logarithms))),
            interval=(float(np.exp(bounds.low)), float(np.exp(bounds.high))),
            p_slower=_wilcoxon(logarithms, "greater"),
            p_faster=_wilcoxon(logarithms, "less"),
            pairs=len(logarithms),
        )

    @property
    def hides_regression(self) -> bool:
        """Whether the interval is too wide and reaches what would be a regression."""
        low, high = self.interval
        return high - low > WIDEST_INTERVAL and high > CONFIRM_RATIO

    @property
    def is_suspicious(self) -> bool:
        """Whether the screen takes the case for slower or faster."""
        slower = self.p_slower < SCREEN_P and self.ratio > SCREEN_RATIO
        faster = self.p_faster < SCREEN_P and self.ratio < 1 / SCREEN_RATIO
        return slower or faster


def needs_confirmation(screen: TimeRatio) -> bool:
    """Whether a screened case goes on to the second stage."""
    return screen.is_suspicious or screen.hides_regression


def needs_more_pairs(confirmation: TimeRatio) -> bool:
    """Whether more pairs might tell what these do not."""
    return confirmation.hides_regression and confirmation.pairs < MOST_LOOKS * CONFIRM_PAIRS


def judge(confirmations: Mapping[str, TimeRatio]) -> dict[str, Judgement]:
    """The last word on every case of the second stage; all others are good."""
    found = list(confirmations.values())
    slower = holm([min(1.0, MOST_LOOKS * each.p_slower) for each in found])
    faster = holm([min(1.0, MOST_LOOKS * each.p_faster) for each in found])
    return {
        name: _judgement(*each)
        for name, each in zip(confirmations, zip(found, slower, faster, strict=True), strict=True)
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values (S. Holm, Scandinavian Journal of Statistics 6, 65 (1979)), in the order given."""
    order = np.argsort(p_values)
    weights = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(weights * np.asarray(p_values)[order]))
    return [float(p) for p in adjusted]


def _judgement(found: TimeRatio, p_slower: float, p_faster: float) -> Judgement:
    if p_slower < CONFIRM_P and found.ratio > CONFIRM_RATIO:
        return Judgement.REGRESSION
    if p_faster < CONFIRM_P and found.ratio < 1 / CONFIRM_RATIO:
        return Judgement.IMPROVEMENT
    return Judgement.UNDECIDED if found.hides_regression else Judgement.GOOD


def _wilcoxon(logarithms: np.ndarray, alternative: str) -> float:
    if not np.any(logarithms):
        return 1.0  # all pairs equal: the test has nothing to rank
    return float(stats.wilcoxon(logarithms, alternative=alternative).pvalue)
