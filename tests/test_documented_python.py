"""The examples of docs/api.md do what is said beside them."""

from __future__ import annotations

import re

import ptychosuite

from tests.conftest import REPOSITORY

BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
PAGE = REPOSITORY / "docs" / "api.md"


def carry_out(text: str) -> None:
    """Run the Python blocks of a page one after the other, as one program."""
    program = "\n".join(BLOCK.findall(text))
    assert program
    exec(compile(program, "example", "exec"), {})


def test_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    carry_out(PAGE.read_text())


def test_page_shows_every_function():
    """Every public function stands on the page."""
    text = PAGE.read_text()
    for name in ptychosuite.__all__:
        assert name[0].isupper() or f"ptychosuite.{name}(" in text, name
