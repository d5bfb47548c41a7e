"""A repository with a stand-in for the package, and a cache folder of the test's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tests.timing import stand_in

T = TypeVar("T")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where checkouts and environments go."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ptychosuite"


@pytest.fixture
def repository(tmp_path: Path, cache: Path) -> Path:
    """The stand-in's repository; nothing in it has changed since ``start``."""
    return stand_in.repository(tmp_path / "repository")


def wait_for(find: Callable[[], T]) -> T:
    """The first answer of ``find`` that is not empty."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = find()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("nothing came")
