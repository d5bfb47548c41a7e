"""The report's page as one file: its content, its data, its style and its script."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib.resources import files
from numbers import Integral, Real
from typing import Any

from markupsafe import Markup
from matplotlib.colors import to_hex, to_rgb

from ptychosuite.reporting.page_content import Interactive, PageContent, TextTable
from ptychosuite.reporting.style import render

SIGNIFICANT_DIGITS = 5

# What heat maps run between, from the worst to the best, on light and on dark: text is readable on all of it
LIGHT_SHADES = ("#ffffff", "#7cb8e4")
DARK_SHADES = ("#171c22", "#145485")

DARK_PAPER_LUMINANCE = 0.008
LEAST_CONTRAST = 4.5  # of a line on its ground; WCAG 2.2 asks for 3 in 1.4.11, and lines are thin


def page_html(content: PageContent) -> str:
    """The page, self-contained: it asks nobody for anything. What is no character becomes a question mark."""
    page: str = render(
        "report.html.j2",
        page=content,
        data=Markup(interactive_json(content.interactive)),
        script=_script,
        tint=tint,
        on_dark=on_dark,
        numeric_columns=numeric_columns,
    )
    return page.encode("utf-8", "replace").decode()


def interactive_json(interactive: Interactive) -> str:
    """What the page's script reads.

    Curves name their abscissae by their place in ``xs``, where each is written once; a list that has nothing
    but None is null, and ``alive`` is a single number where it never changes. No tag can end in it.
    """
    plain = _plain(interactive)
    places: dict[tuple[float, ...], int] = {}
    for curve in plain["curves"]:
        curve["x"] = places.setdefault(tuple(curve["x"]), len(places))
        for name in ("low", "high"):
            if all(value is None for value in curve[name]):
                curve[name] = None
        if len(set(curve["alive"])) == 1:
            curve["alive"] = curve["alive"][0]
    plain["xs"] = list(places)
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def tint(shade: float) -> str:
    """CSS colour of a heat map's cell, from 0, the worst, to 1, the best."""
    light, dark = (_between(*ends, shade) for ends in (LIGHT_SHADES, DARK_SHADES))
    return f"light-dark({light}, {dark})"


def on_dark(colour: str) -> str:
    """``colour``, as much lighter as it takes to be seen on a dark page."""
    for step in range(21):
        lighter = _between(colour, "#ffffff", step / 20)
        if (_luminance(lighter) + 0.05) / (DARK_PAPER_LUMINANCE + 0.05) >= LEAST_CONTRAST:
            return lighter
    return "#ffffff"


def numeric_columns(table: TextTable) -> set[int]:
    """Places of the columns that hold numbers, "3 of 5" and "1.2 (1.1 to 1.4)" as well."""
    columns = enumerate(zip(*table.rows, strict=True))
    return {
        place
        for place, cells in columns
        if all(re.match(r"[-−+<>≤≥~±–]*\s*\d|[-−–]?$", cell) for cell in cells)
    }


def _between(start: str, end: str, place: float) -> str:
    pairs = zip(to_rgb(start), to_rgb(end), strict=True)
    red, green, blue = (a + (b - a) * place for a, b in pairs)
    return to_hex((red, green, blue))


def _luminance(colour: str) -> float:
    """Relative luminance, as WCAG defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _script(name: str) -> Markup:
    """The script ``name``, "vendor/d3.min.js" or "templates/report/runs.js", as it stands."""
    text = (files("ptychosuite.reporting") / name).read_text(encoding="utf-8")
    return Markup(text.replace("</script", "<\\/script"))


def _plain(value: Any) -> Any:
    """Numbers that mean nothing become None, and what JSON does not know its text."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return _rounded(float(value))
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    try:
        return [_plain(entry) for entry in value]
    except TypeError:
        return str(value)


def _rounded(value: float) -> float | int | None:
    if not math.isfinite(value):
        return None
    return (
        int(value) if value.is_integer() and abs(value) < 1e15 else float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    )
