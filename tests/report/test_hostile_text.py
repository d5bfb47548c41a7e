"""Titles and messages made to harm: nothing of them acts in a terminal, in a notebook or on the page."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ptychosuite.api.display import html_table, reason_text, text_table, tree_text
from ptychosuite.api.planning import plan
from ptychosuite.api.results import open_results
from ptychosuite.errors import StoreError, StudyError
from ptychosuite.reporting.page_html import page_html
from ptychosuite.store.write import write_run

from tests.report.page_examples import mixed_failures, quickstart
from tests.report.test_report import Page
from tests.store.records import record, store_at
from tests.study.small import study_file

STEERING = "\x1b[2J\x1b]0;owned\x07\r\x08\x9b31m\x7f\u202e\u2066\u200f\u2028\0\ud800"
HOSTILE = f"</script><script>window.hostile=true</script><img src=x onerror=alert(1)>&amp;{STEERING}\n'\""


def is_harmless(text: str) -> bool:
    return text.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "text",
    [
        text_table([HOSTILE, "run"], [[HOSTILE, 1], ["a", HOSTILE]]),
        tree_text({"message": HOSTILE, HOSTILE: {"inner": HOSTILE}, "list": [HOSTILE]}),
        reason_text(HOSTILE + HOSTILE, "show"),
        str(StudyError(HOSTILE)),
        str(StoreError(HOSTILE)),
    ],
    ids=["table", "tree", "reason", "study", "store"],
)
def test_terminal(text):
    assert is_harmless(text)
    assert text.isascii(), "written out"
    text.encode()


def test_rows_stay_rows():
    assert len(text_table([HOSTILE, "run"], [[HOSTILE, 1], ["a", HOSTILE]]).splitlines()) == 3
    assert len(str(StudyError(HOSTILE)).splitlines()) == 1


def test_notebook():
    found = Page(html_table([HOSTILE], [[HOSTILE]], below=HOSTILE))
    assert not {"script", "img"} & found.tags


def test_other_scripts_are_left_alone():
    """Letters of every language are no danger."""
    text = "Rauschen größer, шум, ノイズ, الضوضاء, 噪声 ± 3 µm"
    assert text_table([text], []) == reason_text(text, "") == text


def test_title(tmp_path):
    """A study's title is shown as text, one line of it."""
    steering = STEERING.replace("\ud800", "").encode("unicode_escape").decode().replace("\\x00", "\\0")
    path = study_file(tmp_path, f'title: "<b>bold</b>{steering}"\n')
    planned = plan(path, results=tmp_path)
    assert is_harmless(planned.text())
    assert planned.plan.title.startswith("<b>bold</b>\\x1b[2J")
    assert "<b>" not in planned._repr_html_()


def test_title_without_end(tmp_path):
    with pytest.raises(StudyError, match=r":6:1: title: found 301 characters; expected at most 300"):
        plan(study_file(tmp_path, f"title: {'x' * 301}\n"))


def test_message_of_a_run(tmp_path):
    """As a solver raised it, or as somebody wrote it into a file."""
    failed = replace(record(0, "failed"), message=HOSTILE.replace("\ud800", ""))
    store = store_at(tmp_path / "r")
    write_run(store, failed)
    with open_results(tmp_path / "r") as results:
        assert is_harmless(tree_text(results.describe(failed.run_id)))
        assert is_harmless(str(results))


def test_page():
    """The page has the same elements whatever its texts say, and can be written."""
    content = mixed_failures()
    plain = Page(page_html(replace(content, title="A study", study_text="study: noise")))
    hostile = page_html(replace(content, title=HOSTILE, study_text=HOSTILE))
    hostile.encode()
    assert Page(hostile).tags == plain.tags
    assert hostile.count("<script") == page_html(content).count("<script")
    assert "<script>window.hostile" not in hostile


def test_page_of_hostile_runs():
    content = quickstart()
    runs = [replace(run, message=HOSTILE, settings={HOSTILE: HOSTILE}) for run in content.interactive.runs]
    hostile = page_html(replace(content, interactive=replace(content.interactive, runs=runs)))
    hostile.encode()
    assert hostile.count("<script") == page_html(content).count("<script")
