"""Kinds of figures that others bring, and what becomes of broken ones; how often run files are read."""

from __future__ import annotations

import sys
import zipfile
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pandas as pd
import pytest
from matplotlib.figure import Figure
from ptychosuite.analysis.selection import selection_of, selection_of_plan
from ptychosuite.errors import FigureError, StudyError
from ptychosuite.registry import lookup as registry
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind
from ptychosuite.reporting.page import write_report
from ptychosuite.store.place import LocalPlace
from ptychosuite.store.read import latest_session

from tests.report.test_report import Page
from tests.study.small import PROGRAM, carry_out, plan_text, study_file

HERE = "tests.report.test_figure_kinds"
AXES = "axes:\n  solver: [rpie, {name: magpie, levels: 2}]\n  seed: {range: 2}\n"


@dataclass(frozen=True)
class StripFigure(FigureKind):
    """The errors of the runs on a line."""

    colour: str = "black"

    def draw(self, material):
        figure = Figure(figsize=(3, 1))
        errors = material.table["error"]
        figure.subplots().plot(errors, [0] * len(errors), ".", color=self.colour)
        return Drawn(figure, f"{len(errors)} errors.", pd.DataFrame({"error": errors}))


@dataclass(frozen=True)
class Bare:
    """A class that derives from nothing of ours."""

    def draw(self, material):
        return StripFigure().draw(material)


@dataclass(frozen=True)
class Broken(FigureKind):
    """A mistake in the code."""

    def draw(self, material):
        return None + 1


@dataclass(frozen=True)
class GivesNothing(FigureKind):
    """A drawing that forgets to say what it drew."""

    def draw(self, material):
        return None


@dataclass(frozen=True)
class CannotBeSaved(FigureKind):
    """A text that fails when the figure is written."""

    def draw(self, material):
        drawn = StripFigure().draw(material)
        drawn.figure.text(0, 0, r"$\\nothing{$")
        return drawn


@dataclass(frozen=True)
class AsksBadly(FigureKind):
    """A mistake before anything is drawn, in a class whose files would leave the folder."""

    @property
    def stem(self):
        return "../../away"

    def pictured(self, material):
        return [1 / 0]

    def draw(self, material):
        return StripFigure().draw(material)


def figures(*entries: str) -> str:
    return AXES + "figures:\n" + "".join(f"  - {{{entry}}}\n" for entry in entries)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder with the results of the small study; figures change no run."""
    folder = tmp_path_factory.mktemp("kinds")
    carry_out(plan_text(folder, figures("kind: images", f"kind: '{HERE}:StripFigure'")), folder)
    return folder


def report(results, tmp_path, *entries):
    """The page of the study with other figures."""
    plan = plan_text(tmp_path, figures(*entries))
    return write_report(selection_of_plan(plan, results), tmp_path / "reports")


@pytest.mark.parametrize("kind", ["StripFigure", "Bare"])
def test_a_kind_in_one_file(results, tmp_path, kind):
    """A class is named in a study, drawn, saved in all forms with its numbers, and on the page."""
    page = report(results, tmp_path, f"kind: '{HERE}:{kind}'", "kind: convergence")
    stem = {"StripFigure": "strip", "Bare": "bare"}[kind]
    for suffix in ("pdf", "png", "svg"):
        assert (page.parent / f"figures/{stem}.{suffix}").stat().st_size > 100
    assert len(pd.read_csv(page.parent / f"numbers/{stem}.csv")) == 4
    found = Page(page.read_text())
    assert "4 errors." in found.text
    assert f"figures/{stem}.pdf" in found.links


def test_settings_of_a_kind_are_checked_and_kept(results, tmp_path):
    """Its own settings, where and title are those of the study; the session draws it again."""
    entry = f"kind: '{HERE}:StripFigure', colour: red, where: {{solver: rpie}}, title: Mine"
    plan = plan_text(tmp_path, figures(entry))
    assert plan.figures[0]["colour"] == "red"
    page = write_report(selection_of_plan(plan, results), tmp_path)
    assert "Mine. 2 errors." in " ".join(Page(page.read_text()).text.split())
    with pytest.raises(StudyError, match=r"unknown key 'color'; did you mean 'colour'"):
        plan_text(tmp_path, figures(f"kind: '{HERE}:StripFigure', color: red"))
    store = selection_of_plan(plan, results).store
    again = write_report(selection_of(store, latest_session(store)), tmp_path / "again")
    assert "4 errors." in again.read_text()


def test_a_kind_from_another_package(results, tmp_path, monkeypatch):
    """An entry point brings a name of its own; without the package its figure alone is missing."""
    entry = EntryPoint("strip", f"{HERE}:StripFigure", "ptychosuite.figures")
    brings = lambda group: [entry] if group == "ptychosuite.figures" else []  # noqa: E731
    monkeypatch.setattr("ptychosuite.registry.lookup.entry_points", brings)
    registry.forget()
    try:
        plan = plan_text(tmp_path, figures("kind: strip", "kind: convergence"))
        page = write_report(selection_of_plan(plan, results), tmp_path)
        assert "4 errors." in page.read_text()
    finally:
        monkeypatch.undo()
        registry.forget()
    with pytest.raises(FigureError, match=r"1 of 2 figures failed: strip: StudyError: unknown figure"):
        write_report(selection_of_plan(plan, results), tmp_path)
    assert (tmp_path / "tiny/figures/convergence-residual-iteration.pdf").is_file()


@pytest.mark.parametrize(
    ("kind", "stem", "told"),
    [
        ("Broken", "broken", "TypeError: unsupported operand"),
        ("GivesNothing", "gives-nothing", "TypeError: draw gave NoneType; expected Drawn"),
        ("CannotBeSaved", "cannot-be-saved", "ValueError"),
        ("AsksBadly", "away", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_mistake_costs_no_other_figure(results, tmp_path, kind, stem, told):
    """It is on the page with its traceback and in the message; the other figures are drawn."""
    entries = ("kind: setup", f"kind: '{HERE}:{kind}', title: Bad", "kind: images")
    with pytest.raises(FigureError, match=told) as caught:
        report(results, tmp_path, *entries)
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)
    page = tmp_path / "reports/tiny/index.html"
    assert str(page) in str(caught.value)
    text = Page(page.read_text()).text
    assert f"Failed: {told}" in text
    assert "Traceback (most recent call last)" in text
    assert f'id="figure-{stem}"' in page.read_text()
    assert sorted(f.name for f in (page.parent / "figures").glob("*.pdf")) == [
        "images.pdf",
        "setup.pdf",
    ]
    assert {f.name for f in (page.parent / "numbers").iterdir()} >= {"summary.csv", "runs.csv"}
    assert not list(tmp_path.glob("reports/.tiny*"))


def test_the_command_says_so_and_ends_with_1(results, tmp_path, command):
    """Exit code 1, one line, and the report."""
    study = study_file(tmp_path, figures(f"kind: '{HERE}:Broken'", "kind: convergence"))
    code, _, err = command("report", study, "--results", results, "--out", tmp_path / "reports")
    assert code == 1
    assert err.count("\n") == 1
    assert "1 of 2 figures failed: broken: TypeError" in err
    assert (tmp_path / "reports/tiny/figures/convergence-residual-iteration.png").is_file()


def test_a_bundle_is_written_all_the_same(results, tmp_path, command):
    """Of a figure with a mistake the bundle has the traceback; the command ends with 1."""
    pytest.importorskip("rocrate")
    study = study_file(tmp_path, figures(f"kind: '{HERE}:Broken'", "kind: convergence"))
    more = ("--to", "crate", "--license", "CC-BY-4.0", "--out", tmp_path / "b.zip")
    code, _, err = command("export", study, "--results", results, *more)
    assert code == 1
    assert "broken: TypeError: unsupported operand type(s) for +: 'NoneType' and 'int'; everything" in err
    assert str(tmp_path / "b.zip") in err
    with zipfile.ZipFile(tmp_path / "b.zip") as bundle:
        assert "report/tiny/figures/convergence-residual-iteration.pdf" in bundle.namelist()


@pytest.mark.usefixtures("quick_figures")
def test_every_run_file_is_opened_once(results, tmp_path, monkeypatch):
    """However many figures ask for a run, with and without its images."""
    opened: Counter[str] = Counter()
    open_file = LocalPlace.open

    def counted(place):
        opened[place.path] += 1
        return open_file(place)

    kinds = ("images", "probe", "setup", "rings", "images", "convergence", "speed-up", "ranking")
    plan = plan_text(tmp_path, figures(*(f"kind: {kind}" for kind in kinds)))
    selection = selection_of_plan(plan, results)
    monkeypatch.setattr(LocalPlace, "open", counted)
    write_report(selection, tmp_path)
    runs = [path for path in opened if "/runs/" in path]
    assert len(runs) == 4
    assert set(opened.values()) == {1}


@pytest.mark.usefixtures("quick_figures")
def test_images_of_one_run_a_line_are_read(results, tmp_path, monkeypatch):
    """The page compares the first run of each line; figures of pictures show the same, and read no other."""
    with_images = []

    def noted(file, images=True):
        if images:
            with_images.append(file.name)
        return read_run(file, images)

    from ptychosuite.reporting.figures import material

    read_run = material.read_run
    monkeypatch.setattr(material, "read_run", noted)
    report(results, tmp_path, "kind: rings", "kind: images", "kind: probe", f"kind: '{HERE}:StripFigure'")
    assert len(with_images) == 2


def test_planning_imports_nothing_that_draws(tmp_path):
    """Studies are checked with the classes of their figures, which bring matplotlib only when they draw."""
    import subprocess

    study = study_file(tmp_path, "figures:\n" + "".join(f"  - {{kind: {kind}}}\n" for kind in (
        "convergence", "images", "setup", "probe", "rings", "speed-up", "heatmap, x: seed, y: solver",
        "performance-profile", "ranking",
    )))  # fmt: skip
    code = (
        f"import sys; sys.argv = ['x', 'plan', {str(study)!r}]\n"
        "from ptychosuite.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'matplotlib', 'pandas', 'xarray', 'zarr', 'torch', 'dask'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([PROGRAM[0], "-c", code], check=True, cwd=tmp_path, capture_output=True)
    assert sys.executable == PROGRAM[0]
