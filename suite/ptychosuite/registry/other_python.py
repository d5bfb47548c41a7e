"""The Python of another package's environment, where a user has named one, and what is installed there."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

VARIABLE = "PTYCHOSUITE_PEER_PYTHON"
LONGEST_S = 60


def python_of(distribution: str) -> str:
    """The executable that runs a peer: that of its own variable, of the common one, or ours."""
    own = f"{VARIABLE}_{distribution.upper().replace('-', '_')}"
    return os.environ.get(own) or os.environ.get(VARIABLE) or sys.executable


@cache
def version_there(python: str, distribution: str) -> str:
    """Version of a distribution in the environment of ``python``; empty where it has none."""
    program = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"
    command = [python, "-c", program, distribution]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
