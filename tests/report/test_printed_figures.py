"""The figures of a study alone, for papers: named by keys, searchable, the same wherever results lie."""

from __future__ import annotations

import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import ptychosuite
import pytest
from matplotlib.figure import Figure
from ptychosuite.errors import FigureError, StoreError
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind
from ptychosuite.reporting.page_content import Embedded
from ptychosuite.reporting.study_folder import made_anew, refuse_failed

from tests.study.small import PROGRAM, carry_out, plan_of, study_file

STUDY = """\
axes:
  problem.noise: [0.0, 0.1]
  solver: [rpie, {name: magpie, levels: 2}]
  seed: {range: 2}
figures:
  - {kind: convergence, metric: [residual, error], panel: noise, key: figure-04, title: Noise, width: page}
  - {kind: images, where: {noise: 0.1}, key: figure-05, width: page}
  - {kind: heatmap, x: noise, y: solver, value: error}
  - {kind: speed-up, key: table-01}
"""
FORMATS = (".pdf", ".png", ".svg")


def content_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A study carried out: its file and the folder of its results."""
    folder = tmp_path_factory.mktemp("printed")
    path = study_file(folder, STUDY)
    carry_out(plan_of(path), folder / "results")
    return path, folder / "results"


@pytest.fixture(scope="module")
def drawn(store, tmp_path_factory):
    path, results = store
    return ptychosuite.figures(path, results=results, out=tmp_path_factory.mktemp("figures"), progress=False)


def test_files_are_called_by_keys(drawn):
    """Each figure in three forms with its numbers, the summary, and no page; what is not drawn says why."""
    assert drawn.keys == ["figure-04", "figure-05", "heatmap-error"]
    assert list(drawn.not_drawn) == ["table-01"]
    assert "fast-forwarded" in str(drawn)
    expected = {f"figures/{key}{suffix}" for key in drawn.keys for suffix in FORMATS}
    expected |= {f"numbers/{key}.csv" for key in (*drawn.keys, "summary")} | {"numbers/summary.tex"}
    assert set(content_of(drawn.path)) == expected


def test_numbers_are_those_of_the_report(drawn, store, tmp_path):
    path, results = store
    page = ptychosuite.report(path, results=results, out=tmp_path, progress=False)
    of_report = content_of(page.parent)
    assert {name: of_report[name] for name in content_of(drawn.path)} == content_of(drawn.path)


@pytest.mark.slow
def test_same_bytes_wherever_the_results_lie(drawn, store, tmp_path):
    """Another folder, another process, another order of hashes, another zone of time."""
    path, results = store
    shutil.copytree(results, tmp_path / "elsewhere" / "results")
    shutil.move(shutil.copy(path, tmp_path), tmp_path / "elsewhere" / "tiny.yaml")
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Pacific/Auckland"}
    subprocess.run(
        [*PROGRAM, "figures", "tiny.yaml"], cwd=tmp_path / "elsewhere", env=environment, check=True,
        capture_output=True,
    )  # fmt: skip
    again = content_of(tmp_path / "elsewhere" / "figures" / "tiny")
    assert again.keys() == content_of(drawn.path).keys()
    for name, content in content_of(drawn.path).items():
        assert again[name] == content, name


def test_words_can_be_searched(drawn):
    """Titles, labels and legends of an SVG are text, not outlines."""
    root = ET.parse(drawn.path / "figures" / "figure-04.svg").getroot()
    words = [" ".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]
    for word in ("Noise", "residual", "rPIE", "noise 0.1"):
        assert any(word in text for text in words), word


def test_a_pdf_has_letters_with_their_meaning(drawn):
    """TrueType fonts, of which a reader knows what each letter is; no outlines."""
    content = (drawn.path / "figures" / "figure-04.pdf").read_bytes()
    assert b"/ToUnicode" in content
    assert b"/TrueType" in content or b"/CIDFontType2" in content
    assert b"/Type3" not in content


def test_words_of_a_pdf_can_be_searched(drawn):
    pypdf = pytest.importorskip("pypdf")
    text = pypdf.PdfReader(drawn.path / "figures" / "figure-04.pdf").pages[0].extract_text()
    assert "Noise" in text
    assert "rPIE" in text


@dataclass(frozen=True)
class OnceBroken(FigureKind):
    """A figure whose code fails."""

    def draw(self, material):
        raise ZeroDivisionError("of this figure")


@dataclass(frozen=True)
class Sound(FigureKind):
    def draw(self, material):
        figure = Figure()
        figure.subplots()
        return Drawn(figure, "", pd.DataFrame({"a": [1]}))


BOTH = """\
figures:
  - {kind: "tests.report.test_printed_figures:Sound", key: sound}
  - {kind: "tests.report.test_printed_figures:OnceBroken", key: broken}
"""


def test_a_figure_that_fails_costs_no_other(tmp_path):
    """It is named, with its traceback in a file; the program ends with 1."""
    path = study_file(tmp_path, BOTH)
    carry_out(plan_of(path), tmp_path / "results")
    with pytest.raises(FigureError, match="broken: ZeroDivisionError: of this figure") as raised:
        ptychosuite.figures(path, results=tmp_path / "results", out=tmp_path / "out", progress=False)
    assert raised.value.exit_code == 1
    assert "Traceback" in (tmp_path / "out" / "tiny" / "failures.txt").read_text()
    assert (tmp_path / "out" / "tiny" / "figures" / "sound.pdf").is_file()


def test_folder_stays_where_drawing_is_broken_off(tmp_path):
    old = tmp_path / "tiny"
    old.mkdir()
    (old / "kept").touch()
    with pytest.raises(ZeroDivisionError), made_anew(old, "the figures") as fresh:
        (fresh / f"half-{1 / 0}").touch()
    assert content_of(tmp_path) == {"tiny/kept": b""}
    with made_anew(old, "the figures") as fresh:
        (fresh / "new").touch()
    assert content_of(tmp_path) == {"tiny/new": b""}


def test_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreError, match="cannot write the figures to"),
        made_anew(tmp_path / "file" / "tiny", "the figures"),
    ):
        pass


def test_failures_are_counted():
    sound, broken = (
        Embedded("", "fine", "", "data:", "a"),
        Embedded("", "Failed: no", "", "", "b", failure="x"),
    )
    refuse_failed([sound], Path("there"))
    with pytest.raises(FigureError, match=r"1 of 2 figures failed: b: no.* there"):
        refuse_failed([sound, broken], Path("there"))
