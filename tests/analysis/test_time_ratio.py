"""The decision on times: synthetic samples whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from ptychosuite.analysis.time_ratio import (
    CONFIRM_PAIRS,
    MOST_LOOKS,
    SCREEN_PAIRS,
    TimeRatio,
    holm,
    judge,
    needs_confirmation,
    needs_more_pairs,
)
from ptychosuite.analysis.verdict import Judgement


def pairs_at(ratio: float, count: int, scatter: float = 0.02, seed: int = 0) -> list[tuple[float, float]]:
    """Pairs of seconds, log-normal, whose true ratio is ``ratio``."""
    rng = np.random.default_rng(seed)
    noise = np.exp(scatter * rng.standard_normal((count, 2)))
    return [(0.05 * first, 0.05 * ratio * second) for first, second in noise]


def verdict(ratio: float, count: int = CONFIRM_PAIRS, scatter: float = 0.02) -> Judgement:
    return judge({"case": TimeRatio.of(pairs_at(ratio, count, scatter))})["case"]


def test_comparison_finds_ratio_and_interval():
    found = TimeRatio.of(pairs_at(1.2, 200))
    assert found.ratio == pytest.approx(1.2, rel=0.01)
    assert found.interval[0] < found.ratio < found.interval[1]
    assert found.interval[1] - found.interval[0] < 0.02
    assert found.p_slower < 1e-6
    assert found.p_faster > 0.99


def test_what_slows_both_of_a_pair_cancels():
    pairs = pairs_at(1.0, 30, scatter=0.001)
    drifting = [(a * (1 + number), b * (1 + number)) for number, (a, b) in enumerate(pairs)]
    assert TimeRatio.of(drifting).interval == pytest.approx(TimeRatio.of(pairs).interval)


def test_equal_times_are_no_evidence():
    found = TimeRatio.of([(0.05, 0.05)] * SCREEN_PAIRS)
    assert (found.ratio, found.p_slower, found.p_faster) == (1.0, 1.0, 1.0)
    assert not needs_confirmation(found)


@pytest.mark.parametrize(("ratio", "needed"), [(1.0, False), (1.2, True), (0.8, True), (1.01, False)])
def test_screen_passes_on_what_is_suspicious(ratio, needed):
    assert needs_confirmation(TimeRatio.of(pairs_at(ratio, SCREEN_PAIRS, scatter=0.005))) is needed


def test_screen_passes_on_what_it_cannot_see():
    """A wide interval that reaches a regression is no acquittal; one that stays below is."""
    assert needs_confirmation(TimeRatio(1.0, (0.9, 1.1), 0.5, 0.5, SCREEN_PAIRS))
    assert not needs_confirmation(TimeRatio(0.97, (0.9, 1.04), 0.9, 0.1, SCREEN_PAIRS))


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (1.20, Judgement.REGRESSION),
        (1.02, Judgement.GOOD),
        (1.00, Judgement.GOOD),
        (0.80, Judgement.IMPROVEMENT),
    ],
)
def test_judgement(ratio, expected):
    assert verdict(ratio) is expected


def test_a_confirmed_slowdown_is_one_however_wide_its_interval():
    found = TimeRatio.of(pairs_at(1.6, CONFIRM_PAIRS, scatter=0.3))
    assert found.interval[1] - found.interval[0] > 0.05
    assert judge({"case": found})["case"] is Judgement.REGRESSION


def test_a_wide_interval_in_which_a_regression_may_hide_cannot_be_judged():
    assert verdict(1.0, scatter=0.3) is Judgement.UNDECIDED


def test_more_pairs_are_asked_for_up_to_a_limit():
    wide = TimeRatio(1.0, (0.9, 1.1), 0.5, 0.5, CONFIRM_PAIRS)
    assert needs_more_pairs(wide)
    assert not needs_more_pairs(TimeRatio(1.0, (0.9, 1.1), 0.5, 0.5, MOST_LOOKS * CONFIRM_PAIRS))
    assert not needs_more_pairs(TimeRatio(1.0, (0.99, 1.01), 0.5, 0.5, CONFIRM_PAIRS))


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_many_cases_ask_for_more_evidence():
    """What convicts a single case need not among a hundred."""
    borderline = TimeRatio(1.1, (1.05, 1.15), 0.002, 1.0, CONFIRM_PAIRS)
    innocent = TimeRatio(1.0, (0.99, 1.01), 0.5, 0.5, CONFIRM_PAIRS)
    assert judge({"one": borderline})["one"] is Judgement.REGRESSION
    crowd = {"one": borderline, **{str(number): innocent for number in range(99)}}
    assert judge(crowd)["one"] is not Judgement.REGRESSION


def busy_machine(rng: np.random.Generator, count: int, ratio: float) -> list[tuple[float, float]]:
    """Pairs with slow drift that both share, autocorrelated noise, and now and then a sample far too long."""
    drift = np.repeat(np.exp(0.05 * rng.standard_normal(count).cumsum()), 2)
    noise = np.empty(2 * count)
    level = 0.0
    for number in range(2 * count):
        level = 0.7 * level + 0.03 * rng.standard_normal()
        noise[number] = level
    outliers = np.where(rng.random(2 * count) < 0.1, 1 + rng.pareto(2.0, 2 * count), 1.0)
    seconds = (0.05 * drift * np.exp(noise) * outliers).reshape(count, 2)
    turned = np.where(np.arange(count)[:, None] % 2 == 0, seconds, seconds[:, ::-1])  # ABBA
    return [(first, ratio * second) for first, second in turned]


def decide(rng: np.random.Generator, ratio: float) -> Judgement:
    """Both stages on one case."""
    if not needs_confirmation(TimeRatio.of(busy_machine(rng, SCREEN_PAIRS, ratio))):
        return Judgement.GOOD
    pairs = busy_machine(rng, CONFIRM_PAIRS, ratio)
    while needs_more_pairs(TimeRatio.of(pairs)):
        pairs += busy_machine(rng, CONFIRM_PAIRS, ratio)
    return judge({"case": TimeRatio.of(pairs)})["case"]


def test_rates_on_a_busy_machine():
    """Simulated noise with a fat tail: no false alarm among 60, and a 20 % slowdown found 19 times of 20."""
    rng = np.random.default_rng(1)
    same = [decide(rng, 1.0) for _ in range(60)]
    slower = [decide(rng, 1.2) for _ in range(40)]
    assert same.count(Judgement.REGRESSION) == 0
    assert same.count(Judgement.IMPROVEMENT) == 0
    assert slower.count(Judgement.REGRESSION) >= 38
