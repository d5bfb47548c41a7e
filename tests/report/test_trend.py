"""The trend page, and the command that draws it."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from ptychosuite.analysis.trend import trend_of
from ptychosuite.analysis.verdict import Finding, Judgement, Verdict, keep_verdict
from ptychosuite.cli import ptychosuite
from ptychosuite.errors import StoreError
from ptychosuite.reporting.trend_page import MOST_PLOTS, draw_series, plotted, write_trend
from ptychosuite.store.layout import Store

from tests.analysis.histories import history, timed
from tests.report.test_report import Page


def findings(night: int) -> list[Finding]:
    """One case that slows down by a tenth, one that stays, one quality figure that repeats."""
    figure = Finding("magpie", "residual at 10", Judgement.GOOD, 2.5, 2.5, 1e-6)
    return [timed(1.1 if night >= 20 else 1.0), timed(1.0 + 0.001 * (night % 3), "lbfgs"), figure]


def sixty(ratio: float) -> list[Finding]:
    return [timed(ratio, f"case {number}") for number in range(60)]


def page_of(verdicts: list[Verdict], folder: Path) -> str:
    return write_trend(verdicts, folder).read_text(encoding="utf-8")


def test_page_says_what_to_look_at(tmp_path):
    """The verdict, the step with its commits and package, and a plot with words in place of the picture."""
    packages = {True: {"packages": {"numpy": "2.4.6"}}, False: {}}
    nights = history(40, findings, environment=lambda night: packages[night >= 20])
    html = page_of(nights, tmp_path)
    text = Page(html).text
    for part in (
        "✖ regression",
        "nightly against revision v1: regression",
        "2026-01-21",
        "git log --oneline 1919191..2020202",
        "Changed as well: numpy 2.4.5 -> 2.4.6",
        "rpie: time of a run +10 %",
        "2 as before",
        "3 series",
    ):
        assert part in text, part
    images = re.findall(r'<img src="data:image/svg\+xml;base64,([^"]+)" alt="([^"]*)"', html)
    assert len(images) == 2, "a series that never moves needs no plot"
    assert "40 checks, the latest at +10 % and regression; +10 % on 2026-01-21" in images[0][1]
    assert b"<svg" in base64.b64decode(images[0][0])


def test_page_stands_alone(tmp_path):
    """No file beside it, nothing from the network."""
    html = page_of(history(12, findings), tmp_path)
    assert not re.search(r"(src|href)=[\"'](?!data:|#)", html)
    assert [file.name for file in tmp_path.iterdir()] == ["nightly-trend.html"]


def test_every_judgement_has_a_word_and_a_symbol(tmp_path):
    """Colour is never alone."""
    mixed = [timed(1.0, str(judgement), judgement=judgement) for judgement in Judgement]
    text = Page(page_of(history(1, lambda night: mixed), tmp_path)).text
    for pair in ("✖ regression", "? could not judge", "▲ improvement", "✓ good"):
        assert pair in text


def test_first_night(tmp_path):
    """One check is a history."""
    text = Page(page_of(history(1, findings), tmp_path)).text
    assert "✓ good" in text
    assert "Everything is as before." in text
    assert "No change of level stands out." in text


def test_nothing_was_compared(tmp_path):
    """A check without findings is not green."""
    assert "could not judge" in Page(page_of(history(2, lambda night: []), tmp_path)).text


def test_markup_in_names_is_text(tmp_path):
    """Names come from study files."""
    html = page_of(history(2, lambda night: [timed(1.2, "<b>bold</b>")]), tmp_path)
    assert "<b>bold" not in html
    assert "&lt;b&gt;bold" in html


def test_plots_stay_few():
    """With many series that changed the first are drawn; with none, a few that stand for all."""
    many = trend_of(history(30, lambda night: sixty(1 + 0.1 * (night > 15))))
    assert len(plotted(many)) == MOST_PLOTS
    calm = trend_of(history(9, lambda night: sixty(1 + night % 2 / 1000)))
    assert 0 < len(plotted(calm)) < 10


def test_page_replaces_the_one_before(tmp_path):
    """And a folder that cannot be written is told, without harm to what is there."""
    first = page_of(history(1, findings), tmp_path)
    assert page_of(history(2, findings), tmp_path) != first
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write"):
        write_trend(history(1, findings), tmp_path / "file")


def test_no_history():
    """Says how to begin one."""
    with pytest.raises(StoreError, match="ptychosuite check STUDY"):
        write_trend([], Path())


def test_command(tmp_path):
    """From the verdicts that checks have left, by the results folder alone."""
    store = Store.create(tmp_path / "results" / "nightly")
    for verdict in history(3, findings):
        keep_verdict(store, verdict)
    call = ["trend", str(tmp_path / "results" / "nightly"), "--out", str(tmp_path / "reports")]
    result = CliRunner().invoke(ptychosuite, call, catch_exceptions=False)
    assert result.exit_code == 0
    page = tmp_path / "reports" / "nightly-trend.html"
    assert result.output.strip().endswith(f"trend: {page}")
    assert "3, 2026-01-01 to 2026-01-03" in Page(page.read_text(encoding="utf-8")).text


def resolution(night: int, lost_from: int = 8) -> list[Finding]:
    """A figure that is lost from a night on, beside one that stays."""
    lost = {"judgement": Judgement.REGRESSION, "found": None, "message": "it is no number any more"}
    told = lost if night >= lost_from else {"judgement": Judgement.GOOD, "found": 2.0 + 0.001 * night}
    figure = Finding("rpie", "frc_resolution_px", baseline=2.0, tolerance=0.1, **told)
    return [timed(1.0 + 0.001 * (night % 3), "lbfgs"), figure]


def test_a_figure_that_was_lost(tmp_path):
    """Its nights are counted, drawn and told; it stands first, and no older night is called the latest."""
    trend = trend_of(history(10, resolution))
    first = trend.series[0]
    assert (first.quantity, [loss.night for loss in first.losses]) == ("frc_resolution_px", [8, 9])
    assert plotted(trend)[0] is first
    html = page_of(history(10, resolution), tmp_path)
    assert (
        "10 checks, the latest without a number and regression; without a number in 2, marked at the" in html
    )
    cells = [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", html)]
    row = cells[max(place for place, cell in enumerate(cells) if cell == "frc_resolution_px") :]
    assert row[1:4] == ["10", "without a number", "+0 % to +0.35 %"]
    figure = draw_series(trend, first)
    marks = [line for line in figure.axes[0].get_lines() if line.get_marker() == "X"]
    assert sum(len(line.get_xdata()) for line in marks) == 2


def test_a_series_that_ended_says_when(tmp_path):
    """What the last check does not have is not called its latest."""
    html = page_of(history(10, lambda night: resolution(night, 99)[: 2 - (night > 7)]), tmp_path)
    assert "8 checks, the latest at +0.35 % on 2026-01-08 and good" in html
