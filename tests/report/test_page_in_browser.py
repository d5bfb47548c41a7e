"""The report's page in a real browser: every control driven, and what it says checked against its content."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest

from tests.report.browsing import content_of, html_of
from tests.report.page_examples import EXAMPLES, LINES

A4_INCHES = {"paperWidth": 21 / 2.54, "paperHeight": 29.7 / 2.54}

DRIVE_EVERYTHING = """
const told = (control) =>
  ["input", "change"].forEach((kind) => control.dispatchEvent(new Event(kind, {bubbles: true})));
let driven = 0;
for (const control of document.querySelectorAll("main select, main input, main button")) {
  if (!control.isConnected || !control.checkVisibility()) continue;  // rows are drawn anew
  driven += 1;
  if (control.tagName === "SELECT" || ["range", "search"].includes(control.type)) {
    const before = control.value;
    const values = control.options ? [...control.options].map((option) => option.value) : ["7", "30"];
    for (const value of [...values.slice(0, 3), values.at(-1), before]) {
      control.value = value;
      told(control);
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
    seen = "parseFloat(getComputedStyle(e).fontSize) * e.ownerSVGElement.getScreenCTM().a"
    sizes = browser.each(".plot svg text", seen)
    assert min(sizes, default=11) >= 11


@pytest.mark.parametrize("name", ["quickstart", "mixed_failures", "thousand_runs"])
def test_a_page_is_small_and_quick(browser, name):
    page = browser.open(name)
    pictures = sum(len(picture.source) for picture in page.interactive.pictures)
    assert len(html_of(name).encode()) - pictures < (3 if len(page.interactive.runs) > 100 else 1.2) * 1e6
    times = []  # ms; the scripts have drawn before the load has ended
    for _ in range(3):  # other tests run beside this one
        browser.open(name)
        browser.wait("return document.readyState === 'complete'")
        times.append(browser.js("return performance.getEntriesByType('navigation')[0].domComplete"))
    assert 0 < min(times) < 2000
    assert len(browser.rows) == min(200, len(page.interactive.runs))


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
    assert browser.value("#metric") == "error"
    assert browser.one("#log-x").is_selected()
    assert not browser.one("#lines label:nth-of-type(1) input").is_selected()
    assert browser.value("#picture-a") == run
    assert browser.one("input[value=phase]").is_selected()


def test_what_an_address_should_not_say_is_ignored(browser):
    browser.open(
        "quickstart",
        "#metric=gone&x=__proto__&constructor=1&split=500&hide=nobody&a=x&sort=-nothing&status=odd&panels=99",
    )
    assert browser.value("#metric") == "residual"
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


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 390)], ids=["light", "dark-phone"])
@pytest.mark.parametrize("name", ["quickstart", "mixed_failures", "all_failed"])
def test_accessible(browser, name, dark, width):
    """axe finds nothing serious, with a row, a sheet of numbers and a tooltip open."""
    axe = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    browser.open(name, dark=dark, width=width)
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
        name = browser.each(
            ":focus",
            "[e.id || e.className, e.matches(':focus-visible') && getComputedStyle(e).outlineStyle]",
        )
        assert all(outline not in (False, "none") for _, outline in name)
        reached.update(label for label, _ in name)
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
    pdf = browser.command("Page.printToPDF", printBackground=True, preferCSSPageSize=True, **A4_INCHES)
    pages = pypdf.PdfReader(io.BytesIO(base64.b64decode(pdf["data"]))).pages
    width, height = pages[0].mediabox.width, pages[0].mediabox.height
    assert (float(width), float(height)) == pytest.approx((595.3, 841.9), abs=1)
    text = re.sub(r"\s+", "", " ".join(page.extract_text() for page in pages))
    assert all(run.run_id in text for run in page.interactive.runs)
    assert re.sub(r"\s+", "", page.study_text) in text
    curves = text[text.index("Convergence") : text.index("Heatmaps")]
    assert all(re.sub(r"\s+", "", line.label) in curves for line in page.interactive.series)
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
