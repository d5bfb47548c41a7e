"""A real browser that shows the pages of :mod:`tests.report.page_examples`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np
from ptychosuite.reporting.page_content import PageContent
from ptychosuite.reporting.page_html import page_html

from tests.report.page_examples import EXAMPLES


@cache
def content_of(name: str) -> PageContent:
    return EXAMPLES[name]()


@cache
def html_of(name: str) -> str:
    return page_html(content_of(name))


def number(text: str) -> float:
    """Of what the page writes: "1.5 × 10⁻⁶" and "−3" as well."""
    plain = text.replace("−", "-")
    mantissa, _, power = plain.partition(" × ")
    if plain.startswith("10") and not plain[2:3].isascii():
        mantissa, power = "1", plain
    exponent = power[2:].translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-"))
    return float(mantissa) * 10.0 ** int(exponent or 0)


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
        self.show(file, address, width, dark, media)
        return content_of(name)

    def show(
        self, file: Path, address: str = "", width: int = 1280, dark: bool = False, media: str = ""
    ) -> None:
        """Show a page that is there."""
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

    def command(self, name: str, **arguments: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, arguments)

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def each(self, selector: str, expression: str, *arguments: Any) -> list[Any]:
        """The JavaScript ``expression`` of every element ``e`` that ``selector`` finds."""
        script = f"return [...document.querySelectorAll(arguments[0])].map((e) => {expression})"
        return self.js(script, selector, *arguments)

    def texts(self, selector: str) -> list[str]:
        return self.each(selector, "e.textContent")

    def value(self, selector: str) -> str:
        return self.each(selector, "e.value")[0]

    def pixels(self, selector: str) -> np.ndarray:
        """Of a canvas: (height, width, 3)."""
        data = "[e.height, e.width, [...e.getContext('2d').getImageData(0, 0, e.width, e.height).data]]"
        height, width, values = self.each(selector, data)[0]
        return np.array(values, np.uint8).reshape(height, width, 4)[..., :3]

    def text(self, selector: str) -> str:
        """What stands there, seen or not."""
        return self.js("return document.querySelector(arguments[0]).textContent", selector).strip()

    def click(self, selector: str) -> None:
        self.js("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", self.one(selector))
        self.one(selector).click()

    def choose(self, selector: str, value: str) -> None:
        """Set a select, a slider or a field, as a hand does: with the events of it."""
        self.js(
            "const control = document.querySelector(arguments[0]); control.value = arguments[1];"
            "for (const kind of ['input', 'change']) control.dispatchEvent(new Event(kind, {bubbles: true}))",
            selector,
            value,
        )

    def wait(self, script: str, seconds: float = 20) -> Any:
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
        cells = "[...e.cells].map((cell) => cell.textContent.trim())"
        return self.each("#runs-table tbody tr:not(.details)", cells)

    def complaints(self) -> list[str]:
        """What the browser's console has to say since the page was opened."""
        return [f"{entry['level']}: {entry['message']}" for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """What the page has asked for, beside what it brings itself."""
        asked = self.js("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        return [address for address in asked if not address.startswith(("data:", "blob:"))]
