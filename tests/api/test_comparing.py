"""``ptychosuite compare``: what may be compared, the page, and what is printed."""

from __future__ import annotations

import json

import pandas as pd
import ptychosuite
import pytest
from ptychosuite.errors import UserError

from tests.report.test_report import Page
from tests.study.small import AXES, carry_out, plan_text, study_file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A study with two folders of results, in one of which a seed is missing."""
    folder = tmp_path_factory.mktemp("two")
    carry_out(plan_text(folder, AXES, "seed=0"), folder / "new")
    carry_out(plan_text(folder, AXES), folder / "old")
    study_file(folder, AXES + "title: <Tiny>\n")
    return folder


def test_one_study_with_two_results(folder, command, monkeypatch):
    """Table, page, CSV and index; exit code 0."""
    monkeypatch.chdir(folder)
    code, out, _ = command("compare", "tiny.yaml", "--results", "old", "--results", "new")
    assert code == 0
    assert "A: old/tiny, 4 of 4 completed" in out
    assert "B: new/tiny, 2 of 4 completed, 2 missing" in out
    assert out.splitlines()[-1] == (
        "2 pairs of runs, matched by specification; none differs beyond rounding, 2 only in A: "
        "reports/compare-old-tiny-new-tiny/index.html"
    )
    page = folder / "reports/compare-old-tiny-new-tiny/index.html"
    found = Page(page.read_text(encoding="utf-8"))
    assert found.links == ["runs.csv"]
    assert not {"script", "link", "img"} & found.tags
    for text in (
        "all runs",
        "MAGPIE",
        "as in A",
        "2 of 2",
        "1 of 2",
        "error in magnitude",
        "lower is better",
    ):
        assert text in found.text, text
    assert len(pd.read_csv(page.parent / "runs.csv")) == 2
    index = Page((folder / "reports/index.html").read_text())
    assert index.links == ["compare-old-tiny-new-tiny/index.html"]


def test_results_folders_and_bundles(folder, monkeypatch):
    """By their latest sessions; a bundle by what it holds; JSON has the same numbers."""
    monkeypatch.chdir(folder)
    ptychosuite.export("old/tiny", "crate", out="kept.zip", licence="MIT", progress=False)
    found = ptychosuite.compare("old/tiny", "kept.zip", progress=False)
    assert found.page.parts[-2:] == ("compare-tiny-kept", "index.html")
    assert len(found.comparison.pairs) == 4
    content = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (content["pairs"], content["changed"], content["matched_by"]) == (4, 0, "specification")
    assert content["groups"][0]["metrics"]["error"]["ratio"] == 1
    assert "MAGPIE" in found._repr_html_()


def test_json_is_alone_on_stdout(folder, command, monkeypatch):
    """For a machine to read."""
    monkeypatch.chdir(folder)
    code, out, _ = command("compare", "old/tiny", "new/tiny", "--json")
    assert code == 0
    content = json.loads(out)
    assert content["only_a"] == 2
    assert content["groups"][0]["b"]["missing"] == 0  # its latest session planned one seed


def test_what_cannot_be_compared(folder, command, monkeypatch):
    """One line each, exit code 2."""
    monkeypatch.chdir(folder)
    for arguments, told in (
        (["old/tiny"], "name a second store, or say --results twice"),
        (["old/tiny", "nowhere"], "nowhere"),
        (["tiny.yaml", "--results", "old", "--results", "nowhere"], "no results in nowhere/tiny"),
        (["tiny.yaml", "old/tiny", *["--results", "old"] * 3], "--results names one folder, or two"),
    ):
        code, out, err = command("compare", *arguments)
        assert (code, out) == (2, "")
        assert told in err
    with pytest.raises(UserError, match="no results in results/tiny"):
        ptychosuite.compare("tiny.yaml", "old/tiny")
