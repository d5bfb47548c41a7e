"""The comparison of images, in a browser: against numpy on the planes of the PNG files."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from ptychosuite.reporting.page_content import Picture

from tests.report.browsing import number
from tests.report.page_examples import TOP

COMPARED = "return document.getElementById('rms').textContent"


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
    for first, second in ((1, 0), (0, 1), (2, 6)):
        browser.choose("#picture-a", pictures[first].run_id or pictures[first].label)
        browser.choose("#picture-b", pictures[second].run_id or pictures[second].label)
        rms, pixels = rms_of(pictures[first], pictures[second], plane)
        told = browser.wait(
            "const told = document.getElementById('rms').textContent;"
            f"return told.includes('{plane}: ') && told.includes('the {pixels:,} pixels') && told"
        )
        assert number(re.findall(r": ([\d.]+)", told)[0]) == pytest.approx(rms, rel=2e-3)


def test_clipped_and_unscanned_pixels_are_marked(browser):
    """In the canvas as in the codes: magenta beyond the scale, hatched grey where nothing was scanned."""
    page = browser.open("quickstart")
    picture = next(picture for picture in page.interactive.pictures if picture.run_id)
    browser.wait(COMPARED)
    pixels = browser.pixels("#canvas-a")
    magnitude, _ = codes_of(picture)
    np.testing.assert_array_equal((pixels == (255, 0, 190)).all(-1), magnitude == 255)
    grey = pixels[..., 0]
    seen = (magnitude > 0) & (magnitude < 255)
    np.testing.assert_allclose(grey[seen], (magnitude[seen] - 1) / 253 * 255, atol=0.51)
    assert set(map(tuple, pixels[magnitude == 0])) == {(138, 146, 155), (180, 186, 193)}
    greys = [(138, 146, 155), (180, 186, 193)]
    hatched = np.any([(browser.pixels("#canvas-difference") == grey).all(-1) for grey in greys], axis=0)
    truth, _ = codes_of(page.interactive.pictures[0])
    np.testing.assert_array_equal(hatched, (magnitude == 0) | (truth == 0))


def test_reach_clips_the_difference_and_says_how_much(browser):
    page = browser.open("quickstart")
    browser.wait(COMPARED)
    browser.choose("#reach", "4")
    reach = 0.04 * TOP
    assert browser.value("#reach-told") == f"± {reach:.3g}"
    a, b = page.interactive.pictures[1], page.interactive.pictures[0]
    one, other = ((np.minimum(codes_of(p)[0], 254).astype(float) - 1) / 253 * TOP for p in (a, b))
    common = (codes_of(a)[0] > 0) & (codes_of(b)[0] > 0)
    beyond = int((np.abs(one - other)[common] > reach * (1 + 1e-9)).sum())
    assert f"{beyond:,} pixels" in browser.text("#legend-difference")


def test_two_pictures_are_compared_in_three_ways(browser):
    browser.open("quickstart")
    browser.wait(COMPARED)
    browser.choose("#split", "20")
    clip = "return getComputedStyle(document.getElementById('canvas-a')).clipPath"
    assert "80%" in browser.js(clip)
    browser.click("input[value=blink]")
    assert browser.js(clip) == "none"
    seen = "return document.querySelector('#pair .stage').classList.contains('second')"
    assert browser.wait(seen, 3) is True
    browser.click("input[value=beside]")
    left, right = browser.each("#pair canvas:not(#scale-pair)", "[e.id, e.getBoundingClientRect().x]")
    assert dict([left, right])["canvas-a"] < dict([left, right])["canvas-b"] - 50
    a, b = (browser.value(f"#picture-{side}") for side in "ab")
    browser.click("#swap")
    assert [browser.value(f"#picture-{side}") for side in "ab"] == [b, a]


def test_a_drag_moves_the_divider(browser):
    from selenium.webdriver import ActionChains

    browser.open("measured")
    browser.wait(COMPARED)
    stage = browser.one("#pair .stage")
    browser.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", stage)
    quarter = int(stage.size["width"] / 4)
    ActionChains(browser.driver).move_to_element(stage).click_and_hold().move_by_offset(
        quarter // 2, 0
    ).move_by_offset(quarter - quarter // 2, 5).release().perform()
    assert int(browser.value("#split")) == pytest.approx(75, abs=1)
    assert not browser.js("return document.querySelector('dialog').open")
    assert browser.address.startswith("#split=7")


def test_a_click_enlarges_and_escape_puts_back(browser):
    browser.open("measured")
    browser.wait(COMPARED)
    for opener in ("#canvas-difference", ".enlarge[data-of=pair]", "#pair .stage"):
        browser.click(opener)
        assert browser.js(
            "return document.querySelector('dialog').open && !!document.querySelector('dialog canvas')"
        )
        browser.one("dialog").send_keys("\ue00c")
        browser.wait(
            "return !document.querySelector('dialog').open && !document.querySelector('dialog canvas')"
        )
    assert browser.each(".views > figure", "e.id") == [
        "pair",
        "difference",
    ]
