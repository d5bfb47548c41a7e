"""The report's page as text: what the script reads, colours, and that it brings all it needs."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from ptychosuite.reporting.page_content import Curve, Interactive, Run, TextTable
from ptychosuite.reporting.page_html import interactive_json, numeric_columns, on_dark, tint

from tests.report.browsing import html_of
from tests.report.page_examples import HOSTILE, LINES

NOTHING = [None, None]


def curve(x: list[float], alive: list[int], low: list[float | None]) -> Curve:
    return Curve(0, 0, "error", "iteration", x, [1.0, 2.0], low, low, alive, 3, 5)


def read(**content) -> dict:
    return json.loads(interactive_json(Interactive(**content)))


def test_numbers_are_short_and_mean_something():
    """Five digits; whole numbers as they are; what is no number is null."""
    values = [
        1 / 3,
        123456789.0,
        1e-12 / 7,
        float("nan"),
        float("inf"),
        np.float32(0.1),
        np.int64(3),
        None,
        "x",
    ]
    told = read(runs=[Run("id", "completed", 0, 0, values)])["runs"][0]["values"]
    assert told == [0.33333, 123456789, 1.4286e-13, None, None, 0.1, 3, None, "x"]


def test_no_tag_ends_in_the_data():
    text = interactive_json(Interactive(runs=[Run("id", "failed", 0, 0, [], HOSTILE, {"a": {"b": HOSTILE}})]))
    assert "<" not in text
    run = json.loads(text)["runs"][0]
    assert (run["message"], run["settings"]["a"]["b"]) == (HOSTILE, HOSTILE)


def test_abscissae_are_written_once():
    curves = [
        curve([1, 2], [3, 3], NOTHING),
        curve([1, 2], [3, 2], [0.5, None]),
        curve([1, 3], [3, 3], NOTHING),
    ]
    told = read(curves=curves)
    assert told["xs"] == [[1, 2], [1, 3]]
    assert [one["x"] for one in told["curves"]] == [0, 0, 1]
    assert [one["alive"] for one in told["curves"]] == [3, [3, 2], 3]
    assert [one["low"] for one in told["curves"]] == [None, [0.5, None], None]


def contrast(colour: str, ground: str) -> float:
    """WCAG's, written anew."""
    luminances = []
    for text in (colour, ground):
        parts = np.array([int(text[place : place + 2], 16) for place in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        luminances.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    return (max(luminances) + 0.05) / (min(luminances) + 0.05)


@pytest.mark.parametrize("colour", [*(line.colour for line in LINES), "#000000", "#ffffff"])
def test_lines_are_seen_on_a_dark_page(colour):
    assert contrast(on_dark(colour), "#12161b") >= 4.4
    assert on_dark("#ffffff") == "#ffffff"


@pytest.mark.parametrize("shade", [0, 0.3, 1])
def test_text_is_read_on_every_shade(shade):
    light, dark = re.findall("#[0-9a-f]{6}", tint(shade))
    assert contrast(light, "#1a1f26") >= 4.5
    assert contrast(dark, "#e4e8ec") >= 4.5


def test_columns_of_numbers_are_found():
    rows = [["rPIE", "3 of 3", "73.2 (71 to 75)", "", "−1e-3"], ["MAGPIE 7", "0 of 3", "–", "", "< 5"]]
    assert numeric_columns(TextTable(["a"] * 5, rows)) == {1, 2, 3, 4}


def test_nothing_is_fetched():
    """No address that a browser would ask, beside links to files and names of XML."""
    page = html_of("quickstart")
    for attribute in re.findall(
        r"""<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)=["']?([^"'\s>]*)""", page
    ):
        assert attribute.startswith("data:")
    assert "sourceMappingURL" not in page
    assert not re.search(r"@import|url\(\s*[\"']?https?:", page)
    assert "default-src 'none'" in page
