"""The table of runs and the matrix of outcomes, in a browser: checked against the content's numbers."""

from __future__ import annotations

import pytest
from ptychosuite.reporting.page_content import PageContent


def test_every_cell_of_the_matrix_says_its_outcome(browser):
    page = browser.open("mixed_failures")
    parts = (
        "[cell.className, ...['.count', 'small'].map((part) => cell.querySelector(part)?.textContent ?? '')]"
    )
    cells = browser.each("#matrix tbody tr", f"[...e.cells].slice(1).map((cell) => {parts})")
    for row, outcomes in zip(cells, page.matrix.cells, strict=True):
        for (shade, short, others), outcome in zip(row, outcomes, strict=True):
            assert short == outcome.short
            assert f"{outcome.short} completed{', ' if others else ''}{others}" == outcome.text
            assert shade == ("whole" if outcome.is_whole else "partial" if outcome.completed else "none")


def test_a_cell_narrows_runs_and_curves_until_it_is_pressed_again(browser):
    page = browser.open("mixed_failures")
    cell = "#matrix tbody tr:nth-child(2) td:nth-child(4) button"  # the second condition, the third line
    browser.click(cell)
    expected = {run.run_id for run in page.interactive.runs if (run.condition, run.series) == (1, 2)}
    assert {row[0] for row in browser.rows} == expected
    assert browser.text("#runs-count") == f"{len(expected)} of 50 runs"
    assert [title.text for title in browser.all(".panel h3")] == [page.interactive.conditions[1].label]
    browser.click(cell)
    assert len(browser.rows) == 50
    assert len(browser.all(".panel")) == 2
    browser.click(cell)
    browser.click("#matrix-all")
    assert len(browser.rows) == 50
    assert browser.address == ""


def expected_order(page: PageContent, column: int) -> list[str]:
    """Run ids by a column of numbers, those without one last and as planned."""
    runs = list(page.interactive.runs)
    return [r.run_id for r in sorted(runs, key=lambda r: (r.values[column] is None, r.values[column] or 0))]


@pytest.mark.parametrize("column", ["residual", "seconds"])
def test_runs_are_sorted_by_their_numbers(browser, column):
    page = browser.open("mixed_failures")
    names = [choice.name for choice in page.interactive.columns]
    place = names.index(column)
    header = f"#runs-table thead th:nth-child({5 + place})"
    browser.click(f"{header} button")
    assert [row[0] for row in browser.rows] == expected_order(page, place)
    assert browser.one(header).get_attribute("aria-sort") == "ascending"
    browser.click(f"{header} button")
    done = [run for run in page.interactive.runs if run.status == "completed"]
    descending = [run.run_id for run in sorted(done, key=lambda run: -run.values[place])]
    assert [row[0] for row in browser.rows][: len(done)] == descending
    assert browser.address == f"#sort=-{column}"
    browser.click(f"{header} button")
    assert [row[0] for row in browser.rows] == [run.run_id for run in page.interactive.runs]


def test_runs_are_filtered_and_found(browser):
    page = browser.open("mixed_failures")
    runs = page.interactive.runs
    browser.choose("#filter-status", "failed")
    assert [row[0] for row in browser.rows] == [run.run_id for run in runs if run.status == "failed"]
    browser.choose("#filter-condition", page.interactive.conditions[0].label)
    expected = [run.run_id for run in runs if run.status == "failed" and run.condition == 0]
    assert [row[0] for row in browser.rows] == expected
    browser.click("#runs-reset")
    assert len(browser.rows) == 50
    browser.one("#find").send_keys("LINE SEARCH descent")
    assert {row[0] for row in browser.rows} == {run.run_id for run in runs if "line search" in run.message}
    browser.choose("#find", runs[7].run_id)
    assert [row[0] for row in browser.rows] == [runs[7].run_id]
    assert browser.text("#runs-count") == "1 of 50 runs"
    browser.choose("#find", "nothing of this name")
    assert browser.text("#runs-count") == "0 of 50 runs"


def test_a_row_opens_to_its_details(browser):
    page = browser.open("mixed_failures", "#status=failed")
    run = next(run for run in page.interactive.runs if run.status == "failed")
    browser.click(".expand")
    details = browser.text(".details")
    assert run.message.splitlines()[-1] in details
    assert run.command in details
    assert all(str(value) in details for value in run.settings.values())
    assert all(value in details for value in page.interactive.provenances[run.provenance].values())
    assert browser.one(".expand").get_attribute("aria-expanded") == "true"
    browser.choose("#filter-status", "")
    assert len(browser.all(".details")) == 1  # it stays open among the others
    browser.click(".expand[aria-expanded=true]")
    assert browser.all(".details") == []


def test_all_of_a_thousand_rows_are_there_when_asked(browser):
    page = browser.open("thousand_runs")
    assert browser.text("#runs-count") == "1,000 runs, the first 200 are shown"
    browser.click("#runs-more")
    assert len(browser.rows) == len(page.interactive.runs)
    browser.js("window.before = performance.now()")
    browser.choose("#find", "0.0464 l-bfgs")
    expected = [r for r in page.interactive.runs if "0.0464" in r.settings["problem.noise"] and r.series == 2]
    assert len(browser.rows) == len(expected)
    assert browser.js("return performance.now() - before") < 1000
