"""Curves of several runs: the same runs everywhere, whenever they stop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ptychosuite.analysis.bands import band
from ptychosuite.analysis.tables import open_dataset, table_of
from ptychosuite.core.runs import Status

from tests.analysis.test_tables import filled
from tests.store.records import record


def of_curves(path, *curves, clock=None, hits=None, statuses=None):
    """Dataset and table of runs whose residuals are ``curves``."""
    items = []
    for seed, curve in enumerate(curves):
        values = np.asarray(curve, dtype=float)
        seconds = 0.5 * np.arange(len(values)) if clock is None else np.asarray(clock[seed], dtype=float)
        hit = float("nan") if hits is None else hits[seed]
        items.append(
            replace(
                record(seed),
                curves={"residual": values, "seconds": seconds},
                metrics={"residual": float(values[-1]), "iterations_to_tol": hit},
                status=Status.COMPLETED if statuses is None else statuses[seed],
            )
        )
    store = filled(path, items)
    return open_dataset(store), table_of(open_dataset(store), [item.spec.spec_id for item in items])


def test_a_run_that_has_stopped_keeps_its_last_value(tmp_path):
    """The median does not rise where the good runs have stopped: that of the others alone would."""
    quick, slow = [8, 1, 0.5], [8, 7, 6, 5, 4, 3]
    dataset, table = of_curves(tmp_path, quick, quick, slow)
    found = band(dataset, table, "residual", "iteration")
    assert found.median.tolist() == [8, 1, 0.5, 0.5, 0.5, 0.5]
    assert found.alive.tolist() == [3, 3, 3, 1, 1, 1]
    assert (np.diff(found.median) <= 0).all()
    assert found.high.tolist() == [8, 7, 6, 5, 4, 3]
    assert found.runs == 3


def test_it_does_so_against_seconds(tmp_path):
    """Runs whose clocks differ are compared at the same time, each by a straight line between its points."""
    dataset, table = of_curves(tmp_path, [8, 4], [8, 2, 1], clock=[[0, 2], [0, 1, 4]])
    found = band(dataset, table, "residual", "seconds")
    assert found.x.tolist() == [1, 2, 4]
    np.testing.assert_allclose(found.median, [(6 + 2) / 2, (4 + 5 / 3) / 2, (4 + 1) / 2])
    assert found.alive.tolist() == [2, 2, 1]


@pytest.mark.parametrize("status", [Status.DIVERGED, Status.FAILED])
def test_runs_that_did_not_complete_have_no_part(tmp_path, status):
    """A diverged run moves no median and widens no scale."""
    statuses = [Status.COMPLETED, Status.COMPLETED, status]
    dataset, table = of_curves(tmp_path, [8, 4], [8, 2], [8, 1e9], statuses=statuses)
    found = band(dataset, table, "residual", "iteration")
    assert found.median.tolist() == [8, 3]
    assert found.runs == 2
    nothing = band(dataset, table[table["status"] == status], "residual", "iteration")
    assert (nothing.runs, len(nothing.x)) == (0, 0)


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        ([2, 4, 6], 5),
        ([2, 4, np.nan], 5),
        ([2, np.nan, np.nan], np.nan),
        ([np.nan] * 3, np.nan),
        ([2, 4, np.nan, np.nan], 5),
    ],
)
def test_place_of_the_tolerance(tmp_path, hits, expected):
    """Where half of the runs have met it; those that never do are infinitely late, not left out."""
    curve = np.linspace(8, 1, 8)
    dataset, table = of_curves(tmp_path, *[curve] * len(hits), hits=hits)
    found = band(dataset, table, "residual", "iteration")
    np.testing.assert_equal(found.hit, expected)


def test_circle_lies_at_the_tolerance(tmp_path):
    """Of runs that stop at a tolerance of 1, the mark is not above what the runs have there."""
    curves = [[8, 4, 2, 1], [9, 3, 1], [9, 8, 7, 6, 5, 4, 3, 1]]
    dataset, table = of_curves(tmp_path, *curves, hits=[3, 2, 7])
    by_iteration = band(dataset, table, "residual", "iteration")
    assert (by_iteration.hit, by_iteration.at_hit) == (4, 1.0)
    by_seconds = band(dataset, table, "residual", "seconds")
    assert (by_seconds.hit, by_seconds.at_hit) == (1.5, 1.0)
    assert by_seconds.x[0] > 0, "a logarithmic axis has no zero"


def test_thinned_out_it_is_the_same_curve(tmp_path):
    """Fewer points lie on the whole curve, its ends and the place of the tolerance among them."""
    curve = 100 / np.arange(1, 301)
    dataset, table = of_curves(tmp_path, curve, hits=[123])
    whole = band(dataset, table, "residual", "iteration")
    few = band(dataset, table, "residual", "iteration", most=20)
    assert len(whole.x) == 300
    assert len(few.x) <= 21
    assert {1.0, 124.0, 300.0} <= set(few.x)
    np.testing.assert_allclose(few.median, np.interp(few.x, whole.x, whole.median))


def test_measured_now_and_then(tmp_path):
    """Between two measurements a curve is a straight line."""
    dataset, table = of_curves(tmp_path, [8, np.nan, 4], [8, 6, np.nan, 2])
    found = band(dataset, table, "residual", "iteration")
    assert found.x.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(found.median, [8, 6, 4, 3])
