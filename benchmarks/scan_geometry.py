"""What colour groups cost an iteration as the scan grows.

    python benchmarks/scan_geometry.py [--probe 64] [--overlap 0.75] [--rounds 5]

ePIE with a known probe on 1,000 and 10,000 positions (NumPy, one thread): one at a time, in colour groups,
and alone what is done anew in every iteration: the colouring, and on a GPU, which waits for it, the list of
visits. Looking for what lies near each other is done once a scan. Figures are lower quartiles; they go, with
the machine's description, to benchmarks/results/scan_geometry.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np
from ptychosuite.backends.arrays import backend
from ptychosuite.core.problem import Problem
from ptychosuite.solvers.recorded_sweep import filled_up, repeated
from ptychosuite.solvers.scan_geometry import colour_groups, pairs_that_overlap
from ptychosuite.solvers.stack import RunStack
from ptychosuite.solvers.stacked_sweep import places, sizes_of
from timing import Action, machine, make_problem, stepper, threads, typical_seconds, write

SIDES = (32, 100)  # positions along one side of the scan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--probe", type=int, default=64, help="pixels of the probe on a side")
    parser.add_argument("--overlap", type=float, default=0.75)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    chosen, seconds = backend("numpy"), {}
    with threads(1):
        for side in SIDES:
            problem = make_problem(side, options.probe, "complex64", chosen, overlap=options.overlap)
            taken = typical_seconds(actions(problem), options.rounds, chosen)
            seconds[str(problem.n_positions)] = taken
            show(problem, taken)
    print(write("scan_geometry", {**vars(options), "machine": machine(chosen), "seconds": seconds}))


def actions(problem: Problem) -> Mapping[str, Action]:
    solver, rng = {"name": "epie", "update_probe": False}, np.random.default_rng(0)

    scan = problem.scan_positions_px, problem.probe_size
    stack = RunStack.of([problem])

    def groups() -> list[np.ndarray]:
        return colour_groups(*scan, rng.permutation(problem.n_positions))

    coloured = groups()

    def listing() -> None:
        counting = sizes_of(coloured)
        repeated(places(stack, coloured), counting, filled_up(counting))

    return {
        "one at a time": stepper(problem, solver),
        "colour groups": stepper(problem, solver | {"sweep": "colour-groups"}),
        "colouring alone": groups,
        "listing alone": listing,
        "looking once": lambda: pairs_that_overlap(*scan),
    }


def show(problem: Problem, seconds: Mapping[str, float]) -> None:
    print(f"\n{problem.n_positions} patterns of {problem.probe_size} x {problem.probe_size}")
    for label, value in seconds.items():
        print(f"{label:20}{value * 1e3:10.2f} ms{value / problem.n_positions * 1e6:10.2f} us a position")


if __name__ == "__main__":
    main()
