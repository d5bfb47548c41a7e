"""Time to target and speed-up, on made-up curves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ptychosuite.analysis.speed_up_pairs import (
    censored_median,
    speed_up_pairs,
    speed_up_summary,
)
from ptychosuite.analysis.tables import open_dataset, table_of
from ptychosuite.analysis.to_target import reached_for_good
from ptychosuite.core.runs import RunRecord, Status
from ptychosuite.store.write import write_run

from tests.store.records import NUMBERS, record, store_at

NAN, INF = float("nan"), float("inf")
FACTORS = {**NUMBERS, "solver.name": False, "fast_forward": False}
OPERATOR = {"kind": "identity", "warm_up": 2, "jumps": 1}


@pytest.mark.parametrize(
    ("curve", "first"),
    [
        ([9, 5, 3, 1, 1], 2),
        ([9, 5, 4, 4, 3.5], INF),
        ([9, 3, 5, 2, 1], 3),
        ([9, 2, 2, 2, 5], INF),
        ([1, 1, 1, 1, 1], 0),
        ([9, NAN, 3, NAN, 1], 2),
        ([9, NAN, NAN, NAN, 3], 4),
        ([9, 2, 1, NAN, NAN], 1),
        ([9, 2, 1, INF, 1], 4),
        ([NAN] * 5, INF),
    ],
)
def test_reached_for_good(curve, first):
    """A dip that rises again does not count; nor does what was not measured; never is infinite."""
    assert reached_for_good(np.arange(5.0), np.array(curve, dtype=float), 3.0) == first


def test_median_without_censoring():
    """The median, and the order statistics whose interval holds it with 95 % confidence."""
    values = np.arange(1.0, 21)
    median = censored_median(values, values)
    assert median.low == median.high == 10.5
    assert median.interval == (6, 15)  # of 20, the sixth from either end: 95.9 %
    assert censored_median([1.0] * 5, [2.0] * 5).interval == (0, INF)  # five values give 93.75 % at most


def test_median_with_censored_pairs():
    """A few censored pairs move the median down and are kept; where they are many only a bound is left."""
    high = np.array([2.0, 3, 4, 5, 6, 7, 8])
    few, many = high.copy(), high.copy()
    few[:1], many[:4] = 0, 0
    assert (censored_median(few, high).low, censored_median(few, high).high) == (5, 5)
    assert censored_median(few, high).interval == (0, 8)
    assert (censored_median(many, high).low, censored_median(many, high).high) == (0, 5)
    assert censored_median([2.0, 0.0, 0.0], [2.0, 0.9, 0.8]).high == 0.9


def test_interval_covers():
    """Over many samples of a skew distribution, the interval holds the true median as often as it says."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(500):
        sample = rng.lognormal(size=15)
        low, high = censored_median(sample, sample).interval
        hits += low <= 1 <= high
    assert hits >= 0.93 * 500


def made_up(seed, curve, fast_forward=None, status="completed", **metrics):
    """A run with a Poisson NLL ``curve``, two seconds an iteration."""
    plain = record(seed, iterations=len(curve) - 1)
    spec = replace(plain.spec, fast_forward=fast_forward)
    curve = np.array(curve, dtype=float)
    if fast_forward:
        metrics = {"ff_jumps": 2.0, "ff_rejected": 0.0, "ff_seconds_inference": 0.5, **metrics}
    return RunRecord(
        run_id=spec.run_id("code"),
        spec=spec,
        status=Status(status),
        metrics={"poisson_nll": curve[-1], "phase_rmse_rad": 0.1, **metrics},
        curves={"poisson_nll": curve, "seconds": 2.0 * np.arange(len(curve))},
        provenance={"start": "2030-01-01"},
    )


def pairs_of(path, records, x="seconds", within=0.0):
    store = store_at(path / "r", FACTORS)
    for item in records:
        write_run(store, item)
    dataset = open_dataset(store)
    return speed_up_pairs(table_of(dataset), dataset, "poisson_nll", x, within)


def test_pairs(tmp_path):
    """Each fast-forwarded run meets its own plain run; seconds, iterations and quality are compared."""
    records = [
        made_up(0, [90, 50, 40, 30, 20], frc_crossing=0.5),
        made_up(0, [90, 20, 15, 10, 10], OPERATOR, phase_rmse_rad=0.08, frc_crossing=0.6, ff_rejected=1.0),
        made_up(1, [90, 50, 40, 30, 25]),
        made_up(1, [90, 50, 40, 30, 26], OPERATOR),
        made_up(2, [90, 50, 40, 30, 25]),
        made_up(3, [90, 50, 40, 30, 25], OPERATOR),
    ]
    pairs = pairs_of(tmp_path, records).sort_values("target").reset_index(drop=True)
    assert len(pairs) == 2  # the others have no partner
    good, never = pairs.iloc[0], pairs.iloc[1]
    assert (good["plain"], good["reached"], good["speed_up"], good["bound"]) == (8, 2, 4, 4)
    assert good["final_ratio"] == 0.5
    assert good["phase_change_rad"] == pytest.approx(-0.02)
    assert good["frc_change"] == pytest.approx(0.1)
    assert (never["reached"], never["speed_up"], never["bound"]) == (INF, 0, 1)
    assert never["final_ratio"] == pytest.approx(26 / 25)
    assert set(pairs["line"]) == {"rPIE + identity at 2"}
    (row,) = speed_up_summary(pairs).to_dict("records")
    assert (row["pairs"], row["never_reached"], row["rejected"]) == (2, 1, 0.25)
    assert (row["speed_up"], row["speed_up_bound"]) == (2, 2.5)
    assert (row["ended_worse"], row["worst_final_ratio"]) == (1, pytest.approx(26 / 25))
    assert row["inference_seconds"] == 0.5
    by_iteration = pairs_of(tmp_path / "b", records, "iteration")
    assert sorted(by_iteration["plain"]) == [4, 4]
    assert sorted(by_iteration["reached"]) == [1, INF]
    nearly = pairs_of(tmp_path / "c", records, "iteration", within=0.04).sort_values("target")
    assert nearly["target"].tolist() == pytest.approx([20.8, 26])
    assert nearly["reached"].tolist() == [1, 4]
    assert nearly["final_ratio"].tolist() == pytest.approx([0.5, 26 / 25])


def test_runs_that_went_wrong(tmp_path):
    """A fast-forwarded run that diverged has not got there; a plain one that did sets no target."""
    pairs = pairs_of(
        tmp_path,
        [
            made_up(0, [90, 50, 40]),
            made_up(0, [90, 10, NAN], OPERATOR, status="diverged"),
            made_up(1, [90, 50, 1e9], status="diverged"),
            made_up(1, [90, 50, 40], OPERATOR),
        ],
    )
    (row,) = pairs.to_dict("records")
    assert (row["reached"], row["speed_up"], row["bound"], row["final_ratio"]) == (INF, 0, 0, INF)


def test_nothing_to_compare(tmp_path):
    """Without a fast-forwarded run there are no pairs."""
    assert pairs_of(tmp_path, [made_up(0, [90, 50, 40])]).empty
