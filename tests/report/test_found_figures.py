"""Figures of positions, modes and misfits: what they show is what the metrics and the records say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from ptychosuite.analysis.selection import selection_of_plan
from ptychosuite.errors import NothingToDraw
from ptychosuite.reporting.figures.chosen_runs import ChosenRun, plain_factor, typical_step_px
from ptychosuite.reporting.figures.misfit_map import PositionMisfitFigure
from ptychosuite.reporting.figures.modes_grid import ModesFigure
from ptychosuite.reporting.figures.positions_map import Errors, PositionsFigure
from ptychosuite.reporting.page import write_report
from ptychosuite.store.read import read_reference, read_run

from tests.report.drawing import draw
from tests.study.small import HEAD, carry_out, plan_of, plan_text, study_file
from tests.study.test_bad_input import check, refusal

FAULTS = """\
  scan: {kind: raster, overlap: 0.6}
  margin_px: 4
  position_errors: {random_px: 0.8}
  coherence: {powers: [0.7, 0.3]}
"""
AXES = """\
axes:
  solver:
    - {name: rpie, alpha: 0.1}
    - {name: rpie, alpha: 0.1, probe_modes: 2, positions: gradient, positions_start: 0}
  seed: {range: 2}
figures:
  - {kind: positions}
  - {kind: modes}
  - {kind: position-misfit}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Runs that find positions and modes, beside such as do not: their plan and where their results are."""
    folder = tmp_path_factory.mktemp("found")
    head = HEAD.replace("size: 32", "size: 48").replace("stop:", f"{FAULTS}stop:")
    plan = plan_of(study_file(folder, AXES, head=head))
    carry_out(plan, folder / "results")
    return plan, folder / "results"


@pytest.fixture
def parts(results):
    selection = selection_of_plan(*results)
    return selection.table, selection.store


def titles(drawn):
    return [axis.get_title() for axis in drawn.figure.axes if axis.get_label() != "<colorbar>"]


def record_of(parts, place):
    table, store = parts
    record = read_run(store.root / table["path"].iloc[place])
    return record, read_reference(store, record.reference)


def test_positions(parts):
    """One panel a line: dots at the true ones, arrows as long as the errors times the factor that is told."""
    table, store = parts
    drawn = draw(PositionsFigure(magnified=5), table, store=store)
    given, found = drawn.figure.axes[:2]
    record, truth = record_of(parts, 2)
    assert [len(axis.collections) for axis in (given, found)] == [1, 2]
    dots = found.lines[0].get_xydata()
    np.testing.assert_allclose(dots, truth.scan_positions_px[:, ::-1])
    error = record.scan_positions_px - truth.scan_positions_px
    arrows = found.collections[1]
    np.testing.assert_allclose(np.stack([arrows.V, arrows.U], axis=1), 5 * (error - error.mean(axis=0)))
    rms = table["position_error_px"]
    assert f"given {rms.iloc[0]:.3g} px rms" in titles(drawn)[0]
    assert f"given {rms.iloc[0]:.3g}, found {rms.iloc[2]:.3g} px rms" in titles(drawn)[1]
    assert "5 times as long" in drawn.caption
    assert "common shift" in drawn.caption
    numbers = drawn.numbers[drawn.numbers["run_id"] == record.run_id]
    np.testing.assert_allclose(numbers[["found_row_px", "found_column_px"]], record.scan_positions_px)
    np.testing.assert_allclose(numbers[["given_row_px", "given_column_px"]], truth.given_positions_px)
    assert drawn.numbers["found_row_px"].isna().sum() == len(numbers)  # of the run that corrects none


def test_positions_by_themselves(parts):
    """The factor makes errors visible and is told; in words are the same numbers."""
    table, store = parts
    drawn = draw(PositionsFigure(), table, store=store)
    words = [text.get_text() for text in drawn.figure.legends[0].get_texts()]
    assert words[0] == "true positions"
    factor = float(words[1].rpartition("× ")[2])
    assert factor in {1, 2, 5, 10, 20, 50}
    assert f"{factor:g} times" in drawn.caption
    assert "px beyond an affine map" in drawn.alt


def test_factors_and_steps():
    assert [plain_factor(x) for x in (1, 1.99, 2, 4.9, 7, 0.3, 120)] == pytest.approx(
        [1, 1, 2, 2, 5, 0.2, 100]
    )
    assert typical_step_px(np.array([[0, 0], [0, 3], [0, 6], [40, 0.0]])) == 3
    assert typical_step_px(np.zeros((1, 2))) == 1


def test_positions_without_a_truth(parts):
    """Dots where they were given, arrows to where they were found; nothing is said of what is true."""
    record, truth = record_of(parts, 2)
    measured = dataclasses.replace(record, given_positions_px=truth.given_positions_px, reference="")
    errors = Errors.of(ChosenRun("a run", record=measured))
    moved = record.scan_positions_px - truth.given_positions_px
    np.testing.assert_array_equal(errors.dots, truth.given_positions_px)
    np.testing.assert_allclose(errors.found, moved - moved.mean(axis=0))
    assert errors.given is None
    plain = dataclasses.replace(measured, given_positions_px=None)
    assert Errors.of(ChosenRun("another", record=plain)).found is None


def test_modes(parts):
    """Truth and runs, each mode with its share of the power; the metric's share is the picture's."""
    table, store = parts
    drawn = draw(ModesFigure(), table, store=store)
    assert titles(drawn)[:2] == ["1: 70 %", "2: 30 %"]
    numbers = drawn.numbers
    assert numbers.groupby("row", sort=False).size().tolist() == [2, 1, 2]
    np.testing.assert_allclose(numbers.groupby("row")["share"].sum(), 1)
    record, _ = record_of(parts, 2)
    found = numbers[numbers["run_id"] == record.run_id]
    assert found["share"].iloc[0] == pytest.approx(record.metrics["first_mode_share"], rel=1e-5)
    power = np.sum(np.abs(record.probe_modes) ** 2, axis=(1, 2))
    np.testing.assert_allclose(found["share"], power / power.sum(), rtol=1e-5)
    image = drawn.figure.axes[8].images[0].get_array()
    np.testing.assert_allclose(image, np.abs(record.probe_modes[0]), rtol=1e-5, atol=1e-6)
    assert "70 %" in drawn.alt
    assert drawn.is_photograph


def test_misfit_of_each_pattern(parts):
    """Its mean is the deviance of the run; each stands where its pattern was found."""
    table, store = parts
    drawn = draw(PositionMisfitFigure(), table, store=store)
    for place in (0, 2):
        record, truth = record_of(parts, place)
        numbers = drawn.numbers[drawn.numbers["run_id"] == record.run_id]
        mean = numbers["poisson_deviance"].mean()
        assert mean == pytest.approx(record.metrics["poisson_deviance"], rel=1e-4)
        known = truth.given_positions_px if record.scan_positions_px is None else record.scan_positions_px
        np.testing.assert_allclose(numbers[["row_px", "column_px"]], known)
    values = drawn.figure.axes[1].collections[0].get_array()
    np.testing.assert_allclose(values, numbers["poisson_deviance"])
    assert drawn.figure.axes[0].collections[0].norm is drawn.figure.axes[1].collections[0].norm
    assert f"largest {numbers['poisson_deviance'].max():.3g}" in titles(drawn)[1]


@pytest.mark.parametrize("figure", [PositionsFigure(), ModesFigure(), PositionMisfitFigure()])
def test_failed_runs_are_told(parts, figure):
    """A line without a completed run has words in its place; another seed is named; none at all is told."""
    table, store = parts
    table.loc[table["seed"] == 0, "status"] = "failed"
    drawn = draw(figure, table, store=store)
    assert "2 failed" in drawn.caption
    assert "seed 1" in drawn.alt or "seed 1" in " ".join(titles(drawn))
    corrected = table["positions"] == "gradient" if "positions" in table else table["probe_modes"] == 2
    table.loc[corrected, "status"] = "failed"
    drawn = draw(figure, table, store=store)
    texts = [text.get_text() for axis in drawn.figure.axes for text in axis.texts]
    assert "2 failed" in texts
    table["status"] = "failed"
    table["path"] = ""
    with pytest.raises(NothingToDraw, match="4 failed"):
        draw(figure, table, store=store)


def test_the_page_has_them(results, tmp_path):
    page = write_report(selection_of_plan(*results), tmp_path / "reports")
    for stem in ("positions", "modes", "position-misfit"):
        assert (page.parent / f"figures/{stem}.pdf").stat().st_size > 1000
        assert len(pd.read_csv(page.parent / f"numbers/{stem}.csv"))
        assert f"figures/{stem}.pdf" in page.read_text()


REFUSED = {
    "positions": "no run corrects its positions",
    "modes": "no run has several modes",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_where_no_run_has_it(tmp_path, kind):
    """With its place in the file; accepted as soon as one run has it."""
    message = refusal(study_file(tmp_path, f"figures:\n  - {{kind: setup}}\n  - {{kind: {kind}}}\n"))
    check(message, "8:6: figures.1.kind", [REFUSED[kind]])
    setting = {"positions": "positions: gradient", "modes": "probe_modes: 2"}[kind]
    axes = f"axes:\n  solver: [epie, {{name: rpie, {setting}}}]\nfigures: [{{kind: {kind}}}]\n"
    assert len(plan_text(tmp_path, axes).figures) == 1
    fault = {"positions": "position_errors.random_px=0.1", "modes": "coherence.source_fwhm_px=0.5"}[kind]
    settings = f"problem.{fault}", "problem.margin_px=3", "problem.object.size=64"
    assert len(plan_text(tmp_path, f"figures: [{{kind: {kind}}}]\n", *settings).figures) == 1


@pytest.mark.parametrize(
    ("metric", "setting"),
    [
        ("held_out_deviance", "problem.hold_out=0.1"),
        ("position_error_px", "solver.positions=gradient"),
        ("first_mode_share", "solver.probe_modes=2"),
    ],
)
def test_metrics_of_what_no_run_has(tmp_path, metric, setting):
    """A curve is refused that no run will have."""
    figure = f"solver: {{name: rpie}}\nfigures:\n  - {{kind: convergence, metric: {metric}}}\n"
    assert f"no run has '{metric}'" in refusal(study_file(tmp_path, figure))
    assert len(plan_text(tmp_path, figure, setting).figures) == 1
