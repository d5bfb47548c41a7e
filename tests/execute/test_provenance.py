"""Where a run came from."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
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


def test_instructions_tell_processors_of_one_name():
    """Where a processor lacks vector instructions, as one of another generation does, it says others."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    if not found:
        pytest.skip("NumPy has nothing to choose from on this processor")
    script = "from ptychosuite.execute.provenance import environment; print(environment()['instructions'])"
    older = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(found)}
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], env=older, capture_output=True, text=True, check=True
    )
    here = environment()["instructions"].split()
    assert said.stdout.split() == [each for each in here if each not in found]
    assert set(found) <= set(here)
