"""Figures of objects and probes: what is drawn is what the metrics compare, and no line is left out."""

from __future__ import annotations

import numpy as np
import pytest
from ptychosuite.analysis.selection import selection_of_plan
from ptychosuite.errors import NothingToDraw, StudyError
from ptychosuite.reporting.figures.gallery import MAX_ROWS
from ptychosuite.reporting.figures.images import ImagesFigure, ProbeFigure
from ptychosuite.reporting.figures.setup import SetupFigure
from ptychosuite.reporting.photographs import CYCLIC, Scale, phase_scale, scale_of
from ptychosuite.store.read import read_reference, read_run

from tests.report.drawing import draw
from tests.study.small import HEAD, carry_out, plan_of, plan_text, study_file

BLIND = HEAD.replace("stop:", "  start_probe: {kind: gaussian, size: 16, fwhm_px: 9}\nstop:")
AXES = (
    "axes:\n  problem.noise: [0.05, 0.4]\n"
    "  solver: [{name: rpie, alpha: 0.1}, {name: emagpie, levels: 2}]\n  seed: {range: 3}\n"
)


@pytest.fixture(scope="module", params=["blind", "known"])
def results(request, tmp_path_factory):
    """A study of two conditions, two lines and three seeds: its plan and where its results are."""
    folder = tmp_path_factory.mktemp("pictures")
    plan = plan_of(study_file(folder, AXES, head=BLIND if request.param == "blind" else HEAD))
    carry_out(plan, folder / "results")
    return plan, folder / "results"


@pytest.fixture
def parts(results):
    """Table, with every planned run, and store."""
    selection = selection_of_plan(*results)
    return selection.table, selection.store


def drawn_images(drawn, columns):
    """The rows of pictures, each a list of masked arrays; None where an axis is empty."""
    axes = [axis for axis in drawn.figure.axes if axis.get_label() != "<colorbar>"]
    found = [axis.images[0].get_array() if axis.images else None for axis in axes]
    return [found[start : start + columns] for start in range(0, len(found), columns)]


def row_labels(drawn, columns=4):
    return [axis.get_ylabel() for axis in drawn.figure.axes[::columns] if axis.get_label() != "<colorbar>"]


def spoil(table, solver, seeds, status, noise=0.05):
    """As if these runs had ended otherwise."""
    at = (table["solver"] == solver) & table["seed"].isin(seeds) & (table["noise"] == noise)
    table.loc[at, "status"] = status
    if status == "missing":
        table.loc[at, "path"] = ""
    table.loc[at, ["error", "phase_rmse_rad", "residual"]] = np.nan


def test_what_is_drawn_is_what_the_metrics_compare(parts):
    """The norm of the drawn difference is the stored error, the weighted RMS of the phases their RMSE."""
    table, store = parts
    drawn = draw(ImagesFigure(show=("difference", "phase-difference", "magnitude")), table, store=store)
    rows = [row for row in drawn_images(drawn, 3) if row[0] is not None]
    assert len(rows) == len(drawn.numbers) == 4
    for (difference, phases, magnitude), numbers in zip(rows, drawn.numbers.itertuples(), strict=True):
        assert np.linalg.norm(difference.compressed()) == pytest.approx(numbers.error, rel=2e-5)
        truth = magnitude - difference
        weight = np.where(phases.mask, 0, truth**2)
        rms = np.sqrt(np.sum(weight * np.asarray(phases.filled(0)) ** 2) / np.sum(weight))
        assert rms == pytest.approx(numbers.phase_rmse_rad, rel=2e-5)


def test_pixels_that_were_not_scanned_are_no_error(parts, results):
    """Of a blind run they are hidden in every panel, of one with a known probe where phases are compared."""
    table, store = parts
    drawn = draw(ImagesFigure(), table, store=store)
    truth, run = drawn_images(drawn, 4)[:2]
    record = read_run(store.root / table["path"].iloc[0])
    is_blind = "start_probe" in record.spec.problem and record.spec.problem["start_probe"] is not None
    assert [bool(np.ma.getmaskarray(image).any()) for image in run] == [is_blind] * 3 + [True]
    assert bool(np.ma.getmaskarray(truth[0]).any()) is is_blind
    assert "Hatched: pixels that were not scanned" in drawn.caption
    assert ("phase ramp" in drawn.caption) is is_blind
    assert ("global phase is removed" in drawn.caption) is not is_blind


def test_known_and_unknown_probes_in_one_figure(tmp_path):
    """What is hatched is compared in the ones and not in the others, and the caption says so."""
    axes = "axes: {problem.start_probe: [null, {kind: gaussian, size: 16, fwhm_px: 9}]}\n"
    plan = plan_text(tmp_path, axes)
    carry_out(plan, tmp_path)
    selection = selection_of_plan(plan, tmp_path)
    caption = draw(ImagesFigure(), selection.table, store=selection.store).caption
    assert "not scanned; magnitudes are compared there too where the probe is known." in caption


def test_each_condition_has_its_truth(parts):
    """Truth and condition are in the label of every row."""
    table, store = parts
    assert row_labels(draw(ImagesFigure(), table, store=store)) == [
        "truth\nnoise 0.05", "rPIE\nnoise 0.05", "eMAGPIE\nnoise 0.05",
        "truth\nnoise 0.4", "rPIE\nnoise 0.4", "eMAGPIE\nnoise 0.4",
    ]  # fmt: skip
    labels = row_labels(draw(ImagesFigure(where={"noise": 0.4}), table, store=store))
    assert labels == ["truth", "rPIE", "eMAGPIE"]


def test_another_seed_says_so(parts):
    """The first completed seed stands for its line, and the label tells what became of those before it."""
    table, store = parts
    spoil(table, "rpie", [0], "failed")
    spoil(table, "emagpie", [0, 1], "missing")
    drawn = draw(ImagesFigure(), table, store=store)
    labels = row_labels(drawn)
    assert labels[1] == "rPIE\nnoise 0.05\nseed 1:\nseed 0 failed"
    assert labels[2] == "eMAGPIE\nnoise 0.05\nseed 2:\nseeds 0, 1 missing"
    assert drawn.numbers["seed"].tolist() == [1, 2, 0, 0]
    assert "9 of 12 completed, 1 failed, 2 missing" in drawn.caption


def test_a_line_without_results_keeps_its_row(parts):
    """Its place says what became of its runs; a diverged run is no picture."""
    table, store = parts
    spoil(table, "rpie", [0, 1], "diverged")
    spoil(table, "rpie", [2], "missing")
    for figure in (ImagesFigure(), ProbeFigure()):
        drawn = draw(figure, table, store=store)
        drawn.figure.canvas.draw()
        said = [text.get_text() for axis in drawn.figure.axes for text in axis.texts]
        assert said == ["2 diverged,\n1 missing"]
        assert len(drawn.numbers) == 4
        assert drawn.numbers["run_id"].isna().tolist() == [True, False, False, False]
    labels = row_labels(draw(ImagesFigure(), table, store=store))
    assert labels[:2] == ["truth\nnoise 0.05", "rPIE\nnoise 0.05"]


def test_a_condition_without_results_keeps_its_truth(parts):
    """Where a failed run at least knew the truth; where nothing is known the rows are there without it."""
    table, store = parts
    for solver in ("rpie", "emagpie"):
        spoil(table, solver, [0, 1, 2], "diverged")
    assert row_labels(draw(ImagesFigure(), table, store=store))[0] == "truth\nnoise 0.05"
    for solver in ("rpie", "emagpie"):
        spoil(table, solver, [0, 1, 2], "missing")
    drawn = draw(ImagesFigure(), table, store=store)
    assert row_labels(drawn)[:3] == ["rPIE\nnoise 0.05", "eMAGPIE\nnoise 0.05", "truth\nnoise 0.4"]
    for solver in ("rpie", "emagpie"):
        spoil(table, solver, [0, 1, 2], "missing", noise=0.4)
    with pytest.raises(NothingToDraw, match="0 of 12 completed, 12 missing"):
        draw(ImagesFigure(), table, store=store)


def test_what_has_no_room_is_counted(tmp_path):
    """Whole conditions are left out, and the caption says how many lines."""
    axes = "axes:\n  problem.noise: [0, 0.1, 0.2, 0.3, 0.4]\n  solver: [rpie, epie]\n"
    plan = plan_text(tmp_path, axes)
    carry_out(plan, tmp_path)
    selection = selection_of_plan(plan, tmp_path)
    drawn = draw(ImagesFigure(show=("magnitude",)), selection.table, store=selection.store)
    labels = row_labels(drawn, 1)
    assert len(labels) == MAX_ROWS == 12
    assert sum("truth" in label for label in labels) == 4
    assert "Not shown: 2 of 10 lines" in drawn.caption


def test_scales_can_be_named_for_a_study(parts):
    """What lies beyond them is coloured, told in the caption, and a tip of the bar."""
    table, store = parts
    drawn = draw(ImagesFigure(magnitude=[0.4, 0.5], phase=[-1, 1]), table, store=store)
    magnitude, phase = drawn.figure.axes[0].images[0], drawn.figure.axes[1].images[0]
    assert magnitude.get_clim() == (0.4, 0.5)
    assert phase.get_clim() == (-1, 1)
    assert magnitude.colorbar.extend == "both"
    over = magnitude.cmap(magnitude.norm(0.9))
    assert max(over[:3]) - min(over[:3]) > 0.5  # no grey
    values = [row[0].compressed() for row in drawn_images(drawn, 4)]
    share = max(max((v < 0.4).mean(), (v > 0.5).mean()) for v in values)
    assert f"magnitude: up to {100 * share:.2g} % of a picture beyond 0.4 to 0.5" in drawn.caption


@pytest.mark.parametrize("ends", ["[1, 0]", "[1]", "[0, .nan]", "bright"])
def test_a_scale_that_is_none_is_refused(tmp_path, ends):
    with pytest.raises(StudyError):
        plan_text(tmp_path, f"figures: [{{kind: images, magnitude: {ends}}}]\n")


def test_a_scale_is_robust():
    """A few pixels far away make the others no darker; what fits is not cut."""
    truth = np.linspace(0.2, 1, 1000)
    noisy = np.concatenate([truth, [1.1, 50.0]])
    scale = scale_of("gray", [truth], [noisy])
    assert scale.low == pytest.approx(0.2)
    assert 1 <= scale.high < 1.25
    assert scale_of("gray", [truth], [truth]).high == 1
    alone = scale_of("gray", [], [np.concatenate([truth, [50.0]])])
    assert alone.high < 1.1
    assert scale_of("gray", [], []).high > scale_of("gray", [], []).low


def test_phases_round_the_circle_are_cyclic():
    """Their two ends are one colour, and nothing lies beyond."""
    wrapped = np.angle(np.exp(1j * np.linspace(0, 20, 500)))
    scale = phase_scale([wrapped], [])
    assert (scale.colour_map, scale.low, scale.high) == (CYCLIC, -np.pi, np.pi)
    np.testing.assert_allclose(scale.colours(0.0), scale.colours(1.0), atol=0.02)
    assert phase_scale([np.linspace(0, 1.5, 500)], []).colour_map != CYCLIC
    assert isinstance(scale, Scale)


def test_probes_stand_beside_the_true_one(parts):
    """Magnitude above phase, two rows a condition, all magnitudes on one scale."""
    table, store = parts
    drawn = draw(ProbeFigure(), table, store=store)
    rows = drawn_images(drawn, 3)
    assert len(rows) == 4
    record = read_run(store.root / table["path"].iloc[0], images=False)
    truth = read_reference(store, record.reference)
    np.testing.assert_allclose(rows[0][0], np.abs(truth.probe))
    np.testing.assert_allclose(rows[1][0], np.angle(truth.probe))
    limits = {axis.images[0].get_clim() for axis in drawn.figure.axes[:3] + drawn.figure.axes[6:9]}
    assert len(limits) == 1
    power = [float(np.sum(np.asarray(image) ** 2)) for image in rows[0]]
    assert power[1:] == pytest.approx([power[0]] * 2, rel=0.5)


def test_set_ups_are_named_and_counted(tmp_path):
    """A row a truth, called by what varies; runs that are missing have none; what has no room is told."""
    numbers = ", ".join(map(str, range(10)))
    plan = plan_text(tmp_path, f"axes: {{problem.object.pattern: [{numbers}], solver: [rpie, epie]}}\n")
    carry_out(plan, tmp_path)
    selection = selection_of_plan(plan, tmp_path)
    table = selection.table
    table.loc[table["pattern"] == 0, ["status", "path"]] = ["missing", ""]
    table.loc[(table["pattern"] == 1) & (table["solver"] == "rpie"), "status"] = "failed"
    drawn = draw(SetupFigure(), table, store=selection.store)
    labels = [axis.get_ylabel() for axis in drawn.figure.axes if axis.get_ylabel()]
    assert labels == [f"pattern {number}" for number in range(1, 9)]
    assert "Not shown: 1 of 9 set-ups" in drawn.caption
    assert "pattern 8" in drawn.alt
    table.loc[:, ["status", "path"]] = ["missing", ""]
    with pytest.raises(NothingToDraw):
        draw(SetupFigure(), table, store=selection.store)


def test_set_up_tells_the_overlap_of_the_light(tmp_path):
    """Beside that of the arrays, which is a setting; a dot of light in a large array overlaps nowhere."""
    plan = plan_text(tmp_path, "axes: {problem.probe.fwhm_px: [2, 8]}\n")
    carry_out(plan, tmp_path)
    selection = selection_of_plan(plan, tmp_path)
    drawn = draw(SetupFigure(), selection.table, store=selection.store)
    assert drawn.caption.count("the arrays by 50%") == 2
    assert "the light overlaps by 0%" in drawn.caption
    told = selection.table.sort_values("fwhm_px")["light_overlap"].tolist()
    assert told[0] == 0 < told[1]
    assert f"the light overlaps by {told[1]:.0%}" in drawn.caption
