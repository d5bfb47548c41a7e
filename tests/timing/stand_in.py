"""A package that stands in for ours in a repository of its own: a step takes a known amount of work."""

from __future__ import annotations

import subprocess
from pathlib import Path

EVERY_STEP = 20_000  # turns of a loop, half a millisecond or so

FILES = {
    "suite/ptychosuite/__init__.py": "",
    "suite/ptychosuite/core/__init__.py": "",
    "suite/ptychosuite/backends/__init__.py": "",
    "suite/ptychosuite/registry/__init__.py": "",
    "suite/ptychosuite/backends/arrays.py": """
class Backend:
    name = "numpy"
    def synchronise(self): pass
    def device_description(self): return {}

def backend(name):
    return Backend()
""",
    "suite/ptychosuite/core/runs.py": """
class RunSpec:
    @classmethod
    def from_dict(cls, data):
        spec = cls()
        spec.__dict__.update(data)
        return spec
    def rng(self, purpose): return None
""",
    "suite/ptychosuite/registry/lookup.py": """
from ptychosuite.work import step

class Solver:
    def init(self, problem): return 0
    def step(self, problem, state, rng): return step(state)

def build(group, settings):
    return Solver()
""",
    "suite/ptychosuite/problems/__init__.py": "",
    "suite/ptychosuite/problems/build.py": "def build_problem(spec, backend): return None\n",
}


def step(work: int = EVERY_STEP) -> str:
    """Text of suite/ptychosuite/work.py: a step that takes ``work``."""
    return f"def step(state):\n    for _ in range({work}):\n        pass\n    return state + 1\n"


def repository(folder: Path) -> Path:
    """A git repository whose first commit, tagged ``start``, has the package."""
    for name, text in {**FILES, "suite/ptychosuite/work.py": step()}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "--quiet")
    commit(folder)
    git(folder, "tag", "start")
    return folder


def commit(folder: Path) -> None:
    """Commit all files as they are."""
    git(folder, "add", "--all")
    author = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    git(folder, *author, "commit", "--quiet", "--allow-empty", "--message", "test")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
