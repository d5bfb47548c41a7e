"""Two stores side by side: which runs are pairs, what is compared, and what differs beyond rounding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ptychosuite.analysis.comparison import StoreRuns, compare_stores
from ptychosuite.core.runs import Status
from ptychosuite.errors import StoreError
from ptychosuite.reporting.compare_page import change_rows
from ptychosuite.store.layout import Store
from ptychosuite.store.planned import study_content

from tests.study.small import carry_out, plan_text

AXES = """\
axes:
  problem.noise: [0.05, 0.4]
  solver: [rpie, {name: magpie, levels: 2}]
  seed: {range: 3}
"""


def runs_of(plan, results, name):
    store = Store.open(results / plan.name)
    return StoreRuns.of(name, name, store, study_content(plan), plan.runs)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A study, and what its store holds."""
    folder = tmp_path_factory.mktemp("stored")
    plan = plan_text(folder, AXES)
    carry_out(plan, folder / "results")
    return runs_of(plan, folder / "results", "A")


def altered(side, change, where=lambda record: True):
    """The same store with other records: ``change`` of one gives another, or None for a missing one."""
    changed = {i: change(record) if where(record) else record for i, record in side.records.items()}
    there = {i: record for i, record in changed.items() if record is not None}
    return replace(side, name="B", source="B", records=there)


def is_rpie(record):
    return record.spec.solver["name"] == "rpie"


def with_metrics(record, **factors):
    metrics = {name: value * factors.get(name, 1) for name, value in record.metrics.items()}
    return replace(record, metrics=metrics)


def change_of(comparison, line, metric):
    return [
        change
        for group in comparison.groups
        for change in group.changes
        if group.place.line == line and change.metric.name == metric
    ]


def test_a_store_beside_itself(stored):
    """Every run is a pair, nothing differs, every ratio is one."""
    found = compare_stores(stored, altered(stored, lambda record: record))
    assert (len(found.pairs), found.only_a, found.only_b, found.by_factors) == (12, 0, 0, False)
    assert [tuple(group.place) for group in found.groups] == [
        (f"noise {noise}", line) for noise in ("0.05", "0.4") for line in ("rPIE", "MAGPIE")
    ]
    assert found.changed == 0
    assert found.settings == {}
    assert all(a == b for _, a, b in found.origin)
    changes = [change for group in found.groups for change in group.changes if not change.note]
    assert {change.ratio for change in changes if change.a} == {1.0}
    assert not any(change.better or change.worse for change in changes)
    assert (found.table()["error_ratio"] == 1).all()


def test_medians_and_directions(stored):
    """The median of each side by NumPy; half the error is better, a worse residual worse; only rPIE's."""
    other = altered(stored, lambda record: with_metrics(record, error=0.5, residual=3), is_rpie)
    found = compare_stores(stored, other)
    values = [
        record.metrics["error"]
        for record in stored.records.values()
        if is_rpie(record) and record.spec.problem["noise"] == 0.05
    ]
    first, second = change_of(found, "rPIE", "error")
    assert first.a == np.median(values)
    assert first.ratio == pytest.approx(0.5)
    assert (first.pairs, first.better, first.worse) == (3, 3, 0)
    assert (second.better, second.worse) == (3, 0)
    assert [change.worse for change in change_of(found, "rPIE", "residual")] == [3, 3]
    assert not any(
        c.better or c.worse for name in ("error", "residual") for c in change_of(found, "MAGPIE", name)
    )
    assert found.changed == 6
    table = found.table()
    assert set(table.loc[table["line"] == "rPIE", "error_change"]) == {"better"}
    assert set(table.loc[table["line"] == "MAGPIE", "error_change"]) == {""}


def test_rounding_is_no_change(stored):
    """The last digit of an error may move where the beginning is not the same to the last digit."""

    def rounded(record):
        curves = {name: values * (1 + 1e-7) for name, values in record.curves.items()}
        return replace(with_metrics(record, error=1 + 1e-6), curves=curves)

    assert compare_stores(stored, altered(stored, rounded)).changed == 0


def test_what_failed_or_is_missing_is_counted(stored):
    """Outcomes of all planned runs; medians over pairs that completed in both; a change of status."""
    failed = altered(
        stored, lambda r: replace(r, status=Status.FAILED, metrics={}, curves={}),
        lambda r: is_rpie(r) and r.spec.seed == 0,
    )  # fmt: skip
    other = altered(failed, lambda r: None, lambda r: not is_rpie(r) and r.spec.problem["noise"] == 0.4)
    found = compare_stores(stored, other)
    assert other.outcome.text == "7 of 12 completed, 2 failed, 3 missing"
    assert (found.only_a, found.only_b) == (3, 0)
    by_place = {tuple(group.place): group for group in found.groups}
    rpie, magpie = by_place["noise 0.4", "rPIE"], by_place["noise 0.4", "MAGPIE"]
    assert (rpie.a.short, rpie.b.short) == ("3 of 3", "2 of 3")
    assert rpie.b.failed == 1
    assert rpie.changed == {"status": 1}
    assert {change.pairs for change in rpie.changes if not change.note} == {2}
    assert magpie.b.missing == 3
    assert {change.note for change in magpie.changes} == {"no pair"}


@pytest.mark.parametrize(
    ("provenance", "note"),
    [
        ({"cpu": "another"}, "not comparable: other hardware"),
        ({"gpu_model": "a GPU"}, "not comparable: other hardware"),
        ({"lane": "throughput"}, "not comparable: throughput lane"),
        ({"host": "its neighbour", "git_commit": "another"}, ""),
    ],
)
def test_times_are_compared_where_hardware_and_lane_are_the_same(stored, provenance, note):
    """Otherwise it is said; everything else is compared all the same."""
    other = altered(stored, lambda r: replace(r, provenance={**r.provenance, **provenance}))
    found = compare_stores(stored, other)
    assert {change.note for change in change_of(found, "rPIE", "seconds")} == {note}
    assert found.table()["seconds_ratio"].isna().all() == bool(note)
    assert change_of(found, "rPIE", "error")[0].ratio == 1
    assert {name for name, a, b in found.origin if a != b} == {
        {"cpu": "processor", "gpu_model": "GPU", "git_commit": "commit"}.get(key, key) for key in provenance
    }


def test_a_tolerance_that_is_not_met_is_infinitely_long(stored):
    """Of three runs of which two never get there the median is never, and not that of the third."""

    def measured(record):
        reached = 7.0 if record.spec.seed == 0 else np.nan
        return replace(record, metrics={**record.metrics, "iterations_to_tol": reached})

    found = compare_stores(altered(stored, measured), altered(stored, measured))
    change = change_of(found, "rPIE", "iterations_to_tol")[0]
    assert (change.a, change.b, change.pairs, change.ratio) == (np.inf, np.inf, 3, None)


@pytest.mark.parametrize("seeds", [{0}, {0, 1, 2}])
def test_what_is_no_number_any_more_is_counted(stored, seeds):
    """It is worse, of as many pairs as had a number, though it is in no median."""

    def lost(record):
        is_lost = is_rpie(record) and record.spec.seed in seeds
        return with_metrics(record, **({"error": float("nan")} if is_lost else {}))

    found = compare_stores(stored, altered(stored, lost))
    change = change_of(found, "rPIE", "error")[0]
    assert (change.pairs, change.compared, change.worse) == (3 - len(seeds), 3, len(seeds))
    row = next(row for row in change_rows(found, [change.metric]) if row.line == "rPIE")
    more = "; no pair has a number in both" if len(seeds) == 3 else ""
    assert (row.change, row.kind) == (f"{len(seeds)} worse of 3{more}", "worse")


def test_pairs_by_factors(stored, tmp_path):
    """Where all runs have another precision, noise, solver and seed make the pairs; what differs is said."""
    plan = plan_text(tmp_path, AXES, "dtype=complex128", "seed={range: 2}")
    carry_out(plan, tmp_path / "results")
    found = compare_stores(stored, runs_of(plan, tmp_path / "results", "B"))
    assert found.by_factors
    assert (len(found.pairs), found.only_a, found.only_b) == (8, 4, 0)
    assert found.settings == {"dtype": ("complex64", "complex128")}
    for pair in found.pairs:
        assert pair.a.spec.seed == pair.b.spec.seed
        assert pair.a.spec.solver == pair.b.spec.solver
        assert pair.a.spec.problem == pair.b.spec.problem
    assert [(group.a.short, group.b.short) for group in found.groups] == [("3 of 3", "2 of 2")] * 4


PRECISIONS = """\
axes:
  solver: [lbfgs, {name: magpie, levels: 2}, {name: rpie, alpha: 0.1}]
  seed: {range: 2}
"""


def test_precisions_differ_alike_in_either_order(tmp_path):
    """Rounding is that of the coarser of the two, whichever of them is A."""
    stored = {}
    for dtype in ("complex64", "complex128"):
        (tmp_path / dtype).mkdir()
        stop = "stop={iterations: 10, check_every: 1}"
        plan = plan_text(tmp_path / dtype, PRECISIONS, f"dtype={dtype}", stop, "problem.noise=0.05")
        carry_out(plan, tmp_path / dtype / "results")
        stored[dtype] = runs_of(plan, tmp_path / dtype / "results", dtype)
    single, double = stored.values()
    assert [compare_stores(*sides).changed for sides in ((single, double), (double, single))] == [0, 0]


def test_stores_without_a_common_run(stored, tmp_path):
    """They are refused."""
    plan = plan_text(tmp_path, "solver: lbfgs\n")
    carry_out(plan, tmp_path / "results")
    with pytest.raises(StoreError, match="no run of A has a partner in B"):
        compare_stores(stored, runs_of(plan, tmp_path / "results", "B"))


def test_a_study_that_asks_for_metrics(tmp_path):
    """As any other: what it asks for is a setting of each of its runs."""
    plan = plan_text(tmp_path, "metrics: [psnr_phase, ssim_phase]\naxes: {seed: {range: 2}}\n")
    carry_out(plan, tmp_path / "results")
    side = runs_of(plan, tmp_path / "results", "A")
    assert compare_stores(side, side).changed == 0
