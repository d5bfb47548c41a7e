"""Tables, selections and labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ptychosuite.analysis.labels import column_name, line_labels, value_text
from ptychosuite.analysis.selection import selection_of, selection_of_plan
from ptychosuite.analysis.summary import summary
from ptychosuite.analysis.tables import NOT_COMPARABLE, open_dataset, table_of, timed
from ptychosuite.errors import StoreError
from ptychosuite.store.read import latest_session
from ptychosuite.store.write import write_run

from tests.store.records import NUMBERS, record, store_at
from tests.study.small import carry_out, plan_text

SOLVER = {**NUMBERS, "solver.name": False, "solver.alpha": True, "solver.levels": True}


def run_table(store, spec_ids=None):
    return table_of(open_dataset(store), spec_ids)


def filled(path, records, factors=None):
    store = store_at(path / "r", factors or SOLVER)
    for item in records:
        write_run(store, item)
    return store


def test_table_has_a_row_for_each_run(tmp_path):
    """Factors and metrics are columns; rows know their place in the dataset."""
    items = [record(seed, noise=0.1 * seed) for seed in range(3)]
    store = filled(tmp_path, items)
    table = run_table(store, [item.spec.spec_id for item in items[::-1]])
    assert table["seed"].tolist() == [2, 1, 0]
    assert table["error"].tolist() == [2.5, 1.5, 0.5]
    assert set(table.attrs["factors"]) == {"seed", "noise", "solver", "alpha", "levels"}
    assert set(table.attrs["solver_settings"]) == {"alpha", "levels"}
    dataset = open_dataset(store)
    assert dataset["seed"].values[table["row"]].tolist() == [2, 1, 0]


def test_latest_code_counts(tmp_path):
    """Of one specification that two versions of the code computed, the later is shown."""
    old = record(1)
    new = replace(old, run_id=old.spec.run_id("new"), metrics={"error": 9.0, "residual": 1.0},
                  provenance={"start": "2031"})  # fmt: skip
    table = run_table(filled(tmp_path, [new, old]), [old.spec.spec_id])
    assert table["error"].tolist() == [9.0]


def test_store_without_runs(tmp_path):
    """There is nothing to show, and the message says what to do."""
    with pytest.raises(StoreError, match=r"no runs yet; run the study first"):
        run_table(filled(tmp_path, []))


def test_selection_of_a_study_that_was_not_run(tmp_path):
    """A results folder with other runs, or none, is told apart."""
    with pytest.raises(StoreError, match=r"no results in .*tiny; run the study first"):
        selection_of_plan(plan_text(tmp_path, ""), tmp_path)
    carry_out(plan_text(tmp_path, ""), tmp_path)
    with pytest.raises(StoreError, match=r"none of the runs of this study"):
        selection_of_plan(plan_text(tmp_path, "seed: 99\n"), tmp_path)


def test_selection_from_the_store_is_that_of_the_plan(tmp_path):
    """The latest session gives the same runs, figures and text as the study file."""
    plan = plan_text(
        tmp_path, "axes: {seed: [0, 1]}\nfigures: [{kind: images, show: [phase]}, {kind: setup}]\n"
    )
    store, _ = carry_out(plan, tmp_path)
    by_plan = selection_of_plan(plan, tmp_path)
    by_store = selection_of(store, latest_session(store))
    assert by_plan.figures == by_store.figures
    assert by_plan.table.equals(by_store.table)
    assert (by_plan.name, by_plan.title, by_plan.text) == (by_store.name, by_store.title, by_store.text)


def test_summary_counts_runs_that_never_meet_the_tolerance(tmp_path):
    """One row a combination, medians over seeds, a run that never gets there being infinitely long."""
    hits = [2.0, np.nan, np.nan]
    items = [
        record(seed, solver={"name": name, "alpha": 0.1}, metrics={"iterations_to_tol": hit})
        for name in ("rpie", "epie")
        for seed, hit in enumerate(hits if name == "rpie" else [3.0, 5.0, np.nan])
    ]
    table = run_table(filled(tmp_path, items), [item.spec.spec_id for item in items])
    rows = summary(table).set_index("solver")
    assert rows.loc["rpie", ["planned", "completed", "met_tolerance", "error"]].tolist() == [3, 3, 1, 1.5]
    assert rows.loc["rpie", ["error_low", "error_high"]].tolist() == [0.5, 2.5]
    assert rows.loc["rpie", "iterations_to_tol"] == np.inf
    assert rows.loc["epie", "iterations_to_tol"] == 5.0


def test_labels_tell_lines_apart(tmp_path):
    """A solver's label has the settings that differ, and no others."""
    solvers = [{"name": "rpie", "alpha": 0.1}] + [
        {"name": "magpie", "alpha": 0.1, "levels": levels} for levels in (2, 7)
    ]
    items = [record(0, solver=solver) for solver in solvers]
    table = run_table(filled(tmp_path, items), [item.spec.spec_id for item in items])
    assert line_labels(table, "solver").tolist() == ["rPIE", "MAGPIE (levels 2)", "MAGPIE (levels 7)"]
    assert line_labels(table, "levels").tolist() == ["", "2", "7"]


@pytest.mark.parametrize(
    ("name", "column"),
    [("iterations-to-target", "iterations_to_tol"), ("phase-rmse-rad", "phase_rmse_rad"), ("error", "error")],
)
def test_column_names(name, column):
    """Dashes and a few synonyms are understood."""
    assert column_name(name) == column


@pytest.mark.parametrize(("value", "text"), [(0.1, "0.1"), (3.0, "3"), (float("nan"), ""), ("rpie", "rpie")])
def test_values_in_legends(value, text):
    """Numbers are short, missing ones empty."""
    assert value_text(value) == text


def in_lanes(path, lanes):
    """A store with a run of each lane; the run's number is its time."""
    items = [
        replace(
            record(
                seed, iterations=2, metrics={"seconds": float(seed), "seconds_per_iteration": float(seed)}
            ),
            provenance={"start": "2030", "lane": lane} if lane else {"start": "2030"},
        )
        for seed, lane in enumerate(lanes, start=1)
    ]
    return filled(path, items)


def test_times_of_the_lanes_are_not_mixed(tmp_path):
    """Medians of times leave the throughput lane out; other figures do not. Runs without a lane are alone."""
    table = run_table(in_lanes(tmp_path, ["throughput", "timing", "", "throughput"]))
    assert sorted(table["lane"]) == ["", "throughput", "throughput", "timing"]
    row = summary(table).iloc[0]
    assert row["planned"] == 4
    assert row["seconds"] == 2.5
    assert row["error"] == np.median([1.5, 2.5, 3.5, 4.5])


def test_times_that_cannot_be_compared_say_so(tmp_path):
    """Where all runs shared their cores, the name of a time tells."""
    table = run_table(in_lanes(tmp_path, ["throughput"] * 3))
    row = summary(table).iloc[0]
    assert "seconds" not in row
    assert row[f"seconds{NOT_COMPARABLE}"] == 2.0
    timed_runs, note = timed(table)
    assert len(timed_runs) == 3
    assert note == NOT_COMPARABLE


def test_a_run_that_ends_meanwhile_is_not_damaged(tmp_path, monkeypatch):
    """It is missing from a report that is drawn while the sweep goes on, and nothing is said of its file."""
    plan = plan_text(tmp_path, "axes: {seed: {range: 3}}\n")
    carry_out(plan.only([0, 1]), tmp_path / "results")

    def slow(store, study):
        dataset = open_dataset(store, study)
        carry_out(plan, tmp_path / "results")
        return dataset

    monkeypatch.setattr("ptychosuite.analysis.selection.open_dataset", slow)
    found = selection_of_plan(plan, tmp_path / "results")
    assert (found.outcome.completed, found.outcome.missing) == (2, 1)
    assert found.notes == []
