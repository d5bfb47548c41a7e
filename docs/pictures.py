"""The pictures of the README and of docs/: drawn from the studies, into reports/reference.

    python docs/pictures.py [--run] [--results results] [--out reports/reference] [PICTURE ...]

To be called in the repository's folder. ``--run`` computes first what is missing of their studies, in some
ten minutes on two cores. Without it, what has results is drawn and the rest is named. ``make figures`` does
this behind the papers' figures.

``pictures.json`` beside the pictures says of each what it was drawn from; tests/report/test_pictures.py
compares that with what there is, and names the pictures that are to be drawn anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import ptychosuite
from PIL import Image
from ptychosuite.errors import UserError

REPOSITORY = Path(__file__).resolve().parents[1]
REFERENCE = REPOSITORY / "reports" / "reference"
RECORD = "pictures.json"
REPORTING = REPOSITORY / "suite" / "ptychosuite" / "reporting"
FIGURE_SOURCES = (
    "figures/*.py",
    "style.py",
    "series.py",
    "legend.py",
    "log_axes.py",
    "panels.py",
    "photographs.py",
    "drawing.py",
)
PAGE_SOURCES = (
    *FIGURE_SOURCES, "page*.py", "overview.py", "origin.py", "interactive.py", "comparer_pictures.py",
    "templates/style.css", "templates/report.html.j2", "templates/report/*", "vendor/*.js",
)  # fmt: skip
PAGE_WIDTH, MOST_PIXELS = 1150, 1600  # of the screenshot
WIDEST_PIXELS = 1000  # of a figure


@dataclass(frozen=True)
class Picture:
    """A picture, and where it is from.

    Parameters
    ----------
    study
        Path of its study below studies/.
    figure
        Key of the figure that it is; None where it is the beginning of the report's page.
    settings
        Overrides of the study.
    needs
        Environment variable without which the study cannot be planned, and the picture stays as it is.
    """

    name: str
    study: str
    figure: str | None
    settings: Sequence[str] = ()
    needs: str = ""

    @property
    def file(self) -> str:
        return f"{self.name}.png"

    @property
    def path(self) -> Path:
        return REPOSITORY / "studies" / self.study

    def origin(self) -> dict[str, Any]:
        """What it is drawn from: the study, and hashes of all that has a say in how it looks."""
        return {
            "study": f"studies/{self.study}",
            "settings": list(self.settings),
            "figure": self.figure,
            "study_sha256": sha256([self.path]),
            "drawing_sha256": sha256(sources(PAGE_SOURCES if self.figure is None else FIGURE_SOURCES)),
        }


PICTURES = (
    Picture("quickstart", "quickstart.yaml", None),
    Picture("blind-phase-rmse", "blind.yaml", "phase-rmse", ["problem.noise=[0.05]"]),
    Picture("siemens-star", "measured/siemens-star.yaml", "images", needs="PTYCHOSUITE_DATA"),
    Picture("siemens-star-rings", "measured/siemens-star.yaml", "rings", needs="PTYCHOSUITE_DATA"),
)


def sources(patterns: Sequence[str]) -> list[Path]:
    return sorted({file for pattern in patterns for file in REPORTING.glob(pattern) if file.is_file()})


def sha256(files: Sequence[Path]) -> str:
    """Of files with their names."""
    found = hashlib.sha256()
    for file in files:
        found.update(f"{file.relative_to(REPOSITORY)}\n".encode() + file.read_bytes() + b"\0")
    return found.hexdigest()


def record(folder: Path) -> dict[str, Any]:
    """Picture -> what it was drawn from."""
    file = folder / RECORD
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


def stale(folder: Path = REFERENCE) -> dict[str, str]:
    """Pictures in ``folder`` that are to be drawn anew, and why."""
    found = {}
    known = record(folder)
    for picture in PICTURES:
        noted, origin = known.get(picture.name, {}), picture.origin()
        changed = [name.removesuffix("_sha256") for name in origin if noted.get(name) != origin[name]]
        file = folder / picture.file
        if not file.exists():
            found[picture.name] = "it is not there"
        elif hashlib.sha256(file.read_bytes()).hexdigest() != noted.get("picture_sha256"):
            found[picture.name] = "it is not the picture that was drawn"
        elif changed:
            found[picture.name] = f"changed since: {', '.join(changed)}"
    return found


def draw(picture: Picture, results: Path, scratch: Path, run: bool) -> Path:
    """The picture as a file in ``scratch``.

    Raises
    ------
    UserError
        There are no results, or not all of them.
    """
    planned = ptychosuite.plan(picture.path, list(picture.settings), results=results)
    if planned.remaining and not run:
        raise UserError(f"{len(planned.remaining)} runs of {picture.path.name} are to do; --run does them")
    if planned.remaining:
        ptychosuite.run(picture.path, list(picture.settings), results=results)
    if picture.figure is None:
        page = ptychosuite.report(picture.path, picture.settings, results=results, out=scratch)
        return screenshot(page, scratch / picture.file)
    figures = _figures(picture.path, tuple(picture.settings), results, scratch)
    return small(figures / f"{picture.figure}.png", scratch / picture.file)


def keep(picture: Picture, drawn: Path, out: Path) -> Path:
    """Put it into ``out``, with a note of where it is from."""
    out.mkdir(parents=True, exist_ok=True)
    content = drawn.read_bytes()
    (out / picture.file).write_bytes(content)
    noted = picture.origin() | {"picture_sha256": hashlib.sha256(content).hexdigest()}
    text = json.dumps(dict(sorted((record(out) | {picture.name: noted}).items())), indent=1)
    (out / RECORD).write_text(f"{text}\n", encoding="utf-8")
    return out / picture.file


def small(printed: Path, target: Path) -> Path:
    """A printed figure for the screen: narrower, and in a palette of its own."""
    with Image.open(printed) as image:
        shown = image.convert("RGB")
        shown.thumbnail((WIDEST_PIXELS, shown.height), Image.Resampling.LANCZOS)
        shown.quantize(256).save(target, optimize=True)
    return target


@cache
def _figures(study: Path, settings: Sequence[str], results: Path, scratch: Path) -> Path:
    """Once for all pictures of a study."""
    return ptychosuite.figures(study, list(settings), results=results, out=scratch).path / "figures"


def screenshot(page: Path, target: Path) -> Path:
    """The beginning of ``page``, down to where the curves end.

    Raises
    ------
    UserError
        There is no Chromium, or no selenium, to show it.
    """
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    try:
        from selenium import webdriver
    except ImportError:
        browser = None
    if not browser or not driver:
        raise UserError("a screenshot needs chromium, chromedriver and the Python package selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    shown = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        view = {"width": PAGE_WIDTH, "height": MOST_PIXELS, "deviceScaleFactor": 1, "mobile": False}
        shown.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", view)
        light = [{"name": "prefers-color-scheme", "value": "light"}]
        shown.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": light})
        shown.get(page.resolve().as_uri())
        end = shown.execute_script(END_OF_CURVES)
        view["height"] = min(MOST_PIXELS, int(end) + 12)
        shown.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", view)
        shown.save_screenshot(str(target))
    finally:
        shown.quit()
    return target


END_OF_CURVES = "return document.querySelector('#convergence').getBoundingClientRect().bottom + scrollY"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    names = [picture.name for picture in PICTURES]
    parser.add_argument("pictures", nargs="*", metavar="PICTURE", help=f"{', '.join(names)}; all by default")
    parser.add_argument("--run", action="store_true", help="compute what is missing")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, default=Path("reports/reference"))
    asked = parser.parse_args()
    if unknown := set(asked.pictures) - set(names):
        parser.error(f"found {', '.join(sorted(unknown))}; expected {', '.join(names)}")
    chosen = [picture for picture in PICTURES if picture.name in (asked.pictures or names)]
    missing = 0
    with tempfile.TemporaryDirectory() as scratch:
        for picture in chosen:
            if picture.needs and picture.needs not in os.environ:
                print(f"{picture.file} stays as it is: {picture.needs} names no folder with its data")
                continue
            try:
                drawn = draw(picture, asked.results, Path(scratch), asked.run)
                print(keep(picture, drawn, asked.out))
            except UserError as error:
                missing += 1
                print(f"{picture.file}: not drawn: {error}", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
