"""A package that stands in for ``suite`` in a repository of its own: a step takes a known amount of work."""

from __future__ import annotations

import subprocess
from pathlib import Path

EVERY_STEP = 20_000  # turns of a loop, half a millisecond or so

FILES = {
    "suite/__init__.py": "",
    "suite/core/__init__.py": "",
    "suite/core/arrays.py": """
class Backend:
    name = "numpy"
    def synchronise(self): pass
    def device_description(self): return {}

def backend(name):
    return Backend()
""",
    "suite/core/run.py": """
class RunSpec:
    @classmethod
    def from_dict(cls, data):
        spec = cls()
        spec.__dict__.update(data)
        return spec
    def rng(self, purpose): return None
""",
    "suite/core/registry.py": """
from suite.work import step

class Solver:
    def init(self, problem): return 0
    def step(self, problem, state, rng): return step(state)

def build(group, settings):
    return Solver()
""",
    "suite/problems/__init__.py": "",
    "suite/problems/build.py": "def build_problem(spec, backend): return None\n",
}


def step(work: int = EVERY_STEP) -> str:
    """Text of suite/work.py: a step that takes ``work``."""
    return f"def step(state):\n    for _ in range({work}):\n        pass\n    return state + 1\n"


def repository(folder: Path) -> Path:
    """A git repository whose first commit, tagged ``start``, has the package."""
    for name, text in {**FILES, "suite/work.py": step()}.items():
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
