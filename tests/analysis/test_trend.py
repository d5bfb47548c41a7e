"""Series over the nights, and where their level changes."""

from __future__ import annotations

import random

import numpy as np
import pytest
from ptychosuite.analysis.trend import Trend, change_points, trend_of
from ptychosuite.analysis.verdict import Finding, Judgement

from tests.analysis.histories import commit, history, timed

TOLERANCE = 0.05
NIGHTS = 60


def noise(seed: int, scale: float = 0.01) -> np.ndarray:
    return np.exp(scale * np.random.default_rng(seed).standard_normal(NIGHTS))


def slowed(night: int) -> list[Finding]:
    """10 % slower from night 20 on."""
    return [timed(1.1 if night >= 20 else 1.0)]


def test_noise_alone_raises_no_alert():
    """Twenty histories of sixty nights, each searched every night as the page is."""
    for seed in range(20):
        ratios = noise(seed)
        assert not any(change_points(ratios[:n], TOLERANCE) for n in range(1, NIGHTS + 1, 3))


@pytest.mark.parametrize("step", [1.1, 1 / 1.1, 1.2])
def test_a_step_is_found_on_its_third_night(step):
    """At the latest, and at the right place."""
    for seed in range(10):
        ratios = noise(seed)
        ratios[30:] *= step
        assert change_points(ratios[:33], TOLERANCE) == [30]


def test_one_bad_night_is_no_change():
    """Whatever was in its way is gone the night after."""
    ratios = noise(0)
    ratios[30] = 1.5
    assert change_points(ratios, TOLERANCE) == []


def test_figures_that_repeat_exactly():
    """Without noise the tolerance says what matters: a step of the tolerance, not one of a tenth of it."""
    for size, found in ((1e-6, [12]), (1e-7, [])):
        ratios = np.where(np.arange(20) < 12, 1.0, 1.0 + size)
        assert change_points(ratios, 1e-6) == found


def test_too_few_nights():
    """A week of nights says nothing yet."""
    assert change_points([1.0, 1.0, 1.0, 2.0, 2.0, 2.0], TOLERANCE) == []
    assert change_points([], TOLERANCE) == []


def test_change_names_commits_and_what_else_changed():
    """From the last night before to the first after."""
    numpy = {True: {"packages": {"numpy": "2.4.6"}, "cpu": "new"}, False: {"cpu": "old"}}
    trend = trend_of(history(40, slowed, environment=lambda night: numpy[night >= 20]))
    ((series, change),) = trend.changes
    assert series.subject == "rpie"
    assert (change.last_before, change.first_after) == (19, 20)
    assert change.after / change.before == pytest.approx(1.1)
    assert trend.commits(change) == (commit(19), commit(20))
    assert trend.also_changed(change) == ["cpu old -> new", "numpy 2.4.5 -> 2.4.6"]


def test_commits_that_are_not_known():
    """A check outside a git checkout."""
    trend = trend_of(history(40, slowed, environment=lambda night: {"git_commit": None}))
    ((_, change),) = trend.changes
    assert trend.commits(change) == ("", "")


@pytest.mark.parametrize("key", ["revision", "commit", "baseline", "when"])
def test_nothing_is_concluded_across_a_new_reference(key):
    """Where the ratios count from something else, a step is none."""
    trend = trend_of(history(40, slowed, against=lambda night: {key: "new" if night >= 20 else "old"}))
    assert trend.changes == []
    assert [(level.first, level.last) for level in trend.series[0].levels] == [(0, 19), (20, 39)]


def test_what_else_a_check_notes_is_no_reference():
    """Such as the packages that differ from the baseline's."""
    trend = trend_of(history(40, slowed, against=lambda night: {"revision": "v1", "changed": night}))
    assert len(trend.changes) == 1


def test_changed_series_come_first_then_the_furthest_off():
    """Also where another is further from its reference tonight."""

    def findings(night: int) -> list[Finding]:
        return [timed(1.04, "near"), timed(0.5, "far"), *slowed(night)]

    assert [series.subject for series in trend_of(history(40, findings)).series] == ["rpie", "far", "near"]


def test_findings_without_a_ratio_make_no_series():
    """Statuses, figures that are no number, baselines of zero."""
    findings = [
        Finding("a", "status", Judgement.REGRESSION),
        Finding("b", "failure rate", Judgement.GOOD, 0.0, 0.0),
        Finding("c", "residual", Judgement.REGRESSION, 1.0, None),
        Finding("d", "residual", Judgement.REGRESSION, 1.0, float("nan")),
        Finding("e", "residual", Judgement.REGRESSION, 1.0, float("inf")),
    ]
    assert trend_of(history(3, lambda night: findings)).series == ()


def test_nights_may_come_in_any_order_and_have_gaps():
    """Nights without a series are skipped; nights are told by their time."""
    nights = history(40, lambda night: [] if night % 4 == 3 else slowed(night))
    ordered = trend_of(nights)
    random.Random(0).shuffle(nights)
    assert trend_of(nights) == ordered
    ((_, change),) = ordered.changes
    assert (change.last_before, change.first_after) == (18, 20)


def test_no_checks():
    """Nothing there, nothing found."""
    assert trend_of([]) == Trend((), ())
