"""Reports of runs that were carried out, in a real browser: what is stored is what is seen."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from ptychosuite.analysis.selection import selection_of_plan
from ptychosuite.core.runs import Status
from ptychosuite.reporting.page import write_report
from ptychosuite.reporting.page_html import page_html

from tests.report.page_examples import EXAMPLES
from tests.report.test_blind_report import FIGURES as BLIND_FIGURES
from tests.report.test_blind_report import MEASURED, SOLVERS
from tests.report.test_planned_runs import study
from tests.report.test_speed_up_report import STUDY as FAST_FORWARD
from tests.study.small import HEAD, carry_out, plan_of, study_file
from tests.study.test_measured_study import write_star

__all__ = ["study"]  # a fixture
pytestmark = pytest.mark.slow

BLIND = HEAD.replace("stop:", "  start_probe: {kind: gaussian, size: 16, fwhm_px: 7}\nstop:")
STUDIES = {
    "known": (
        HEAD,
        "axes:\n  problem.noise: [0.0, 0.1]\n" + SOLVERS.removeprefix("axes:\n").replace("emagpie", "magpie"),
    ),
    "blind": (BLIND, SOLVERS + BLIND_FIGURES),
    "measured": (MEASURED, SOLVERS + BLIND_FIGURES),
    "fast-forward": (HEAD.replace("iterations: 3", "iterations: 6, check_every: 1"), FAST_FORWARD),
    "single run": (HEAD, "figures: [{kind: images}]\n"),
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Name -> the selection and the page of a small study, made when it is first asked for."""
    made = {}

    def report(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("real")
            write_star(folder / "star.npz")
            head, extra = STUDIES[name]
            plan = plan_of(study_file(folder, extra, head=head))
            carry_out(plan, folder / "results")
            selection = selection_of_plan(plan, folder / "results")
            made[name] = SimpleNamespace(
                selection=selection, page=write_report(selection, folder / "reports")
            )
        return made[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ptychosuite.reporting.style.FORMATS", ("svg",))
        yield report


def check(browser, selection):
    """No complaint, no request; every planned run in the matrix and in the table; every metric has curves."""
    table = selection.table
    assert len(browser.rows) == len(table)
    assert [row[1].split()[-1] for row in browser.rows] == table["status"].tolist()
    counts = browser.each("#matrix tbody .count", "e.textContent.split(' of ').map(Number)")
    assert sum(planned for _, planned in counts) == len(table)
    assert sum(done for done, _ in counts) == (table["status"] == Status.COMPLETED).sum()
    for metric in browser.each("#metric option", "e.value"):
        browser.choose("#metric", metric)
        assert browser.all(".plot [data-mark=line]"), metric
    assert browser.complaints() == []
    assert browser.requests() == []


@pytest.mark.parametrize("name", STUDIES)
def test_reports_open(browser, reports, name):
    """Of simulated and measured data, of a known and an unknown probe, of fast-forwards, of a single run."""
    report = reports(name)
    browser.show(report.page)
    check(browser, report.selection)


def test_failures_open(browser, study, tmp_path, quick_figures):
    """Runs that failed and that are missing are rows, cells, and troubles with names."""
    selection = selection_of_plan(*study)
    browser.show(write_report(selection, tmp_path))
    check(browser, selection)
    text = browser.text("#troubles")
    assert text.count("ArithmeticError: broken on purpose") >= 6
    assert "MAGPIE · noise 0.1 · seed 3" in text


@pytest.mark.parametrize("name", ["known", "blind"])
def test_the_comparer_shows_what_the_metric_says(browser, reports, name):
    """The RMS of run minus truth, times the root of the number of pixels, is the stored error."""
    report = reports(name)
    browser.show(report.page)
    table = report.selection.table.set_index("run_id")
    options = browser.each("#picture-a option", "[e.value, e.textContent]")
    truths = [value for value, label in options if label.startswith("truth")]
    runs = [value for value, _ in options if value in table.index]
    assert len(runs) == len(truths) * 2
    checked = 0
    for place, run in enumerate(runs):
        browser.choose("#picture-a", run)
        browser.choose("#picture-b", truths[place // 2])
        words = browser.wait(
            "const e = document.getElementById('rms'); const a = document.getElementById('picture-a');"
            f"return a.value === {run!r} && e.textContent.includes('RMS') && e.textContent"
        )
        if "beyond the scale" in words:
            continue  # pixels are clipped, and the page says that they count as the scale's end
        checked += 1
        rms = float(words.split("magnitude: ")[1].split()[0])
        pixels = int(words.split("over the ")[1].split()[0].replace(",", ""))
        assert rms * np.sqrt(pixels) == pytest.approx(table.loc[run, "error"], rel=0.03), words
    assert checked


def test_long_names_stay_on_a_phone(browser, tmp_path):
    """A line of a plug-in that is named by its class is one long word."""
    page = EXAMPLES["one_solver"]()
    lines = [
        replace(line, label="my_package.reconstruction:AdaptiveMomentumEngine")
        for line in page.interactive.series
    ]
    file = tmp_path / "long.html"
    file.write_text(page_html(replace(page, interactive=replace(page.interactive, series=lines))))
    browser.show(file, width=390)
    assert browser.js("return document.documentElement.scrollWidth") <= 390
