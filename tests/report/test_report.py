"""The report: page, figures and numbers."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from ptychosuite.analysis.selection import selection_of, selection_of_plan
from ptychosuite.errors import StoreError, StudyError
from ptychosuite.reporting.figures.convergence import HIT_POINTS, ConvergenceFigure
from ptychosuite.reporting.figures.heatmap import HeatmapFigure
from ptychosuite.reporting.figures.images import ImagesFigure
from ptychosuite.reporting.figures.material import Material
from ptychosuite.reporting.figures.setup import SetupFigure
from ptychosuite.reporting.page import write_report
from ptychosuite.store.layout import Store
from ptychosuite.store.read import latest_session

from tests.report.drawing import draw
from tests.study.small import carry_out, plan_text

STUDY = """\
title: A <small> study
axes:
  problem.noise: [0.0, 0.1]
  solver: [rpie, {name: magpie, levels: 2}]
  seed: {range: 2}
figures:
  - {kind: setup}
  - {kind: convergence, metric: error, panel: noise, title: Error & noise}
  - {kind: images, where: {noise: 0.1}, show: [phase]}
  - {kind: heatmap, x: noise, y: solver, value: iterations-to-target}
"""
TOLERANCE = "stop={iterations: 4, residual: 1.0, continue_past_tolerance: on}"
STEMS = ["setup", "convergence-error-iteration", "images", "heatmap-iterations-to-target"]


class Page(HTMLParser):
    """The links, tags and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "data", "srcset")]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A small study carried out: its plan and the folder of its results."""
    folder = tmp_path_factory.mktemp("study")
    plan = plan_text(folder, STUDY, TOLERANCE)
    carry_out(plan, folder / "results")
    return plan, folder / "results"


@pytest.fixture(scope="module")
def page(study, tmp_path_factory):
    """The report of the small study."""
    plan, results = study
    return write_report(selection_of_plan(plan, results), tmp_path_factory.mktemp("reports"))


def test_page_is_self_contained(page):
    """Nothing is loaded from elsewhere; every link leads to a file beside the page."""
    found = Page(page.read_text(encoding="utf-8"))
    for link in found.links:
        assert not re.match(r"(https?:)?//", link), link
        assert link.startswith(("data:", "#")) or (page.parent / link).is_file(), link
    assert sum(link.startswith("data:image/") for link in found.links) == 4
    assert page.stat().st_size < 3e6


def test_page_says_what_was_done(page, study):
    """Title, captions, counts, the study file and its overrides are on the page, escaped."""
    found = Page(page.read_text(encoding="utf-8"))
    for text in ("A <small> study", "Error & noise", "8 of 8", "iterations to tolerance", "numpy"):
        assert text in found.text, text
    assert str(study[0].overrides[0]) in found.text
    assert study[0].text.strip() in found.text
    assert "rPIE" in found.text
    assert "nan" not in re.findall(r"<td>(.*?)</td>", page.read_text())


@pytest.mark.parametrize("stem", STEMS)
def test_every_figure_comes_in_all_formats(page, stem):
    """PDF, PNG and SVG of each figure, and its numbers, are beside the page."""
    heads = {"pdf": b"%PDF", "png": b"\x89PNG", "svg": b"<?xml"}
    for suffix, head in heads.items():
        assert (page.parent / "figures" / f"{stem}.{suffix}").read_bytes().startswith(head)
    assert len(pd.read_csv(page.parent / "numbers" / f"{stem}.csv")) > 0


def test_numbers_are_those_of_the_dataset(page, study):
    """CSV files agree with what xarray reads from the store."""
    dataset = xr.open_zarr(study[1] / "tiny" / "study.zarr", chunks=None)
    curves = pd.read_csv(page.parent / "numbers" / "convergence-error-iteration.csv")
    assert set(curves["panel"]) == {"noise 0", "noise 0.1"}
    for (panel, line), rows in curves.groupby(["panel", "line"]):
        solver = {"rPIE": "rpie", "MAGPIE": "magpie"}[line.split(" ")[0]]
        chosen = (dataset["noise"] == float(panel.split()[1])) & (dataset["solver"] == solver)
        values = dataset["error_curve"].values[chosen.values]
        assert set(rows["runs"]) == {2} == {len(values)} == set(rows["planned"]) == set(rows["alive"])
        np.testing.assert_allclose(rows["median"], np.median(values, axis=0), rtol=1e-12)
        assert rows[["low", "high"]].isna().all(axis=None), "two runs give no interval"
        np.testing.assert_array_equal(rows["x"], np.arange(1, 6))
    runs = pd.read_csv(page.parent / "numbers" / "runs.csv").set_index("run_id")
    for index, run_id in enumerate(dataset["run_id"].values):
        assert runs.loc[str(run_id), "error"] == pytest.approx(float(dataset["error"][index]), rel=1e-12)
    table = pd.read_csv(page.parent / "numbers" / "summary.csv")
    assert table["planned"].tolist() == table["completed"].tolist() == [2] * 4


def test_results_folder_alone_gives_the_same_report(page, study, tmp_path):
    """Without the study file the same figures and numbers come out."""
    store = Store.open(study[1] / "tiny")
    again = write_report(selection_of(store, latest_session(store)), tmp_path)
    names = sorted(p.relative_to(page.parent).as_posix() for p in page.parent.rglob("*") if p.is_file())
    assert names == sorted(
        p.relative_to(again.parent).as_posix() for p in again.parent.rglob("*") if p.is_file()
    )
    for name in names:
        if name.endswith((".csv", ".svg", ".pdf", ".png")):
            assert (page.parent / name).read_bytes() == (again.parent / name).read_bytes(), name
    assert again.read_text() == page.read_text()


@pytest.fixture(scope="module")
def parts(study):
    """Table, dataset and store of the small study, for single figures."""
    selection = selection_of_plan(*study)
    return selection.usable, selection.dataset, selection.store


@pytest.mark.parametrize(
    ("figure", "message"),
    [
        (ConvergenceFigure(metric="eror"), r"'eror'.*did you mean 'error'\?"),
        (ConvergenceFigure(line="noize"), r"'noize'.*did you mean 'noise'\?"),
        (ConvergenceFigure(panel="levls"), r"'levls'.*did you mean 'levels'\?"),
        (ConvergenceFigure(where={"nois": 0.1}), r"'nois'.*did you mean 'noise'\?"),
        (HeatmapFigure(x="noise", y="solver", value="eror"), r"'eror'.*did you mean 'error'\?"),
        (HeatmapFigure(x="overlap", y="solver"), r"'overlap'"),
        (HeatmapFigure(x="noise", y="solver", value="status"), r"status"),
        (HeatmapFigure(x="noise", y="noise"), r"noise"),
    ],
    ids=["metric", "line", "panel", "where", "value", "factor", "text as value", "one factor twice"],
)
def test_figures_that_cannot_be_drawn(parts, figure, message):
    """A figure that asks for what is not there is refused in words, with the nearest name."""
    table, dataset, _ = parts
    with pytest.raises(StudyError, match=message) as caught:
        draw(figure, table, dataset)
    assert "\n" not in str(caught.value)


def test_figure_without_results_is_named_on_the_page(study, tmp_path):
    """A figure about runs that are not there yet says so in its place; the others are drawn."""
    _, results = study
    figures = "figures:\n  - {kind: images, where: {noise: 0.7}}\n  - {kind: heatmap, x: noise, y: solver}\n"
    partly = plan_text(tmp_path, STUDY.split("figures:")[0] + figures, TOLERANCE)
    page = write_report(selection_of_plan(partly, results), tmp_path / "reports")
    found = Page(page.read_text(encoding="utf-8"))
    assert "Not drawn: no run with {noise: 0.7} was planned." in found.text
    assert sum(link.startswith("data:image/") for link in found.links) == 1
    assert all(link.startswith(("data:", "#")) or (page.parent / link).is_file() for link in found.links)


@pytest.mark.usefixtures("quick_figures")
def test_a_figure_that_the_data_cannot_have_costs_no_report(study, tmp_path):
    """One of a session of another version, as planning refuses it: the page says so in its place."""
    _, results = study
    plan = plan_text(tmp_path, STUDY + "  - {kind: convergence}\n", TOLERANCE)
    bad = replace(plan, figures=(*plan.figures, {**plan.figures[-1], "metric": "eror"}))
    page = write_report(selection_of_plan(bad, results), tmp_path)
    found = Page(page.read_text())
    assert "Not drawn: a figure asks for curves of 'eror'; did you mean 'error'?." in found.text
    assert len(list((page.parent / "figures").glob("*.svg"))) == 5


@pytest.mark.usefixtures("quick_figures")
def test_a_report_that_cannot_be_made_keeps_the_previous_one(study, tmp_path, monkeypatch):
    """It is left as it was, and nothing beside it."""
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/index.html").write_text("the old one")

    def full(content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ptychosuite.reporting.page.page_html", full)
    with pytest.raises(StoreError, match="No space left on device"):
        write_report(selection_of_plan(*study), tmp_path)
    assert (tmp_path / "tiny/index.html").read_text() == "the old one"
    assert [p.name for p in tmp_path.iterdir()] == ["tiny"]


def test_scales_of_a_study(parts):
    """Figures that are to be compared share the ends that the study names."""
    drawn = draw(ConvergenceFigure(metric="error", scale=(0.5, 50)), *parts[:2])
    assert {axis.get_ylim() for axis in drawn.figure.axes[:2]} == {(0.5, 50)}
    drawn = draw(ConvergenceFigure(metric=("error", "residual")), *parts[:2])
    left, right = ({axis.get_ylim() for axis in drawn.figure.axes[place::2]} for place in (0, 1))
    assert len(left) == len(right) == 1, "panels of one metric have one scale"
    assert left != right
    drawn = draw(HeatmapFigure("noise", "solver", scale=(1, 9)), *parts[:2])
    assert drawn.figure.axes[0].images[0].get_clim() == (1, 9)


def test_report_is_made_anew(page, study, tmp_path):
    """Figures of an earlier report do not stay behind."""
    _, results = study
    shutil.copytree(page.parent, tmp_path / "tiny")
    fewer = plan_text(tmp_path, STUDY.split("figures:")[0] + "figures: [{kind: setup}]\n", TOLERANCE)
    again = write_report(selection_of_plan(fewer, results), tmp_path)
    assert sorted(p.name for p in (again.parent / "figures").iterdir()) == [
        "setup.pdf",
        "setup.png",
        "setup.svg",
    ]


def test_report_folder_that_cannot_be_written(study, tmp_path):
    """A path below a file is refused readably."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot write the report to .*file.*Not a directory"):
        write_report(selection_of_plan(*study), tmp_path / "file")


@pytest.mark.parametrize(
    "where",
    [
        {"noise": 0.1},
        {"problem.noise": 0.1},
        {"noise": [0.1]},
        {"solver": "magpie"},
        {"solver.name": "magpie"},
    ],
    ids=str,
)
def test_figures_narrow_by_factor(parts, where):
    """Factors are named by short name or dotted path, with one value or several."""
    rows = Material(*parts).narrowed(where).table
    assert len(rows) == 4
    assert rows.attrs == parts[0].attrs


def test_heatmap_of_runs_that_never_meet_the_tolerance(parts):
    """A cell is infinite when more than half of its runs never get there; it is drawn as a dash."""
    table, dataset, _ = parts
    hits = table["iterations_to_tol"].where(table["noise"] == 0.1)
    changed = table.assign(iterations_to_tol=hits.fillna(np.nan).mask(table["noise"] == 0.1, 3.0))
    changed.attrs = table.attrs
    drawn = draw(HeatmapFigure("noise", "solver", "iterations-to-target"), changed, dataset)
    cells = drawn.numbers.set_index("column")
    assert set(cells.loc["0", "state"]) == {"never"}
    assert set(cells.loc["0.1", "median"]) == {3.0}
    texts = [text.get_text() for text in drawn.figure.axes[0].texts]
    assert sorted(texts) == ["3", "3", "never", "never"]
    assert "never meet the tolerance" in drawn.caption
    assert "Lower is better, and brighter" in drawn.caption


def test_heatmap_where_nothing_ever_meets_the_tolerance(parts):
    """Even then there is a figure."""
    table, dataset, _ = parts
    changed = table.assign(iterations_to_tol=np.nan)
    changed.attrs = table.attrs
    drawn = draw(HeatmapFigure("noise", "solver", "iterations-to-target"), changed, dataset)
    assert {text.get_text() for text in drawn.figure.axes[0].texts} == {"never"}
    assert len(drawn.figure.axes) == 1, "no colour bar of nothing"
    assert "brighter" not in drawn.caption
    drawn.figure.canvas.draw()


def test_tolerance_is_marked_where_it_is_met(parts):
    """The mark lies at the median iteration, on the line."""
    table, dataset, _ = parts
    changed = table.assign(iterations_to_tol=2.0)
    changed.attrs = table.attrs
    drawn = draw(ConvergenceFigure(metric="residual"), changed, dataset)
    for axis, (_, numbers) in zip(drawn.figure.axes, drawn.numbers.groupby("panel"), strict=False):
        marks = [line for line in axis.lines if line.get_markersize() == HIT_POINTS]
        assert [float(line.get_xdata()[0]) for line in marks] == [3.0, 3.0]
        heights = [float(line.get_ydata()[0]) for line in marks]
        np.testing.assert_allclose(heights, numbers.loc[numbers["x"] == 3.0, "median"])


def test_legend_of_long_names_stays_within_the_figure(parts):
    """Names too long to stand side by side stand below one another."""
    table, dataset, _ = parts
    changed = table.assign(
        fast_forward=[f"network at 13, 25, of another kind, {n}" for n in range(len(table))]
    )
    changed.attrs = {**table.attrs, "factors": [*table.attrs["factors"], "fast_forward"]}
    figure = draw(ConvergenceFigure(line="fast_forward"), changed, dataset).figure
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width


@pytest.mark.parametrize("x", ["iteration", "seconds", "data_passes"])
@pytest.mark.parametrize("panel", [None, "noise", "solver", "seed"])
def test_convergence_against_everything(parts, x, panel):
    """Every combination of axis and panel draws."""
    drawn = draw(ConvergenceFigure(x=x, panel=panel), *parts[:2])
    drawn.figure.canvas.draw()
    assert np.isfinite(drawn.numbers[["x", "median"]].to_numpy()).all()


def test_setup_and_images(parts):
    """The scan's positions are the numbers of the set-up; pictures name their runs."""
    table, _, store = parts
    setup = draw(SetupFigure(), table, store=store)
    assert setup.numbers[["row_px", "column_px"]].to_numpy().tolist() == [
        [y, x] for y in (0, 8, 16) for x in (0, 8, 16)
    ]
    images = draw(ImagesFigure(where={"noise": 0.1}), table, store=store)
    assert len(images.numbers) == 2
    assert images.numbers["row"].is_unique


@pytest.mark.usefixtures("quick_figures")
@pytest.mark.parametrize(
    "settings",
    [[], ["seed=[0, 1]", "stop={iterations: 5, check_every: 2}"], ["problem.object.size=[32, 40]"]],
    ids=["one run", "metrics now and then", "objects of two sizes"],
)
def test_plain_studies_draw(tmp_path, settings):
    """A study without extras, with default figures, gives a report."""
    plan = plan_text(tmp_path, "", *settings)
    carry_out(plan, tmp_path)
    path = write_report(selection_of_plan(plan, tmp_path), tmp_path / "reports")
    assert len(list((path.parent / "figures").glob("*.svg"))) == 3


def test_factor_is_found_by_its_dotted_path(tmp_path):
    """A factor whose short name needs more than its last part is found by its whole path."""
    plan = plan_text(tmp_path, "", "problem.object.size=[32, 40]", "problem.probe.size=[8, 16]")
    carry_out(plan, tmp_path)
    selection = selection_of_plan(plan, tmp_path)
    material = Material(selection.table, selection.dataset, None)
    assert len(material.narrowed({"object_size": 40}).table) == 2
    assert len(material.narrowed({"problem.object.size": 40, "problem.probe.size": 8}).table) == 1


@pytest.mark.usefixtures("quick_figures")
def test_study_of_failures(tmp_path, monkeypatch):
    """Where no run ended well there is a page all the same, with every run by its settings and message."""
    monkeypatch.setattr("ptychosuite.execute.one_run.reconstruct", lambda *args: 1 / 0)
    figures = "figures: [{kind: convergence}, {kind: heatmap, x: seed, y: solver}, {kind: images}]\n"
    plan = plan_text(tmp_path, "axes: {seed: [0, 7]}\n" + figures)
    carry_out(plan, tmp_path)
    page = write_report(selection_of_plan(plan, tmp_path), tmp_path / "reports")
    text = Page(page.read_text()).text
    for part in ("0 of 2", "rPIE · seed 7", "ZeroDivisionError: division by zero", "Not drawn: "):
        assert part in text, part
