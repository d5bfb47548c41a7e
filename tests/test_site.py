"""The documentation site is built, strictly; what is made from the code is all there."""

from __future__ import annotations

import html
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ptychosuite
import pytest
from ptychosuite.cli import COMMANDS
from ptychosuite.registry.lookup import GROUPS

from tests.conftest import REPOSITORY

HAS_MKDOCS = all(importlib.util.find_spec(name) for name in ("mkdocs", "material", "mkdocstrings"))
ELSEWHERE = re.compile(r"<(?:script|img|iframe|source)[^>]*\ssrc=\"?(?:https?:)?//|url\((?:https?:)?//")


def build(folder: Path) -> None:
    """The site, as ``make site`` builds it."""
    call = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        call,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert built.returncode == 0, built.stdout + built.stderr


def words_of(page: Path) -> str:
    """What a page says, in one line."""
    text = re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8"))
    return " ".join(html.unescape(text).split())


def headings(page: Path) -> list[str]:
    found = re.findall(r"<h[23] [^>]*>(.*?)</h[23]>", page.read_text(encoding="utf-8"), re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]+>|&para;", "", each)).strip() for each in found]


def every_noun_has_a_section(site: Path) -> None:
    for group in ("solvers", "objects", "probes", "scans", "operators", "figures"):
        assert set(GROUPS[group].built_in) <= set(headings(site / "reference" / f"{group}.html"))


def every_command_has_a_section(site: Path) -> None:
    assert set(COMMANDS) <= set(headings(site / "reference" / "commands.html"))


def every_public_name_has_a_section_that_says_what_it_is(site: Path) -> None:
    page = site / "reference" / "python.html"
    text = words_of(page)
    for name in ptychosuite.__all__:
        assert f"ptychosuite.{name}" in headings(page)
        first = (getattr(ptychosuite, name).__doc__ or "").split(".")[0].split(":")[0].split("`")[0]
        assert " ".join(first.split()) in text, name


def every_metric_is_in_the_table(site: Path) -> None:
    text = words_of(site / "reference" / "metrics.html")
    assert all(name in text for name in GROUPS["metrics"].built_in)


def fields(schema: Any) -> Iterator[tuple[str, str]]:
    """All fields below ``schema``, with what they mean."""
    if isinstance(schema, dict):
        for name, field in schema.get("properties", {}).items():
            if "const" not in field and "pattern" not in field:
                yield name, field.get("description", "")
        schema = list(schema.values())
    if isinstance(schema, list):
        for each in schema:
            yield from fields(each)


def every_field_of_a_study_is_told(site: Path) -> None:
    """With its meaning, on the page of the study file or that of its noun."""
    pages = ("study-file", "solvers", "objects", "probes", "scans", "operators", "figures")
    text = " ".join(words_of(site / "reference" / f"{page}.html") for page in pages)
    schema = ptychosuite.schema()["properties"]
    schema["tune"]["properties"]["over"].pop("oneOf")  # dotted paths
    told = {(name, " ".join(meaning.replace("`", "").split())) for name, meaning in fields(schema) if meaning}
    assert len(told) > 200
    missing = [name for name, meaning in told if meaning not in text]
    assert not missing


IN_THE_SECTIONS_OWN_EXAMPLE = {"over", "stages", "tolerance", "values"}  # too long for a line


def every_field_has_an_example(site: Path) -> None:
    """A line of YAML at the end of its meaning."""
    for page in ("study-file", "solvers", "objects", "probes", "scans", "operators", "figures"):
        text = (site / "reference" / f"{page}.html").read_text(encoding="utf-8")
        for table in re.findall(r"<div class=\"?stacked\"?>.*?</div>", text, re.DOTALL):
            for row in re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL)[1:]:
                cells = [
                    html.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in row.split("<td>")[1:]
                ]
                name, meaning = cells[0], cells[-1]
                assert f"{name}: " in meaning or name in IN_THE_SECTIONS_OWN_EXAMPLE, (page, name)


def nothing_is_loaded_from_elsewhere(site: Path) -> None:
    """Search as well works from a folder without a network."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not ELSEWHERE.search(text), page
        assert not re.search(r"<link[^>]*rel=\"?stylesheet\"?[^>]*https?://", text), page
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    found = {entry["location"].split("#")[0] for entry in index["docs"]}
    assert {"tutorial.html", "data.html", "reference/solvers.html"} <= found
    assert (site / "search" / "search_index.js").is_file()  # for pages that are opened as files


def pages_say_the_same_in_the_repository(site: Path) -> None:
    """No page is left out, and pictures outside the docs are there."""
    for page in (REPOSITORY / "docs").glob("*.md"):
        assert (site / f"{page.stem}.html").is_file(), page
    shown = set(re.findall(r"<img [^>]*src=\"([^\"]+)\"", (site / "index.html").read_text()))
    assert any(each.endswith("quickstart.png") and (site / each).is_file() for each in shown)


@pytest.mark.skipif(not HAS_MKDOCS, reason="the extra 'docs' is not installed: `make site`")
def test_site(tmp_path):
    """Built once; each of these looks at it."""
    build(tmp_path)
    every_noun_has_a_section(tmp_path)
    every_command_has_a_section(tmp_path)
    every_public_name_has_a_section_that_says_what_it_is(tmp_path)
    every_metric_is_in_the_table(tmp_path)
    every_field_of_a_study_is_told(tmp_path)
    every_field_has_an_example(tmp_path)
    nothing_is_loaded_from_elsewhere(tmp_path)
    pages_say_the_same_in_the_repository(tmp_path)


def test_links_of_the_repository_lead_somewhere():
    """Also in the files at the top, which are read there alone."""
    pages = [
        *REPOSITORY.glob("*.md"),
        *(REPOSITORY / "docs").glob("*.md"),
        REPOSITORY / "results" / "README.md",
    ]
    for page in pages:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s#:]+)(?:#[^)]*)?\)", text):
            assert Path(page.parent, target).exists(), (page.name, target)
