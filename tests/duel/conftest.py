"""A repository with a stand-in for the package, and a cache folder of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.duel import stand_in


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where checkouts and environments go."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "ptychosuite"


@pytest.fixture
def repository(tmp_path: Path, cache: Path) -> Path:
    """The stand-in's repository; nothing in it has changed since ``start``."""
    return stand_in.repository(tmp_path / "repository")
