"""What the suite costs beside the solver: start-up and milliseconds a run, beside benchopt's.

    python benchmarks/overhead.py [--runs 200 1000] [--benchopt PYTHON] [--json FILE]

The solver does nothing, the problem is tiny; all that is measured is ours: sending runs out, simulating,
metrics, provenance, writing, the dataset at the end. Two local workers, a fresh results folder each time. Two
sweeps of different length are timed from outside, the best of three each; the slope between them is the cost
of a run, the rest is start-up.

``--benchopt`` names a Python that has benchopt and dask[distributed]; as many runs of a solver that does
nothing go through its Dask backend on as many workers, right after ours.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from timing import machine

WORKERS = 2
REPEATS = 3
RESULTS = Path(__file__).parent / "results" / "overhead.json"

IDLE_SOLVER = '''
from dataclasses import dataclass, replace

from ptychosuite.solvers.pie import RPIE
from ptychosuite.solvers.solver import Solver


@dataclass(frozen=True)
class Idle(Solver):
    """Does nothing; ``number`` tells runs apart."""

    number: int = 0

    def init(self, problem):
        return RPIE().init(problem)

    def step(self, problem, state, rng):
        return replace(state, data_passes=state.data_passes + 1)
'''
STUDY = """\
study: idle
problem: {object: {kind: texture, size: 32}, probe: {kind: gaussian, size: 16, fwhm_px: 6}}
stop: {iterations: 1}
solver: idle
axes: {solver.number: {range: %d}}
"""
BENCHOPT = {
    "objective.py": """
from benchopt import BaseObjective


class Objective(BaseObjective):
    name = "idle"
    min_benchopt_version = "1.0"

    def set_data(self, x):
        self.x = x

    def get_objective(self):
        return {"x": self.x}

    def evaluate_result(self, y):
        return {"value": 0.0}

    def get_one_result(self):
        return {"y": 0.0}
""",
    "datasets/tiny.py": """
from benchopt import BaseDataset


class Dataset(BaseDataset):
    name = "tiny"

    def get_data(self):
        return {"x": 0.0}
""",
    "solvers/idle.py": """
from benchopt import BaseSolver


class Solver(BaseSolver):
    name = "idle"
    sampling_strategy = "run_once"
    parameters = {"number": list(range(RUNS))}

    def set_objective(self, x):
        self.x = x

    def run(self, _):
        pass

    def get_result(self):
        return {"y": 0.0}
""",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs=2, default=(200, 1000), help="lengths of the two sweeps")
    parser.add_argument(
        "--benchopt", metavar="PYTHON", help="a Python that has benchopt and dask[distributed]"
    )
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE")
    options = parser.parse_args()

    programs: dict[str, Callable[[int, Path], list[str]]] = {"ptychosuite": ours}
    if options.benchopt:
        programs["benchopt"] = lambda runs, folder: theirs(options.benchopt, runs, folder)
    seconds = {
        name: [min(timed(program, runs) for _ in range(REPEATS)) for runs in options.runs]
        for name, program in programs.items()
    }
    figures = {name: cost(options.runs, values) for name, values in seconds.items()}
    print(f"{WORKERS} local workers, {options.runs[0]} and {options.runs[1]} runs that do nothing")
    for name, (start, run) in figures.items():
        print(f"{name:12} start-up {start:5.2f} s, {1e3 * run:6.2f} ms a run")
    content = {
        "workers": WORKERS,
        "runs": options.runs,
        "machine": machine(),
        "seconds": seconds,
        "start_up_seconds": {name: start for name, (start, _) in figures.items()},
        "seconds_a_run": {name: run for name, (_, run) in figures.items()},
    }
    options.json.write_text(json.dumps(content, indent=1))


def timed(program: Callable[[int, Path], list[str]], runs: int) -> float:
    """Wall-clock seconds of one sweep, from the command to its return."""
    with tempfile.TemporaryDirectory() as folder:
        command = program(runs, Path(folder))
        search = os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])
        begin = time.perf_counter()
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, "PYTHONPATH": search}, capture_output=True, text=True
        )
        seconds = time.perf_counter() - begin
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return seconds


def cost(runs: tuple[int, int], seconds: list[float]) -> tuple[float, float]:
    """Start-up in seconds, and seconds a run."""
    slope = (seconds[1] - seconds[0]) / (runs[1] - runs[0])
    return seconds[0] - slope * runs[0], slope


def ours(runs: int, folder: Path) -> list[str]:
    """The command of a sweep with the suite; the idle solver comes as another package's."""
    (folder / "idle_solver.py").write_text(IDLE_SOLVER)
    package = folder / "idle_solver-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: idle-solver\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[ptychosuite.solvers]\nidle = idle_solver:Idle\n")
    (folder / "idle.yaml").write_text(STUDY % runs)
    return [sys.executable, "-m", "ptychosuite.cli", "run", "idle.yaml", "--workers", str(WORKERS)]


def theirs(python: str, runs: int, folder: Path) -> list[str]:
    """The command of the same sweep with benchopt on Dask."""
    for name, text in BENCHOPT.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text.replace("RUNS", str(runs)))
    (folder / "dask.yml").write_text(f"backend: dask\ndask_n_workers: {WORKERS}\n")
    return [python, "-m", "benchopt", "run", str(folder), "--parallel-config", "dask.yml", "--no-plot",
            "--no-display"]  # fmt: skip


if __name__ == "__main__":
    main()
