"""The page over all reports of a folder."""

from __future__ import annotations

import json
import re

import pytest
from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.reporting.index_page import ReportNote, write_index

from tests.report.test_report import Page

NOTE = ReportNote(
    study="noise",
    title="Noise & <overlap>",
    outcome=Outcome(completed=30, diverged=2, failed=3, timed_out=1, missing=4),
    first="2026-01-31T12:00:59+00:00",
    last="2026-02-01T08:30:00+00:00",
    commit="0123456789abcdef",
    headlines=("MAGPIE is first in 3 of 4", "rPIE never meets the tolerance"),
)


def report(folder, study, note=None):
    """A report's folder; ``note`` is text, or what is to be written."""
    place = folder / study
    place.mkdir(parents=True)
    (place / "index.html").write_text("a report")
    if isinstance(note, str):
        (place / "report.json").write_text(note)
    elif note:
        note.write(place)
    return place


def text_of(folder):
    return " ".join(Page(write_index(folder).read_text(encoding="utf-8")).text.split())


def test_a_note_comes_back_as_it_was(tmp_path):
    """Through its file."""
    read = ReportNote.read(report(tmp_path, "noise", NOTE))
    assert (read.outcome, read.title, tuple(read.headlines)) == (NOTE.outcome, NOTE.title, NOTE.headlines)
    assert read.version == NOTE.version


def test_every_report_with_its_outcome(tmp_path):
    """Links that lead to files, escaped text, and widths of the bar that are the counts."""
    report(tmp_path, "noise", NOTE)
    report(tmp_path, "all good", ReportNote("all good", "Good", Outcome(completed=5)))
    (tmp_path / "noise-trend.html").write_text("a trend")
    (tmp_path / "nightly-trend.html").write_text("a trend of a study without a report")
    page = write_index(tmp_path)
    found, text = Page(page.read_text(encoding="utf-8")), text_of(tmp_path)
    links = ["all%20good/index.html", "nightly-trend.html", "noise/index.html", "noise-trend.html"]
    assert found.links == links
    assert "3 studies, 35 of 45 runs completed" in text
    assert "Noise & <overlap>" in text
    assert "30 of 40 completed, 2 diverged, 3 failed, 1 timed-out, 4 missing" in text
    assert "MAGPIE is first in 3 of 4" in text
    assert "computed2026-01-31 12:00 to 2026-02-01 08:30 UTCcommit0123456p" in text
    bars = re.findall(r'class="bar".*?</div>', page.read_text())
    shares = [dict(re.findall(r'class="([\w-]+)" style="flex: (\d+)"', bar)) for bar in bars]
    assert shares[0] == {"completed": "5"}
    assert shares[1] == {"completed": "30", "diverged": "2", "failed": "3", "timed-out": "1", "missing": "4"}


def test_the_page_is_self_contained(tmp_path):
    """Nothing is loaded, nothing runs; it fits a phone and a dark room."""
    report(tmp_path, "noise", NOTE)
    content = write_index(tmp_path).read_text(encoding="utf-8")
    assert not {"script", "link", "img"} & Page(content).tags
    assert "url(" not in content
    assert "@import" not in content
    assert "prefers-color-scheme: dark" in content
    assert "width=device-width" in content


DAMAGED = {
    "no JSON": '{"study": "noi',
    "a list": "[]",
    "without a title": '{"study": "noise", "outcome": {}}',
    "a count that is text": '{"study": "a", "title": "b", "outcome": {"completed": "many"}}',
    "headlines that are no lines": '{"study": "a", "title": "b", "outcome": {}, "headlines": [3]}',
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_what_is_damaged_is_told(tmp_path, content):
    """Its report is linked all the same, and so are the others."""
    report(tmp_path, "bad", content)
    report(tmp_path, "noise", NOTE)
    text = text_of(tmp_path)
    assert "bad/report.json cannot be read: " in text
    assert "ptychosuite report" in text
    assert "30 of 40 completed" in text
    assert "bad/index.html" in Page((tmp_path / "index.html").read_text()).links


def test_reports_of_earlier_versions_and_other_files(tmp_path):
    """A report without a note is listed; half-written reports, loose files and folders are not."""
    report(tmp_path, "old")
    report(tmp_path, ".noise.123", NOTE)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("")
    comparison = report(tmp_path, "compare-a-b")
    (comparison / "comparison.json").write_text(json.dumps({"title": "a and b"}))
    text = text_of(tmp_path)
    assert "1 study" in text
    assert "old of an earlier version" in text
    assert Page(write_index(tmp_path).read_text()).links == ["old/index.html", "compare-a-b/index.html"]


def test_an_empty_folder(tmp_path):
    """It says what to do."""
    assert "No report is here yet" in text_of(tmp_path)
