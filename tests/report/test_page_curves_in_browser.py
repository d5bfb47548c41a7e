"""Curves and heat maps of the page, in a browser: read back from what is drawn."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.report.browsing import Browser, number
from tests.report.page_examples import LINES


def tooltip(browser: Browser) -> tuple[str, dict[str, str]]:
    line, terms, values = (browser.texts(f".tooltip:not([hidden]) {tag}") for tag in ("strong", "dt", "dd"))
    return line[0], dict(zip(terms, values, strict=True))


@pytest.mark.parametrize(("metric", "axis"), [("residual", "iteration"), ("error", "seconds")])
def test_the_tooltip_reads_the_curve_back(browser, metric, axis):
    """With the keyboard at each line's end, and with the pointer where the scales put a point."""
    page = browser.open("quickstart", f"#metric={metric}&x={axis}&logx=yes")
    curves = [c for c in page.interactive.curves if (c.metric, c.axis, c.condition) == (metric, axis, 0)]
    labels = {choice.name: choice.label for choice in (*page.interactive.metrics, *page.interactive.axes)}
    plot = browser.one(".plot")
    for curve in curves:
        plot.send_keys("\ue010")  # End
        plot.send_keys("\ue012\ue012")  # two points to the left
        check_told(tooltip(browser), curve, len(curve.x) - 3, labels)
        plot.send_keys("\ue015")  # the next line
    curve, place = curves[1], 20
    browser.js("document.activeElement.blur()")
    x, y = pixels_of(browser, curve.x[place], curve.median[place])
    browser.js(
        "const box = document.querySelector('.plot svg').getBoundingClientRect();"
        "const at = {clientX: box.x + arguments[0], clientY: box.y + arguments[1]};"
        "document.querySelector('.plot').dispatchEvent(new PointerEvent('pointermove', at))",
        x,
        y,
    )
    check_told(tooltip(browser), curve, place, labels)


def check_told(told, curve, place, labels):
    line, values = told
    assert line == LINES[curve.series].label
    assert number(values[labels[curve.axis]]) == pytest.approx(curve.x[place], rel=1e-3)
    assert number(values[labels[curve.metric]]) == pytest.approx(curve.median[place], rel=1e-3)
    low, high = map(number, values["interval"].split(" to "))
    assert (low, high) == pytest.approx((curve.low[place], curve.high[place]), rel=1e-3)
    assert values["still running"] == f"{curve.alive[place]} of {curve.runs}"
    assert values["completed"] == f"{curve.runs} of {curve.planned} planned"


def ticks_of(browser: Browser, axis: str) -> list[tuple[float, float]]:
    """Value and place in pixels of each tick of the first panel."""
    middle = "const b = e.getBoundingClientRect(), s = e.ownerSVGElement.getBoundingClientRect();"
    place = {"x": "b.x + b.width / 2 - s.x", "y": "b.y + b.height / 2 - s.y"}[axis]
    labels = browser.texts(f".panel:first-child [data-mark='{axis}-axis tick label'] text")
    marks = f".panel:first-child [data-mark='{axis}-axis tick'] path"
    pixels = browser.each(marks, f"{{ {middle} return {place}; }}")
    return list(zip(map(number, labels), pixels, strict=True))


def pixels_of(browser: Browser, x: float, y: float) -> list[float]:
    """Where a point of the first panel stands, both axes logarithmic, from the ticks alone."""
    places = []
    for axis, value in (("x", x), ("y", y)):
        values, pixels = zip(*ticks_of(browser, axis), strict=True)
        slope, start = np.polyfit(np.log(values), pixels, 1)
        places.append(float(start + slope * np.log(value)))
    return places


def test_an_interval_is_a_band_and_one_seed_has_none(browser):
    browser.open("quickstart")
    assert len(browser.all(".plot [data-mark=area] path")) == 2 * len(LINES)
    browser.open("one_seed")
    assert browser.all("[data-mark=area] path") == []
    browser.one(".plot").send_keys("\ue010")
    assert "interval" not in tooltip(browser)[1]


def test_lines_are_told_apart_without_colour(browser):
    """By dash and by marker: the sample in the list, and the line in the panel."""
    browser.open("quickstart")
    dashes = browser.each("#lines svg line", "e.getAttribute('stroke-dasharray') ?? 'none'")
    markers = browser.each("#lines svg path", "e.getAttribute('d')")
    assert len(set(dashes)) == len(set(markers)) == len(LINES)
    drawn = browser.each(
        ".panel:first-child [data-mark=line] path",
        "getComputedStyle(e).strokeDasharray.replaceAll('px', '').replaceAll(',', '')",
    )
    assert drawn == dashes == [line.dash for line in LINES]


def test_panels_share_their_scales(browser):
    browser.open("quickstart")
    labels = "[...e.querySelectorAll('[data-mark$=label] text')]"
    ticks = f"{labels}.map((text) => text.textContent + text.getAttribute('transform'))"
    first, second = browser.each(".plot", ticks)
    assert first == second
    browser.click("#log-y")
    assert browser.each(".plot", ticks)[0] != first
    assert "logy=no" in browser.address


def test_a_hidden_line_is_gone_and_the_scale_follows(browser):
    page = browser.open("quickstart")
    browser.click("#lines label:nth-of-type(2) input")
    assert len(browser.all(".plot [data-mark=line]")) == 2 * 3
    assert browser.address == "#hide=MAGPIE+(levels+7)"
    assert page.interactive.series[1].label not in browser.one(".plot").get_attribute("aria-label")


def test_the_circle_stands_at_the_hit(browser):
    page = browser.open("quickstart")
    hits = [
        c for c in page.interactive.curves if (c.metric, c.axis, c.condition) == ("residual", "iteration", 0)
    ]
    circles = browser.each(".panel:first-child circle[r='7.5']", "Number(e.getAttribute('cx'))")
    assert len(circles) == sum(curve.hit is not None for curve in hits) == 2
    (value, pixel), (other, right), *_ = ticks_of(browser, "x")
    expected = pixel + (30 - value) / (other - value) * (right - pixel)
    assert circles == pytest.approx([expected, expected], abs=1.5)


def test_what_did_not_complete_is_told_beside_the_curves(browser):
    browser.open("mixed_failures")
    counts = browser.js(
        "return [...document.querySelectorAll('#lines small')].map((small) => small.textContent)"
    )
    assert counts[:4] == ["", "6 of 10", "1 of 10", ""]
    notes = browser.js(
        "return [...document.querySelectorAll('.panel .note')].map((note) => note.textContent)"
    )
    assert "L-BFGS: 1 of 5" in notes[0]
    assert "L-BFGS: none of 5" in notes[1]


def test_many_conditions_are_paged(browser):
    page = browser.open("thousand_runs")
    assert len(browser.all(".panel")) == 12
    assert "12 of 50 conditions" in browser.text("#curves-note")
    browser.choose("#panels", "5")
    titles = [title.text for title in browser.all(".panel h3")]
    assert titles == [condition.label for condition in page.interactive.conditions[48:]]
    browser.js("window.dispatchEvent(new Event('beforeprint'))")
    assert len(browser.all(".panel")) == 50
    browser.js("window.dispatchEvent(new Event('afterprint'))")
    assert len(browser.all(".panel")) == 2
    browser.choose("#panels", "all")
    assert len(browser.all(".panel")) == 50


def test_points_that_a_logarithm_cannot_show_are_counted(browser):
    browser.open("quickstart")
    told = browser.js(
        "content.curves[0].median[5] = 0; content.curves[0].median[6] = -1;"
        "state.set({logx: 'yes'}); return document.getElementById('curves-note').textContent"
    )
    assert "2 points at or below 0 cannot be shown" in told
    labels = browser.texts(".panel:first-child [data-mark='y-axis tick label'] text")
    assert labels == ["10", "100", "1000", "10⁴"]


def test_cells_of_a_heat_map_are_told_apart(browser):
    page = browser.open("quickstart")
    table = page.heat_tables[0]
    look = "((s) => [s.backgroundImage, s.backgroundColor])(getComputedStyle(cell))"
    parts = f"[cell.className, cell.querySelector('span').textContent.trim(), ...{look}]"
    drawn = browser.each(".heat tbody tr", f"[...e.cells].slice(1).map((cell) => {parts})")
    patterns = {}
    for row, cells in zip(drawn, table.cells, strict=True):
        for (classes, text, pattern, _), cell in zip(row, cells, strict=True):
            assert classes.split()[0] == cell.state
            assert ("best" in classes) == cell.is_best == ("★" in text)
            assert text.startswith(cell.text or ("–" if cell.state == "empty" else cell.state))
            patterns[cell.state] = pattern
    assert patterns["value"] == patterns["empty"] == "none"
    assert len({patterns[state] for state in ("never", "none", "diverged", "failed", "missing")}) == 5
    shades = [sum(map(int, re.findall(r"\d+", colour)[:3])) for _, _, _, colour in drawn[0]]
    assert shades == sorted(shades)  # darker is better
    assert "lower is better" in browser.text(".heat .legend")
    assert not browser.one(".heat td.best .told").is_displayed()
    browser.click(".heat .tell input")
    assert browser.one(".heat td.best .told").text == table.cells[0][0].told
