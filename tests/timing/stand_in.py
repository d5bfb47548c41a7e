"""A package that stands in for ours in a repository of its own: steps take known times by its clock."""

from __future__ import annotations

import subprocess
from pathlib import Path

EVERY_STEP_S = 1e-3  # by the clock of the stand-in

FILES = {
    "suite/ptychosuite/__init__.py": "",
    "suite/ptychosuite/core/__init__.py": "",
    "suite/ptychosuite/backends/__init__.py": "",
    "suite/ptychosuite/registry/__init__.py": "",
    "suite/ptychosuite/backends/arrays.py": """
import random, sys, time

# What a step takes is what the package says: no other process on this machine has a part in it.
now, scatter = [0.0], random.Random(__file__)
time.perf_counter = lambda: now[0]
sys.modules["__main__"].waited_for_core = lambda: 0.0

def take(seconds):
    now[0] += seconds * scatter.gauss(1.0, 0.01)

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


TAKE = "from ptychosuite.backends.arrays import take\n"


def step(seconds: float = EVERY_STEP_S) -> str:
    """Text of suite/ptychosuite/work.py: a step that takes ``seconds``."""
    return f"{TAKE}def step(state):\n    take({seconds})\n    return state + 1\n"


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
