"""What an iteration and its memory cost as a scan, its patterns and the modes of its probe grow.

    python benchmarks/scale.py [--axes positions,probe,modes] [--backend numpy] [--rounds 3]

Each size is a process of its own, one thread, complex64. Figures are the shortest of some iterations, and the
most memory that the process held beyond what it had before the problem was there; they go, with the machine's
description, to benchmarks/results/scale.json. What has a last column above 1 grows faster than the size.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from ptychosuite.backends.arrays import backend
from ptychosuite.core.problem import Problem
from ptychosuite.execute.provenance import peak_host_bytes, reset_peak_host
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from speed import discard
from timing import Action, machine, make_problem, stepper, threads, write

BLIND = {"update_probe": True}
SOLVERS: Mapping[str, dict[str, Any]] = {
    "rPIE": {"name": "rpie"},
    "MAGPIE, 6 levels": {"name": "magpie", "levels": 6},
    "ePIE, blind": {"name": "epie", **BLIND},
    "LSQML": {"name": "lsqml", **BLIND},
    "Adam": {"name": "adam", **BLIND},
}
AXES: Mapping[str, tuple[int, ...]] = {
    "positions": (49, 1_024, 10_000, 99_856),  # squares, of 64 x 64 pixels, the array overlapping by 75 %
    "probe": (64, 128, 256, 512, 1_024),  # pixels on a side, 16 patterns
    "modes": (1, 2, 4, 8),  # of the probe, 49 patterns of 128 x 128
}
MOST_FOR_ADAM = 10_000  # positions: of 100,000 an iteration takes some ten minutes
LONG_S = 20.0  # after which no further iteration is timed
SIZE_OF: Mapping[str, Any] = {"positions": float, "probe": lambda side: float(side**2), "modes": float}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--axes", default=",".join(AXES), help="comma-separated")
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--rounds", type=int, default=3, help="iterations, beside one that is not counted")
    parser.add_argument("--most", type=int, default=10**9, help="leave larger sizes out")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)  # an axis and a size: one of the processes
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measured(options.one[0], int(options.one[1]), options.backend, options.rounds)))
        return
    found: dict[str, dict[str, Any]] = {}
    for axis in options.axes.split(","):
        sizes = [size for size in AXES[axis] if size <= options.most]
        found[axis] = {str(size): of_process(axis, size, options) for size in sizes}
        show(axis, found[axis])
    print(write("scale", {"backend": options.backend, "machine": machine(), "found": found}))


def of_process(axis: str, size: int, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", axis, str(size)]
    command += ["--backend", options.backend, "--rounds", str(options.rounds)]
    ended = subprocess.run(
        command, stdout=subprocess.PIPE, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def measured(axis: str, size: int, name: str, rounds: int) -> dict[str, Any]:
    """Seconds of an iteration of each solver, and the most memory that the process held, in bytes."""
    reset_peak_host()
    chosen, before = backend(name), peak_host_bytes() or math.nan
    modes = {"probe_modes": size} if axis == "modes" else {}
    with threads(1):
        problem = problem_of(axis, size, chosen)
        able = {label: each for label, each in SOLVERS.items() if not modes or "update_probe" in each}
        if problem.n_positions > MOST_FOR_ADAM:
            del able["Adam"]
        actions = {label: stepper(problem, {**each, **modes}) for label, each in able.items()}
        if not modes:
            constants = DataConstants.of(problem)
            actions["metrics"] = lambda: discard(
                misfit_metrics(problem, problem.start_object, problem.probe, constants)
            )
        seconds = {label: shortest(action, rounds, chosen) for label, action in actions.items()}
    return {"seconds": seconds, "bytes": (peak_host_bytes() or math.nan) - before}


def problem_of(axis: str, size: int, chosen: Any) -> Problem:
    if axis == "positions":
        return make_problem(math.isqrt(size), 64, "complex64", chosen, overlap=0.75)
    return make_problem(*((4, size) if axis == "probe" else (7, 128)), "complex64", chosen)


def shortest(action: Action, rounds: int, chosen: Any) -> float:
    found: list[float] = []
    while len(found) <= rounds and (len(found) < 2 or sum(found) < LONG_S):
        chosen.synchronise()
        begin = time.perf_counter()
        action()
        chosen.synchronise()
        found.append(time.perf_counter() - begin)
    return min(found[1:])


def show(axis: str, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Milliseconds and memory by size, and the power of it with which each has grown in the last step."""
    sizes = list(found)
    print(f"\n{axis:20}" + "".join(f"{size:>12}" for size in sizes) + f"{'power':>9}")
    rows = {
        label: [found[size]["seconds"].get(label, math.nan) * 1e3 for size in sizes]
        for label in found[sizes[0]]["seconds"]
    }
    for label, values in {f"{k}, ms": v for k, v in rows.items()}.items():
        print(
            f"{label:20}"
            + "".join(f"{value:12.2f}" for value in values)
            + f"{power(axis, sizes, values):9.2f}"
        )
    memory = [found[size]["bytes"] / 1e6 for size in sizes]
    print(
        f"{'memory, MB':20}"
        + "".join(f"{value:12.0f}" for value in memory)
        + f"{power(axis, sizes, memory):9.2f}"
    )


def power(axis: str, sizes: list[str], values: list[float]) -> float:
    known = [
        (SIZE_OF[axis](int(size)), value) for size, value in zip(sizes, values, strict=True) if value > 0
    ]
    if len(known) < 2:
        return math.nan
    (before, less), (last, more) = known[-2:]
    return math.log(more / less) / math.log(last / before)


if __name__ == "__main__":
    main()
