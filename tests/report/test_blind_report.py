"""Reports of blind studies, simulated and measured: probes, ring correlations, scans without a truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import ptychosuite
import pytest
from ptychosuite.analysis.in_gauge import Scene
from ptychosuite.analysis.labels import line_labels
from ptychosuite.analysis.selection import selection_of_plan
from ptychosuite.errors import NothingToDraw
from ptychosuite.reporting.figures.images import ImagesFigure, ProbeFigure
from ptychosuite.reporting.figures.rings import RingsFigure
from ptychosuite.reporting.figures.setup import SetupFigure
from ptychosuite.reporting.page import write_report
from ptychosuite.store.read import inventory, read_reference, read_run

from tests.report.drawing import draw
from tests.report.test_report import Page
from tests.study.small import HEAD, carry_out, plan_of, study_file
from tests.study.test_measured_study import write_star

FIGURES = """\
figures:
  - {kind: setup}
  - {kind: convergence, metric: residual}
  - {kind: images, show: [magnitude, phase]}
  - {kind: probe, title: Probes & more}
  - {kind: rings}
"""
SOLVERS = "axes:\n  solver: [{name: rpie, alpha: 0.1}, {name: emagpie, levels: 2}]\n  seed: {range: 2}\n"
MEASURED = "study: tiny\nproblem: {kind: file, path: star.npz}\nstop: {iterations: 3}\nhalf_scans: on\n"
STUDIES = ["simulated", "halves", "measured"]

pytestmark = pytest.mark.usefixtures("quick_figures")


@pytest.fixture(scope="module", params=STUDIES)
def study(request, tmp_path_factory):
    """Kind, plan and results folder of a small blind study."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "measured":
        write_star(folder / "star.npz")
        path = study_file(folder, SOLVERS + FIGURES, head=MEASURED)
    else:
        head = HEAD.replace("stop:", "  start_probe: {kind: gaussian, size: 16, fwhm_px: 7}\nstop:")
        extra = "half_scans: on\n" if request.param == "halves" else ""
        path = study_file(folder, extra + SOLVERS + FIGURES, head=head)
    plan = plan_of(path)
    carry_out(plan, folder / "results")
    return request.param, plan, folder / "results"


@pytest.fixture(scope="module")
def parts(study):
    """Kind, table and store, for single figures."""
    kind, plan, results = study
    selection = selection_of_plan(plan, results)
    return kind, selection.usable, selection.store


def test_page_has_all_figures(study, tmp_path):
    """Every figure is on the page and beside it, with its numbers."""
    _, plan, results = study
    page = write_report(selection_of_plan(plan, results), tmp_path)
    found = Page(page.read_text(encoding="utf-8"))
    assert sum(link.startswith("data:image/") for link in found.links) == 5
    assert "Not drawn" not in found.text
    for text in ("Probes & more", "Reconstructed probes.", "Fourier ring correlation", "eMAGPIE"):
        assert text in found.text, text
    stems = sorted(path.stem for path in (page.parent / "figures").glob("*.svg"))
    assert len(stems) == 5
    for stem in stems:
        assert len(pd.read_csv(page.parent / "numbers" / f"{stem}.csv")) > 0


def test_probes_are_drawn(parts):
    """A column a run of the first seed, magnitude over phase, in the gauge that its object is drawn in."""
    kind, table, store = parts
    drawn = draw(ProbeFigure(), table, store=store)
    drawn.figure.canvas.draw()
    assert drawn.is_photograph
    assert len(drawn.numbers) == 2
    assert drawn.numbers["column"].is_unique
    images = [axis.images[0].get_array() for axis in drawn.figure.axes if axis.images]
    columns = 2 + (kind != "measured")  # the truth's before the others
    assert len(images) == 2 * columns
    for column, run_id in enumerate(drawn.numbers["run_id"], start=columns - 2):
        record = read_run(inventory(store).done[run_id])
        probe = Scene.of(record, read_reference(store, record.reference)).show(record).probe
        np.testing.assert_allclose(images[column], np.abs(probe), rtol=1e-6)
        np.testing.assert_allclose(images[columns + column], np.angle(probe), rtol=1e-5, atol=1e-6)


def test_magnitudes_of_probes_can_be_compared(parts):
    """Probes that share one colour bar share its scale."""
    _, table, store = parts
    drawn = draw(ProbeFigure(), table, store=store)
    first, second = (axis.images[0].get_clim() for axis in drawn.figure.axes[:2])
    assert first == second


def test_rings_are_drawn(parts):
    """A line a solver with the median over its seeds, and the threshold that fits the comparison."""
    kind, table, store = parts
    drawn = draw(RingsFigure(), table, store=store)
    drawn.figure.canvas.draw()
    lines = drawn.figure.axes[0].lines
    assert len(lines) >= 3
    expected = "with the truth, one-bit" if kind == "simulated" else "between two half scans, half-bit"
    assert expected in drawn.caption
    for (label, numbers), solver in zip(
        drawn.numbers.groupby("line", sort=False), ("rpie", "emagpie"), strict=True
    ):
        assert solver in label.lower()
        runs = table[table["solver"] == solver]["path"]
        rings = [read_run(store.root / path, images=False).rings for path in runs]
        frequency = numbers["frequency"].to_numpy()
        assert len(frequency) == max(len(ring["frequency"]) for ring in rings)
        curves = [np.interp(frequency, ring["frequency"], ring["correlation"]) for ring in rings]
        np.testing.assert_allclose(numbers["correlation"], np.median(curves, axis=0))
        assert 0.9 < numbers["frequency"].iloc[-1] <= 1


def test_rings_of_both_kinds(tmp_path):
    """Beside half scans, a result that was computed elsewhere has rings with the truth: each is called so."""
    path = study_file(tmp_path, "half_scans: on\naxes: {solver: [rpie, {name: magpie, levels: 2}]}\n")
    plan = plan_of(path)
    carry_out(plan, tmp_path / "results")
    selection = selection_of_plan(plan, tmp_path / "results")
    theirs = read_run(selection.store.root / selection.table["path"].iloc[0])
    np.savez(tmp_path / "theirs.npz", object=theirs.object, probe=theirs.probe)
    ptychosuite.import_result(path, tmp_path / "theirs.npz", label="theirs", results=tmp_path / "results")
    selection = selection_of_plan(plan, tmp_path / "results")
    drawn = draw(RingsFigure(), selection.table, store=selection.store)
    assert "between two half scans, half-bit threshold (rPIE, MAGPIE)" in drawn.caption
    assert "with the truth, one-bit threshold (theirs (imported))" in drawn.caption
    between = drawn.numbers.groupby("line")["between"].first()
    assert [kind.split(",")[0] for kind in between[["rPIE", "theirs (imported)"]]] == [
        "between two half scans", "with the truth",
    ]  # fmt: skip
    for line, metric in (("rPIE", "half_frc_crossing"), ("theirs (imported)", "frc_crossing")):
        labels = line_labels(selection.table, "solver")
        (crossing,) = selection.table.loc[labels == line, metric]
        assert f"{line} falls below its threshold at {crossing:.2g} of Nyquist" in drawn.alt


def test_pictures_with_and_without_truth(parts):
    """Without a truth magnitude and phase are drawn and differences left out; with one all of them."""
    kind, table, store = parts
    drawn = draw(ImagesFigure(), table, store=store)
    drawn.figure.canvas.draw()
    titles = [axis.get_title() for axis in drawn.figure.axes if axis.get_title()]
    assert len(titles) == (2 if kind == "measured" else 4)
    shown = sum(bool(axis.images) for axis in drawn.figure.axes)
    assert shown == (4 if kind == "measured" else 10)
    assert ("median magnitude" in drawn.caption) is (kind == "measured")


def test_differences_without_truth_are_left_out(parts):
    """A figure of nothing but differences has nothing to draw where there is no truth, and says so."""
    kind, table, store = parts
    settings = ImagesFigure(show=("difference", "phase-difference"))
    if kind == "measured":
        with pytest.raises(NothingToDraw):
            draw(settings, table, store=store)
    else:
        draw(settings, table, store=store).figure.canvas.draw()


def test_setup_shows_the_scan(parts):
    """The numbers of the set-up are the scan's positions; measured data have no truth beside them."""
    kind, table, store = parts
    drawn = draw(SetupFigure(), table, store=store)
    drawn.figure.canvas.draw()
    assert "positions" in drawn.caption
    positions = drawn.numbers[["row_px", "column_px"]].to_numpy()
    if kind == "measured":
        assert len(drawn.figure.axes) == 1
        record = read_run(store.root / table["path"].iloc[0])
        np.testing.assert_allclose(positions, record.scan_positions_px)
        assert f"{len(positions)} positions, a reconstructed probe of 16 x 16 pixels" in drawn.caption
    else:
        assert positions.tolist() == [[y, x] for y in (0, 8, 16) for x in (0, 8, 16)]


def test_rings_where_there_are_none(tmp_path):
    """Measured data without half scans have no ring correlation: the page says so in its place."""
    write_star(tmp_path / "star.npz")
    head = MEASURED.replace("half_scans: on\n", "")
    plan = plan_of(study_file(tmp_path, "figures: [{kind: rings}, {kind: probe}]\n", head=head))
    carry_out(plan, tmp_path / "results")
    page = write_report(selection_of_plan(plan, tmp_path / "results"), tmp_path / "reports")
    found = Page(page.read_text(encoding="utf-8"))
    assert "Not drawn: no run has a ring correlation." in found.text
    assert sum(link.startswith("data:image/") for link in found.links) == 1


def test_rings_of_objects_of_two_sizes(tmp_path):
    """Runs whose ring correlations have different lengths are drawn, or refused in words."""
    axes = "axes: {problem.object.size: [32, 40]}\nfigures: [{kind: rings}]\n"
    plan = plan_of(study_file(tmp_path, axes))
    carry_out(plan, tmp_path / "results")
    page = write_report(selection_of_plan(plan, tmp_path / "results"), tmp_path / "reports")
    assert page.is_file()
