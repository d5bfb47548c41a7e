"""What it costs an iteration when memory that it has freed goes back to the system.

    python benchmarks/allocator.py [--rounds 15]

Every solver, one thread, 49 patterns of 128 x 128, in four processes, one after the other: with the C
library's own settings and with those that Dask gives its workers, each left alone and told to keep freed
memory, as runs are carried out (``ptychosuite.backends.allocator``). Figures are lower quartiles and page
faults an iteration; they go, with the machine's description, to benchmarks/results/allocator.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from ptychosuite.backends.allocator import VARIABLES, keep_freed_memory
from ptychosuite.backends.arrays import backend
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from speed import SOLVERS, discard
from threadpoolctl import threadpool_limits
from timing import Action, machine, make_problem, stepper, write

OF_DASK = {"MALLOC_TRIM_THRESHOLD_": "65536"}  # distributed.nanny.pre-spawn-environ
SETTINGS: Mapping[str, tuple[dict[str, str], bool]] = {
    "as glibc has it": ({}, False),
    "as glibc has it, kept": ({}, True),
    "as Dask has it": (OF_DASK, False),
    "as Dask has it, kept": (OF_DASK, True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="iterations of each solver")
    parser.add_argument("--keep", action=argparse.BooleanOptionalAction, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.keep is not None:  # one of the four processes
        print(json.dumps(measured(options.rounds, options.keep)))
        return
    found = {name: of_process(options.rounds, *each) for name, each in SETTINGS.items()}
    show(found)
    print(write("allocator", {"machine": machine(), "found": found}))


def of_process(rounds: int, variables: Mapping[str, str], keep: bool) -> dict[str, Any]:
    """What a process with these environment variables has measured."""
    others = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    command = [sys.executable, __file__, "--rounds", str(rounds), "--keep" if keep else "--no-keep"]
    ended = subprocess.run(command, env={**others, **variables}, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def measured(rounds: int, keep: bool) -> dict[str, Any]:
    """Milliseconds and page faults of an iteration of each solver, in this process."""
    if keep:
        keep_freed_memory()
    problem = make_problem(7, 128, "complex64", backend("numpy"))
    constants = DataConstants.of(problem)
    actions = {label: stepper(problem, settings) for label, settings in SOLVERS.items()}
    actions["metrics"] = lambda: discard(
        misfit_metrics(problem, problem.start_object, problem.probe, constants)
    )
    with threadpool_limits(limits=1):
        return {label: cost(action, rounds) for label, action in actions.items()}


def cost(action: Action, rounds: int) -> dict[str, float]:
    action(), action()
    before, seconds = _faults(), []
    for _ in range(rounds):
        begin = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - begin)
    faults = (_faults() - before) / rounds
    return {"ms": 1e3 * float(np.quantile(seconds, 0.25)), "page_faults": faults}


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def show(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    print(f"{'ms (page faults)':24}" + "".join(f"{name:>24}" for name in found))
    for label in next(iter(found.values())):
        each = (f"{of[label]['ms']:.1f} ({of[label]['page_faults']:.0f})" for of in found.values())
        print(f"{label:24}" + "".join(f"{text:>24}" for text in each))


if __name__ == "__main__":
    main()
