"""The pictures of the README and docs/ are those that the studies and the drawing code of today give."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from PIL import Image

from docs import pictures
from tests.conftest import REPOSITORY

DOCUMENTS = [REPOSITORY / "README.md", *(REPOSITORY / "docs").glob("*.md")]


@pytest.mark.parametrize("picture", pictures.PICTURES, ids=lambda picture: picture.name)
def test_picture_is_not_stale(picture):
    reason = pictures.stale().get(picture.name)
    assert reason is None, (
        f"reports/reference/{picture.file} is stale: {reason}. Draw it anew with 'make figures', or with "
        f"'python docs/pictures.py --run {picture.name}' in the repository's folder, and look at it"
    )


def test_every_picture_of_the_documents_is_one_of_these():
    shown = {
        name
        for file in DOCUMENTS
        for name in re.findall(r"reports/reference/([\w.-]+\.png)", file.read_text())
    }
    assert shown == {picture.file for picture in pictures.PICTURES}
    assert {file.name for file in pictures.REFERENCE.glob("*.png")} == shown


def test_figures_are_in_their_studies():
    for picture in pictures.PICTURES:
        text = picture.path.read_text()
        assert picture.figure is None or f"key: {picture.figure}}}" in text, picture


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """A picture of a study, drawn and noted, with the repository in a folder of its own."""
    for part in ("studies/quickstart.yaml", "suite/ptychosuite/reporting"):
        target = tmp_path / part
        target.parent.mkdir(parents=True, exist_ok=True)
        source = REPOSITORY / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    monkeypatch.setattr(pictures, "REPOSITORY", tmp_path)
    monkeypatch.setattr(pictures, "REPORTING", tmp_path / "suite/ptychosuite/reporting")
    picture = pictures.Picture("one", "quickstart.yaml", "curves")
    monkeypatch.setattr(pictures, "PICTURES", (picture,))
    Image.new("RGB", (3, 3)).save(tmp_path / "drawn.png")
    pictures.keep(picture, tmp_path / "drawn.png", tmp_path / "out")
    return tmp_path


def test_what_was_just_drawn_is_not_stale(drawn):
    assert pictures.stale(drawn / "out") == {}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ("studies/quickstart.yaml", "changed since: study"),
        ("suite/ptychosuite/reporting/style.py", "changed since: drawing"),
        ("suite/ptychosuite/reporting/figures/convergence.py", "changed since: drawing"),
        ("out/one.png", "it is not the picture that was drawn"),
    ],
)
def test_what_changes_makes_it_stale(drawn, changed, reason):
    with (drawn / changed).open("ab") as file:
        file.write(b"\n")
    assert pictures.stale(drawn / "out") == {"one": reason}


def test_a_figure_does_not_depend_on_the_page(drawn):
    """Only a screenshot does."""
    (drawn / "suite/ptychosuite/reporting/page_html.py").write_text("")
    assert pictures.stale(drawn / "out") == {}
    sources = pictures.sources(pictures.PAGE_SOURCES)
    names = {file.name for file in sources}
    assert {"page_html.py", "chart.js", "convergence.html.j2", "plot.umd.min.js", "style.py"} <= names


def test_a_picture_that_is_gone_is_named(drawn):
    (drawn / "out/one.png").unlink()
    assert pictures.stale(drawn / "out") == {"one": "it is not there"}
    (drawn / "out" / pictures.RECORD).write_text(json.dumps({}))
    assert list(pictures.stale(drawn / "out")) == ["one"]


def test_what_has_no_results_is_said(tmp_path, monkeypatch, capsys):
    """Each with its reason; the exit code says that one is missing, but for want of data that is not ours."""
    monkeypatch.delenv("PTYCHOSUITE_DATA", raising=False)
    arguments = ["pictures.py", "--results", str(tmp_path), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", arguments)
    assert pictures.main() == 1
    told = capsys.readouterr()
    assert "quickstart.png: not drawn: 24 runs of quickstart.yaml are to do; --run does them" in told.err
    assert "siemens-star.png stays as it is: PTYCHOSUITE_DATA" in told.out
    assert not (tmp_path / "out").exists()
