"""The report's page in a real browser: every control driven, and what it says checked against its content."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ptychosuite.reporting.page_content import PageContent, Picture
from ptychosuite.reporting.page_html import page_html

from tests.report.page_examples import EXAMPLES, LINES, TOP

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if not (BROWSER and DRIVER):
    pytest.skip("Chromium or its driver is not installed", allow_module_level=True)

A4_CM = {"paperWidth": 21 / 2.54, "paperHeight": 29.7 / 2.54}
MIB = 2**20


class Browser:
    """A page at a time, at the width and in the colours of a device."""

    def __init__(self, driver: Any, folder: Path) -> None:
        self.driver = driver
        self.folder = folder

    def open(
        self, name: str, address: str = "", width: int = 1280, dark: bool = False, media: str = ""
    ) -> PageContent:
        """Show example ``name``; its content is returned."""
        file = self.folder / f"{name}.html"
        if not file.exists():
            file.write_text(html_of(name), encoding="utf-8")
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        colours = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", media=media, features=[colours])
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get(f"{file.as_uri()}{address}")
        return content_of(name)

    def command(self, name: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, arguments)

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        """What stands there, seen or not."""
        return self.js("return document.querySelector(arguments[0]).textContent", selector).strip()

    def click(self, selector: str) -> None:
        self.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", self.one(selector))
        self.one(selector).click()

    def choose(self, selector: str, value: str) -> None:
        """Set a select, a slider or a field, as a hand does: with the events of it."""
        self.js(
            "const [e, v] = [document.querySelector(arguments[0]), arguments[1]]; e.value = v;"
            "e.dispatchEvent(new Event('input', {bubbles: true})); e.dispatchEvent(new Event('change', {bubbles: true}))",
            selector,
            value,
        )

    def wait(self, script: str, seconds: float = 5) -> Any:
        """Until ``script`` gives something."""
        poll = f"const done = arguments[0]; const look = () => {{ const found = (() => {{ {script} }})();"
        self.driver.set_script_timeout(seconds)
        return self.driver.execute_async_script(
            f"{poll} found ? done(found) : setTimeout(look, 20); }}; look()"
        )

    @property
    def address(self) -> str:
        """Once it has settled: it is written a moment after the last choice."""
        sleep(0.3)
        return self.js("return location.hash")

    @property
    def rows(self) -> list[list[str]]:
        """Cells of the table of runs as it is drawn."""
        return self.js(
            "return [...document.querySelectorAll('#runs-table tbody tr:not(.details)')]"
            ".map((row) => [...row.cells].map((cell) => cell.textContent.trim()))"
        )

    def complaints(self) -> list[str]:
        """What the browser's console has to say since the page was opened."""
        return [f"{entry['level']}: {entry['message']}" for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """What the page has asked for, beside what it brings itself."""
        asked = self.js("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        return [address for address in asked if not address.startswith(("data:", "blob:"))]


@cache
def content_of(name: str) -> PageContent:
    return EXAMPLES[name]()


@cache
def html_of(name: str) -> str:
    return page_html(content_of(name))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield Browser(driver, tmp_path_factory.mktemp("pages"))
    driver.quit()


DRIVE_EVERYTHING = """
const told = (control, ...kinds) => kinds.forEach((kind) => control.dispatchEvent(new Event(kind, {bubbles: true})));
let driven = 0;
for (const control of document.querySelectorAll("main select, main input, main button")) {
  if (!control.isConnected || !control.checkVisibility()) continue;  // rows are drawn anew, and a dialog is closed
  driven += 1;
  if (control.tagName === "SELECT" || ["range", "search"].includes(control.type)) {
    const before = control.value;
    const values = control.options ? [...control.options].map((option) => option.value) : ["7", "30"];
    for (const value of [...values.slice(0, 3), values.at(-1), before]) {
      control.value = value;
      told(control, "input", "change");
    }
  } else {
    control.click();
    document.querySelector("dialog[open]")?.close();
  }
}
return driven;
"""


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_goes_wrong_and_nobody_is_asked(browser, name):
    """On opening, while every control is driven, and on reloading what the address then says."""
    page = browser.open(name)
    least = 5 + (12 if page.interactive.curves else 0) + len(page.interactive.runs[:20])
    assert browser.js(DRIVE_EVERYTHING) >= least
    browser.driver.refresh()
    browser.wait("return document.readyState === 'complete'")
    assert browser.complaints() == []
    assert browser.requests() == []
    assert browser.js("return window.hostile") is None  # text from a study is text


@pytest.mark.parametrize("name", EXAMPLES)
def test_sections_are_there_or_say_why_not(browser, name):
    page = browser.open(name)
    assert browser.text("h1") == page.title
    told = " ".join(browser.text(".outcome").split())
    assert told.startswith(f"{page.outcome.short} planned")
    assert all(
        f"{n} " in told and s in told for s, n in page.outcome.counts.items() if n and s != "completed"
    )
    for section in ("convergence", "images", "runs", "summary", "origin"):
        assert browser.text(f"#{section} > :nth-child(2)")
    if not page.outcome.completed:
        for section in ("convergence", "images", "summary"):
            assert "no run completed" in browser.text(f"#{section} .notice")
    assert len(browser.all("#troubles li")) == len(page.troubles)
    for trouble in page.troubles[:5]:
        assert trouble.label in browser.text("#troubles")
        assert trouble.command in browser.text("#troubles")


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_phone_scrolls_down_alone(browser, name):
    browser.open(name, width=390)
    assert browser.js("return document.documentElement.scrollWidth") <= 390
    sizes = browser.js(
        "return [...document.querySelectorAll('.plot svg text')].map((text) =>"
        "parseFloat(getComputedStyle(text).fontSize) * text.ownerSVGElement.getScreenCTM().a)"
    )
    assert min(sizes, default=11) >= 11


@pytest.mark.parametrize("name", ["quickstart", "mixed_failures", "thousand_runs"])
def test_a_page_is_small_and_quick(browser, name):
    page = browser.open(name)
    pictures = sum(len(picture.source) for picture in page.interactive.pictures)
    assert len(html_of(name).encode()) - pictures < (3 if len(page.interactive.runs) > 100 else 1.2) * 1e6
    drawn = browser.js("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert 0 < drawn < 2000  # ms; the scripts have drawn before the load has ended
    assert len(browser.rows) == min(200, len(page.interactive.runs))


# Outcomes


def test_every_cell_of_the_matrix_says_its_outcome(browser):
    page = browser.open("mixed_failures")
    cells = browser.js(
        "return [...document.querySelectorAll('#matrix tbody tr')].map((row) => [...row.cells].slice(1)"
        ".map((cell) => [cell.className, cell.querySelector('.count').textContent, cell.querySelector('small')?.textContent ?? '']))"
    )
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


# Curves


def tooltip(browser: Browser) -> tuple[str, dict[str, str]]:
    line = browser.text(".tooltip:not([hidden]) strong")
    terms, values = (
        browser.js(
            f"return [...document.querySelectorAll('.tooltip:not([hidden]) {tag}')].map((e) => e.textContent)"
        )
        for tag in ("dt", "dd")
    )
    return line, dict(zip(terms, values, strict=True))


def number(text: str) -> float:
    """Of "1.5 × 10⁻⁶" and "−3" as well."""
    plain = text.replace("−", "-")
    mantissa, _, power = plain.partition(" × ") if " × " in plain else (plain, "", "")
    if plain.startswith("10") and not plain[2:3].isascii():
        mantissa, power = "1", plain
    exponent = power[2:].translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-"))
    return float(mantissa) * 10.0 ** int(exponent or 0)


@pytest.mark.parametrize(("metric", "axis"), [("residual", "iteration"), ("error", "seconds")])
def test_the_tooltip_reads_the_curve_back(browser, metric, axis):
    """With the keyboard at each line's end, and with the pointer where the scales put a point."""
    page = browser.open("quickstart", f"#metric={metric}&x={axis}&logx=yes")
    curves = [c for c in page.interactive.curves if (c.metric, c.axis, c.condition) == (metric, axis, 0)]
    labels = {choice.name: choice.label for choice in (*page.interactive.metrics, *page.interactive.axes)}
    plot = browser.one(".plot")
    for _, curve in enumerate(curves):
        plot.send_keys("\ue010")  # End
        plot.send_keys("\ue012\ue012")  # two points to the left
        check_told(tooltip(browser), curve, len(curve.x) - 3, labels)
        plot.send_keys("\ue015")  # the next line
    curve, place = curves[1], 20
    browser.js("document.activeElement.blur()")
    browser.js(
        "const plot = document.querySelector('.plot'), svg = plot.querySelector('svg');"
        "const marks = [...svg.querySelectorAll('[data-mark=line] path')].length;"
        "const box = svg.getBoundingClientRect();"
        "const at = new DOMPoint(...arguments[0]);"
        "plot.dispatchEvent(new PointerEvent('pointermove', {clientX: box.x + at.x, clientY: box.y + at.y, bubbles: true}))",
        pixels_of(browser, curve.x[place], curve.median[place]),
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


def pixels_of(browser: Browser, x: float, y: float) -> list[float]:
    """Where a point of the first panel stands, from the ticks and their labels alone."""
    places = []
    for axis, value, attribute in (("x", x, 0), ("y", y, 1)):
        ticks = browser.js(
            "const [axis, place] = arguments; const svg = document.querySelector('.plot svg');"
            "const box = svg.getBoundingClientRect();"
            "const texts = [...svg.querySelectorAll(`[data-mark='${axis}-axis tick label'] text`)];"
            "const marks = [...svg.querySelectorAll(`[data-mark='${axis}-axis tick'] path`)];"
            "return texts.map((text, n) => { const m = marks[n].getBoundingClientRect();"
            "return [text.textContent, place ? m.y + m.height / 2 - box.y : m.x + m.width / 2 - box.x]; })",
            axis,
            attribute,
        )
        values = np.log([number(label) for label, _ in ticks])
        slope, start = np.polyfit(values, [pixel for _, pixel in ticks], 1)
        places.append(float(start + slope * np.log(value)))
    return places


def test_an_interval_is_a_band_and_one_seed_has_none(browser):
    browser.open("quickstart")
    assert len(browser.all(".plot:first-of-type [data-mark=area] path")) == 2 * len(LINES)
    browser.open("one_seed")
    assert browser.all("[data-mark=area] path") == []
    browser.one(".plot").send_keys("\ue010")
    assert "interval" not in tooltip(browser)[1]


def test_lines_are_told_apart_without_colour(browser):
    """By dash and by marker: the sample in the list, and the line in the panel."""
    browser.open("quickstart")
    looks = browser.js(
        "return [...document.querySelectorAll('#lines svg')].map((svg) =>"
        "[svg.querySelector('line').getAttribute('stroke-dasharray'), svg.querySelector('path').getAttribute('d')])"
    )
    assert len({dash for dash, _ in looks}) == len({marker for _, marker in looks}) == len(LINES)
    drawn = browser.js(
        "return [...document.querySelectorAll('.plot')[0].querySelectorAll('[data-mark=line] path')]"
        ".map((path) => getComputedStyle(path).strokeDasharray.replaceAll('px', '').replaceAll(',', ''))"
    )
    assert drawn == [line.dash for line in LINES] == [dash or "none" for dash, _ in looks]


def test_panels_share_their_scales(browser):
    browser.open("quickstart")
    ticks = "return [...document.querySelectorAll('.plot')].map((plot) => [...plot.querySelectorAll('[data-mark$=\"tick label\"] text')].map((text) => text.textContent + text.getAttribute('transform')).join())"
    first, second = browser.js(ticks)
    assert first == second
    before = first
    browser.click("#log-y")
    assert browser.js(ticks)[0] != before
    assert "logy=no" in browser.address


def test_a_hidden_line_is_gone_and_the_scale_follows(browser):
    page = browser.open("quickstart")
    browser.click("#lines label:nth-of-type(2) input")
    assert (
        len(browser.js("return [...document.querySelectorAll('.plot:first-of-type [data-mark=line]')]"))
        == 2 * 3
    )
    assert browser.address == "#hide=MAGPIE+(levels+7)"
    assert page.interactive.series[1].label not in browser.one(".plot").get_attribute("aria-label")


def test_the_circle_stands_at_the_hit(browser):
    page = browser.open("quickstart")
    hits = [
        c for c in page.interactive.curves if (c.metric, c.axis, c.condition) == ("residual", "iteration", 0)
    ]
    circles = browser.js(
        "return [...document.querySelector('.plot svg').querySelectorAll('circle[r=\"7.5\"]')].map((c) => Number(c.getAttribute('cx')))"
    )
    assert len(circles) == sum(curve.hit is not None for curve in hits) == 2
    left, right = (
        browser.js(
            "const m = [...document.querySelectorAll('.plot svg')][0].querySelectorAll('[data-mark=\"x-axis tick\"] path');"
            "const svg = document.querySelector('.plot svg').getBoundingClientRect(); const b = m[arguments[0]].getBoundingClientRect();"
            "return b.x + b.width / 2 - svg.x",
            place,
        )
        for place in (0, 1)
    )
    ticks = browser.js(
        "return [...document.querySelector('.plot svg').querySelectorAll('[data-mark=\"x-axis tick label\"] text')].slice(0, 2).map((t) => Number(t.textContent))"
    )
    expected = left + (30 - ticks[0]) / (ticks[1] - ticks[0]) * (right - left)
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
    browser.choose("#panels", "all")
    assert len(browser.all(".panel")) == 50


def test_points_that_a_logarithm_cannot_show_are_counted(browser):
    browser.open("quickstart")
    told = browser.js(
        "content.curves[0].median[5] = 0; content.curves[0].median[6] = -1;"
        "state.set({logx: 'yes'}); return document.getElementById('curves-note').textContent"
    )
    assert "2 points at or below 0 cannot be shown" in told


# Heat maps


def test_cells_of_a_heat_map_are_told_apart(browser):
    page = browser.open("quickstart")
    table = page.heat_tables[0]
    drawn = browser.js(
        "return [...document.querySelectorAll('.heat tbody tr')].map((row) => [...row.cells].slice(1).map((cell) =>"
        "[cell.className, cell.querySelector('span').textContent.trim(), getComputedStyle(cell).backgroundImage, getComputedStyle(cell).backgroundColor]))"
    )
    patterns = {}
    for row, cells in zip(drawn, table.cells, strict=True):
        for (classes, text, pattern, _), cell in zip(row, cells, strict=True):
            assert classes.split()[0] == cell.state
            assert ("best" in classes) == cell.is_best == ("★" in text)
            assert text.startswith(cell.text or ("–" if cell.state == "empty" else cell.state))
            patterns[cell.state] = pattern
    assert patterns["value"] == patterns["empty"] == "none"
    assert len({patterns[state] for state in ("never", "diverged", "failed", "missing")}) == 4
    shades = [sum(map(int, re.findall(r"\d+", colour)[:3])) for _, _, _, colour in drawn[0]]
    assert shades == sorted(shades)  # darker is better
    assert "lower is better" in browser.text(".heat .legend")
    assert not browser.one(".heat td.best .told").is_displayed()
    browser.click(".heat .tell input")
    assert browser.one(".heat td.best .told").text == table.cells[0][0].told


# Images


def codes_of(picture: Picture) -> tuple[np.ndarray, np.ndarray]:
    """Codes of magnitude and phase, (height, width) each, of the PNG itself."""
    image = Image.open(io.BytesIO(base64.b64decode(picture.source.partition(",")[2])))
    both = np.asarray(image)
    return both[:, : picture.width], both[:, picture.width :]


def rms_of(a: Picture, b: Picture, plane: str) -> tuple[float, int]:
    """By numpy: of A minus B over what is scanned in both, and the number of those pixels."""
    place = ("magnitude", "phase").index(plane)
    one, other = (codes_of(picture)[place] for picture in (a, b))
    common = (one > 0) & (other > 0)
    if plane == "magnitude":
        values = [(np.minimum(codes, 254).astype(float) - 1) / 253 * TOP for codes in (one, other)]
        difference = values[0] - values[1]
    else:
        angles = [(codes.astype(float) - 1) / 254 * 2 * np.pi - np.pi for codes in (one, other)]
        difference = np.angle(np.exp(1j * (angles[0] - angles[1])))
    return float(np.sqrt(np.mean(difference[common] ** 2))), int(common.sum())


@pytest.mark.parametrize("plane", ["magnitude", "phase"])
def test_the_difference_is_that_of_the_planes(browser, plane):
    page = browser.open("quickstart", f"#show={plane}")
    pictures = page.interactive.pictures
    for first, second in ((1, 0), (1, 3), (2, 6)):
        browser.choose("#picture-a", pictures[first].run_id or pictures[first].label)
        browser.choose("#picture-b", pictures[second].run_id or pictures[second].label)
        rms, pixels = rms_of(pictures[first], pictures[second], plane)
        counted = f"over the {pixels:,} pixels"
        told = browser.wait(
            f"const text = document.getElementById('rms').textContent; return text.includes('{counted}') && text.includes('{plane}') && text"
        )
        assert number(re.findall(r": ([\d.]+)", told)[0]) == pytest.approx(rms, rel=2e-3)


def test_clipped_and_unscanned_pixels_are_marked(browser):
    """In the canvas as in the codes: magenta beyond the scale, hatched grey where nothing was scanned."""
    page = browser.open("quickstart")
    picture = next(picture for picture in page.interactive.pictures if picture.run_id)
    browser.wait("return document.getElementById('rms').textContent")
    pixels = np.array(
        browser.js(
            "const c = document.getElementById('canvas-a'); return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        )
    ).reshape(picture.height, picture.width, 4)
    magnitude, _ = codes_of(picture)
    np.testing.assert_array_equal((pixels[..., :3] == (255, 0, 190)).all(-1), magnitude == 255)
    grey = pixels[..., 0]
    seen = (magnitude > 0) & (magnitude < 255)
    np.testing.assert_allclose(grey[seen], (magnitude[seen] - 1) / 253 * 255, atol=0.51)
    assert set(map(tuple, pixels[magnitude == 0][:, :3])) == {(138, 146, 155), (180, 186, 193)}
    difference = np.array(
        browser.js(
            "const c = document.getElementById('canvas-difference'); return [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
        )
    ).reshape(picture.height, picture.width, 4)
    hatched = (difference[..., :3] == (138, 146, 155)).all(-1) | (difference[..., :3] == (180, 186, 193)).all(
        -1
    )
    truth, _ = codes_of(page.interactive.pictures[0])
    np.testing.assert_array_equal(hatched, (magnitude == 0) | (truth == 0))


def test_reach_clips_the_difference_and_says_how_much(browser):
    page = browser.open("quickstart")
    browser.wait("return document.getElementById('rms').textContent")
    browser.choose("#reach", "4")
    reach = 0.04 * TOP
    assert browser.js("return document.getElementById('reach-told').value") == f"± {reach:.3g}"
    a, b = page.interactive.pictures[1], page.interactive.pictures[0]
    one, other = ((np.minimum(codes_of(p)[0], 254).astype(float) - 1) / 253 * TOP for p in (a, b))
    common = (codes_of(a)[0] > 0) & (codes_of(b)[0] > 0)
    beyond = int((np.abs(one - other)[common] > reach * (1 + 1e-9)).sum())
    assert f"{beyond:,} pixels" in browser.text("#legend-difference")


def test_two_pictures_are_compared_in_three_ways(browser):
    browser.open("quickstart")
    browser.wait("return document.getElementById('rms').textContent")
    browser.choose("#split", "20")
    clip = "return getComputedStyle(document.getElementById('canvas-a')).clipPath"
    assert "80%" in browser.js(clip)
    browser.click("input[value=blink]")
    assert browser.js(clip) == "none"
    seen = "return document.querySelector('#pair .stage').classList.contains('second')"
    assert browser.wait(seen, 3) is True
    browser.click("input[value=beside]")
    boxes = browser.js(
        "return ['a', 'b'].map((side) => document.getElementById(`canvas-${side}`).getBoundingClientRect()).map(({left, right}) => [left, right])"
    )
    assert boxes[0][1] <= boxes[1][0]
    a, b = (browser.js(f"return document.getElementById('picture-{side}').value") for side in "ab")
    browser.click("#swap")
    assert [browser.js(f"return document.getElementById('picture-{side}').value") for side in "ab"] == [b, a]


def test_a_drag_moves_the_divider(browser):
    browser.open("measured")
    browser.wait("return document.getElementById('rms').textContent")
    stage = browser.one("#pair .stage")
    browser.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", stage)
    quarter = int(stage.size["width"] / 4)
    webdriver.ActionChains(browser.driver).move_to_element(stage).click_and_hold().move_by_offset(
        quarter // 2, 0
    ).move_by_offset(quarter - quarter // 2, 5).release().perform()
    assert int(browser.js("return document.getElementById('split').value")) == pytest.approx(75, abs=1)
    assert not browser.js("return document.querySelector('dialog').open")
    assert browser.address.startswith("#split=7")


def test_a_click_enlarges_and_escape_puts_back(browser):
    browser.open("measured")
    browser.wait("return document.getElementById('rms').textContent")
    for opener in ("#canvas-difference", ".enlarge[data-of=pair]", "#pair .stage"):
        browser.click(opener)
        assert browser.js(
            "return document.querySelector('dialog').open && !!document.querySelector('dialog canvas')"
        )
        browser.one("dialog").send_keys("\ue00c")
        browser.wait(
            "return !document.querySelector('dialog').open && !document.querySelector('dialog canvas')"
        )
    assert browser.js("return [...document.querySelectorAll('.views > figure')].map((f) => f.id)") == [
        "pair",
        "difference",
    ]


# Runs


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
    browser.click(".expand")
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


# The whole


def test_a_view_can_be_sent(browser):
    """What is chosen is in the address, and an address brings it back."""
    page = browser.open("quickstart")
    run = page.interactive.pictures[2].run_id
    browser.choose("#metric", "error")
    browser.choose("#axis", "seconds")
    browser.click("#log-x")
    browser.click("#lines label:nth-of-type(1) input")
    browser.choose("#picture-a", run)
    browser.click("input[value=phase]")
    browser.choose("#split", "70")
    browser.choose("#find", "noise 0.4")
    browser.click("#runs-table thead th:nth-child(7) button")
    address = browser.address
    for part in (
        "metric=error",
        "x=seconds",
        "logx=yes",
        "hide=rPIE",
        f"a={run}",
        "show=phase",
        "split=70",
        "find=noise+0.4",
        "sort=residual",
    ):
        assert part in address.removeprefix("#").split("&")
    rows = browser.rows
    browser.open("quickstart", address)
    assert browser.address == address
    assert browser.rows == rows
    assert browser.js("return document.getElementById('metric').value") == "error"
    assert browser.one("#log-x").is_selected()
    assert not browser.one("#lines label:nth-of-type(1) input").is_selected()
    assert browser.js("return document.getElementById('picture-a').value") == run
    assert browser.one("input[value=phase]").is_selected()


def test_what_an_address_should_not_say_is_ignored(browser):
    browser.open(
        "quickstart",
        "#metric=gone&x=__proto__&constructor=1&split=500&hide=nobody&a=x&sort=-nothing&status=odd&panels=99",
    )
    assert browser.js("return document.getElementById('metric').value") == "residual"
    assert len(browser.rows) == 24
    assert len(browser.all(".panel")) == 2
    assert browser.complaints() == []


def test_contents_lead_to_sections_and_keep_the_view(browser):
    browser.open("quickstart", "#metric=error", width=390)
    browser.click('.contents a[href="#runs"]')
    assert browser.address == "#metric=error&at=runs"
    assert browser.js("return document.activeElement.id") == "runs"
    browser.open("quickstart", "#metric=error&at=runs")
    browser.wait("return Math.abs(document.getElementById('runs').getBoundingClientRect().top) < 450")


def test_the_command_is_copied_or_selected(browser):
    page = browser.open("quickstart")
    browser.js(
        "navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }"
    )
    browser.click(".reproduce button.copy")
    assert browser.wait("return window.copied") == page.reproduce[0][1]
    browser.js("navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed'))")
    browser.click(".reproduce div:nth-child(2) button.copy")
    assert browser.wait("return String(getSelection())") == page.reproduce[1][1]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["quickstart", "mixed_failures", "all_failed"])
def test_accessible(browser, name, dark):
    """axe finds nothing serious, with a row, a sheet of numbers and a tooltip open."""
    axe = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    browser.open(name, dark=dark)
    browser.js("document.querySelector('.expand').click(); document.querySelector('.tell input')?.click()")
    browser.js("for (const details of document.querySelectorAll('details')) details.open = true")
    if browser.all(".plot"):
        browser.one(".plot").send_keys("\ue010")
    browser.js((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    browser.driver.set_script_timeout(60)
    found = browser.driver.execute_async_script("axe.run().then(arguments[0])")
    serious = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert [(v["id"], v["help"], [node["html"][:200] for node in v["nodes"][:3]]) for v in serious] == []


def test_alternative_texts_are_not_the_caption(browser):
    page = browser.open("quickstart")
    assert browser.one(".printed img").get_attribute("alt") == page.figures[0].alt
    label = browser.one(".plot svg").get_attribute("aria-label")
    assert all(f"{line.label} ends at" in label for line in LINES)
    browser.wait("return document.getElementById('canvas-a').getAttribute('aria-label')")


def test_every_control_has_a_name_and_the_keyboard_reaches_it(browser):
    browser.open("quickstart")
    reached = set()
    body = browser.one("body")
    body.send_keys("\ue004")
    for _ in range(60):
        name = browser.js(
            "const e = document.activeElement; const s = getComputedStyle(e);"
            "return [e.id || e.className || e.tagName, e.matches(':focus-visible') && (s.outlineStyle !== 'none')]"
        )
        reached.add(name[0])
        assert name[1] or name[0] in ("BODY", "")
        browser.driver.switch_to.active_element.send_keys("\ue004")
    assert {
        "skip",
        "metric",
        "axis",
        "log-x",
        "log-y",
        "plot",
        "picture-a",
        "split",
        "reach",
        "find",
        "expand",
    } <= reached


@pytest.mark.parametrize("name", ["quickstart", "mixed_failures"])
def test_print_leaves_nothing_out(browser, name):
    """All runs, messages and the study file on A4, and nothing wider than the paper."""
    pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")
    page = browser.open(name)
    browser.wait("return !document.getElementById('rms') || document.getElementById('rms').textContent")
    pdf = browser.command("Page.printToPDF", printBackground=True, preferCSSPageSize=True, **A4_CM)
    pages = pypdf.PdfReader(io.BytesIO(base64.b64decode(pdf["data"]))).pages
    width, height = pages[0].mediabox.width, pages[0].mediabox.height
    assert (float(width), float(height)) == pytest.approx((595.3, 841.9), abs=1)
    text = re.sub(r"\s+", "", " ".join(page.extract_text() for page in pages))
    assert all(run.run_id in text for run in page.interactive.runs)
    assert re.sub(r"\s+", "", page.study_text) in text
    for trouble in page.troubles[:5]:
        assert re.sub(r"\s+", "", trouble.message) in text
    assert browser.all(".details") == []  # as it was before


def test_all_of_a_thousand_runs_are_printed(browser):
    page = browser.open("thousand_runs")
    browser.js("window.dispatchEvent(new Event('beforeprint'))")
    assert [row[0] for row in browser.rows] == [run.run_id for run in page.interactive.runs]
    assert len(browser.all(".details")) == len(page.interactive.runs)
    browser.js("window.dispatchEvent(new Event('afterprint'))")
    assert len(browser.rows) == 200


@pytest.mark.parametrize("name", EXAMPLES)
def test_print_fits_the_paper(browser, name):
    browser.open(name, width=695, media="print")
    assert browser.js("return document.documentElement.scrollWidth") <= 695


def test_without_script_the_rest_is_there(browser):
    page = content_of("mixed_failures")
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open("mixed_failures")
        text = browser.one("body").text
        displayed = [element.is_displayed() for element in browser.all(".controls")]
    finally:
        browser.command("Emulation.setScriptExecutionDisabled", value=False)
    assert "need JavaScript" in text
    assert page.outcome.short in text
    assert page.troubles[0].label in text
    assert page.summary.rows[0][3] in text
    assert not any(displayed)
