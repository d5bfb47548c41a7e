"""Where a run came from."""

from __future__ import annotations

import subprocess

import pytest
from ptychosuite.execute.provenance import environment

from tests.conftest import REPOSITORY


def test_the_commit_is_that_of_the_checkout():
    """Results and baselines say of which commit the code was."""
    if not (REPOSITORY / ".git").exists():
        pytest.skip("this is no git checkout")
    command = ["git", "-C", str(REPOSITORY), "rev-parse", "HEAD"]
    head = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert environment()["git_commit"] == head
    assert environment()["git_dirty"] in (True, False)
