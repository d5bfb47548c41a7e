"""Fixtures of the tests of sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.study.small import forget_names, use_test_solvers


@pytest.fixture
def broken_solvers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Solvers that go wrong, offered as another package's."""
    with monkeypatch.context() as patch:
        use_test_solvers(tmp_path / "plug-ins", patch)
        yield
    forget_names()
