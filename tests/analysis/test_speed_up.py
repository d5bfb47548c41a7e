"""Time to target and speed-up, on made-up curves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from ptychosuite.analysis.speed_up_pairs import (
    OUTCOMES,
    Goal,
    censored_median,
    speed_up_pairs,
    speed_up_summary,
)
from ptychosuite.analysis.tables import open_dataset, table_of
from ptychosuite.analysis.to_target import reached_for_good
from ptychosuite.core.runs import RunRecord, Status
from ptychosuite.store.write import write_run

from tests.analysis.made_up import made_up as made_up_table
from tests.analysis.made_up import run
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


def pairs_of(path, records, x="seconds", within=0.0, metric="poisson_nll", **goal):
    store = store_at(path / "r", FACTORS)
    for item in records:
        write_run(store, item)
    dataset = open_dataset(store)
    return speed_up_pairs(table_of(dataset), dataset, Goal(metric, x, within=within, **goal))


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


# Other targets than what the plain run ends with


def literal_pair(plain, other, target, for_good=True, at=None):
    """Iterations to the target, counted one by one, who gets there, and the bounds of the speed-up."""

    def reached(curve):
        curve = curve[: None if at is None else at + 1]
        for iteration in range(len(curve)):
            rest = curve[iteration:] if for_good else curve[iteration : iteration + 1]
            if all(value <= target for value in rest):
                return iteration
        return None

    ends = [len(curve) - 1 if at is None else at for curve in (plain, other)]
    a, b = reached(plain), reached(other)
    if a is not None and b is not None:
        return "both", a / b, a / b
    if b is not None:
        return "it alone", ends[0] / b, INF
    if a is not None:
        return "plain alone", 0, a / ends[1]
    return "neither", NAN, NAN


def with_deviance(seed, curve, fast_forward=None, **metrics):
    """A run whose Poisson NLL and deviance are the same ``curve``."""
    run = made_up(seed, curve, fast_forward, poisson_deviance=float(curve[-1]), **metrics)
    curves = {**run.curves, "poisson_deviance": run.curves["poisson_nll"]}
    return replace(run, curves=curves)


def outcomes_of(pairs):
    return list(zip(pairs["outcome"], pairs["speed_up"], pairs["bound"], strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_absolute_target(tmp_path, seed):
    """A tenth above the truth's own deviance, which either run may reach or not, by literal loops."""
    rng = np.random.default_rng(seed)
    records, expected = [], []
    for pair in range(8):
        plain, other = (9 * rng.choice([0.3, 0.6, 0.9]) ** np.arange(9) + rng.random(9) for _ in range(2))
        level = float(rng.choice([0.4, 0.8, 1.2]))
        records += [
            with_deviance(pair, plain, truth_deviance=level, expected_deviance=0.001),
            with_deviance(pair, other, OPERATOR, truth_deviance=level),
        ]
        found = literal_pair(plain, other, 1.1 * level)
        expected.append((*found, float(plain[-1] <= level)))
    goal = {"metric": "poisson_deviance", "target": "noise", "within": 0.1}
    pairs = pairs_of(tmp_path, records, "iteration", **goal).sort_values("run_id", ignore_index=True)
    order = np.argsort([record.run_id for record in records[1::2]])
    numbers = pairs[["outcome", "speed_up", "bound", "noise_limited"]].to_numpy().tolist()
    assert numbers == [
        [words, pytest.approx(low, nan_ok=True), pytest.approx(high, nan_ok=True), limited]
        for words, low, high, limited in (expected[place] for place in order)
    ]
    (row,) = speed_up_summary(pairs).to_dict("records")
    counts = {name: sum(each[0] == name for each in expected) for name in OUTCOMES}
    assert {name: row[name.replace(" ", "_")] for name in counts} == counts
    assert row["pairs"] == 8 == sum(counts.values())
    assert row["counted"] == 8 - counts["neither"]
    assert row["never_reached"] == counts["plain alone"] + counts["neither"]
    assert row["noise_limited"] == sum(each[3] for each in expected)
    telling = [each for each in expected if each[0] != "neither"]
    assert row["speed_up"] == pytest.approx(np.median([low for _, low, _, _ in telling]))
    assert row["speed_up_bound"] == pytest.approx(np.median([high for *_, high, _ in telling]))


def test_target_of_measured_data(tmp_path):
    """Without a truth, what the plain run's model expects; with neither there is no target."""
    records = [
        with_deviance(0, [9, 4, 2, 1], expected_deviance=2.0),
        with_deviance(0, [9, 2, 1, 1], OPERATOR, expected_deviance=7.0),
        with_deviance(1, [9, 4, 2, 1]),
        with_deviance(1, [9, 2, 1, 1], OPERATOR),
    ]
    pairs = pairs_of(tmp_path, records, "iteration", metric="poisson_deviance", target="noise")
    pairs = pairs.sort_values("outcome")
    assert outcomes_of(pairs)[0] == ("both", 2, 2)
    assert pairs["outcome"].tolist() == ["both", "unknown"]
    np.testing.assert_array_equal(pairs["noise_limited"], [1, NAN])
    assert pairs["target"].iloc[0] == 2
    (row,) = speed_up_summary(pairs).to_dict("records")
    assert (row["unknown"], row["counted"], row["speed_up"]) == (1, 1, 2)


def test_best_of_the_whole_way(tmp_path):
    """Where the plain run rises again behind its best, the first time counts, of both."""
    plain, other = [9, 6, 4, 5, 8], [9, 4.1, 6, 3, 9]
    records = [made_up(0, plain), made_up(0, other, OPERATOR)]
    (pair,) = pairs_of(tmp_path, records, "iteration", 0.05, target="best").to_dict("records")
    assert pair["target"] == pytest.approx(4.2)
    assert (pair["plain"], pair["reached"], pair["speed_up"]) == (2, 1, 2)
    assert literal_pair(plain, other, 4.2, for_good=False) == ("both", 2, 2)


@pytest.mark.parametrize("at", [2, 3, 6])
def test_long_runs_answer_for_short_ones(tmp_path, at):
    """As if both had ended there, in target, bounds and quality; what no curve knows is left out."""
    plain, other = [9, 7, 5, 6, 3, 2, 1.5], [9, 6, 6.5, 5, 4, 1, 1]
    records = [
        replace(
            made_up(0, curve, operator, frc_crossing=0.5, phase_rmse_rad=curve[-1] / 10),
            curves=curves_of(curve),
        )
        for curve, operator in ((plain, None), (other, OPERATOR))
    ]
    long = pairs_of(tmp_path / "long", records, "iteration", at=at)
    short = [
        made_up(0, curve[: at + 1], operator, phase_rmse_rad=curve[at] / 10)
        for curve, operator in ((plain, None), (other, OPERATOR))
    ]
    expected = pairs_of(tmp_path / "short", short, "iteration")
    columns = [
        "target",
        "plain",
        "reached",
        "outcome",
        "speed_up",
        "bound",
        "final_ratio",
        "phase_change_rad",
    ]
    pd.testing.assert_frame_equal(long[columns], expected[columns])
    assert outcomes_of(long) == [literal_pair(plain, other, plain[at], at=at)]
    assert long["frc_change"].isna().all() == (at < 6)


def curves_of(curve):
    """As :func:`made_up` has them, with a phase error of a tenth of the NLL."""
    curve = np.array(curve, dtype=float)
    return {"poisson_nll": curve, "phase_rmse_rad": curve / 10, "seconds": 2.0 * np.arange(len(curve))}


@pytest.mark.parametrize(
    ("ends", "is_worse"), [((-1, -0.5), 0), ((-1, -2), 1), ((-1, -1.0001), 0), ((-1, 3), 0), ((2, -1), 1)]
)
def test_values_below_zero(ends, is_worse):
    """Of decibels, more is as good or better on either side of zero; a ratio of such values tells nothing."""
    rows = [
        run("epie", [-9, end], seed, fast_forward=kind)
        for seed in range(2)
        for kind, end in zip(("", "identity"), ends, strict=True)
    ]
    table, dataset = made_up_table(rows, "psnr_phase", settings=["fast_forward"])
    table["run_id"] = "r"
    table["ff_jumps"] = table["ff_rejected"] = table["ff_seconds_inference"] = 1.0
    pairs = speed_up_pairs(table, dataset, Goal("psnr_phase", "iteration"))
    (row,) = speed_up_summary(pairs).to_dict("records")
    assert row["ended_worse"] == 2 * is_worse
    assert np.isnan([row["final_ratio"], row["worst_final_ratio"]]).all()


def test_plain_runs_that_were_too_short(tmp_path):
    """Are no partners, and are counted."""
    records = [made_up(0, [9, 5, 4]), made_up(0, [9, 4, 3, 2, 1], OPERATOR)]
    pairs = pairs_of(tmp_path, records, at=3)
    assert pairs.empty
    assert pairs.attrs["ended_before"] == 1


def test_what_is_beside_the_speed_up(tmp_path):
    """Ratio of held-out deviances, change of artefacts, and what each part of the clock costs."""
    plain = made_up(0, [9, 5, 4, 3, 2], held_out_deviance=0.8, phase_artefact_rad=0.04, seconds=8.0)
    jumps = {"ff_seconds_inference": 0.5, "ff_seconds_look_ahead": 2.0, "seconds": 10.0}
    other = made_up(0, [9, 3, 2, 1, 1], OPERATOR, held_out_deviance=0.6, phase_artefact_rad=0.05, **jumps)
    (pair,) = pairs_of(tmp_path, [plain, other]).to_dict("records")
    assert pair["held_out_ratio"] == pytest.approx(0.75)
    assert pair["artefact_change_rad"] == pytest.approx(0.01)
    shares = [pair[f"share_{part}"] for part in ("steps", "inference", "look_ahead")]
    assert shares == pytest.approx([0.75, 0.05, 0.2])
