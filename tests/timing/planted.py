"""The package in a repository of its own, and slowdowns planted in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.timing import stand_in

REPOSITORY = Path(__file__).resolve().parents[2]
SLOWER = """

def _slower(step):
    from time import thread_time

    def slow_step(self, problem, state, rng):
        begin = thread_time()
        after = step(self, problem, state, rng)
        end = begin + {factor} * (thread_time() - begin)
        while thread_time() < end:
            pass
        return after

    return slow_step


{solver}.step = _slower({solver}.step)
"""


def repository(folder: Path) -> Path:
    """A copy of the package as it is, committed and tagged ``start``."""
    shutil.copytree(REPOSITORY / "suite", folder / "suite", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, folder / name)
    stand_in.git(folder, "init", "--quiet")
    stand_in.commit(folder)
    stand_in.git(folder, "tag", "start")
    return folder


def make_slower(folder: Path, module: str, solver: str, factor: float) -> None:
    """Let each step of the class ``solver`` in solvers/``module``.py take ``factor`` times as long."""
    with (folder / "suite" / "ptychosuite" / "solvers" / f"{module}.py").open("a") as source:
        source.write(SLOWER.format(solver=solver, factor=factor))
    stand_in.commit(folder)
