"""How soon after its last pattern a scan has a useful image: reconstructed while it arrives, or waited for.

    OMP_NUM_THREADS=1 python docs/examples/streaming.py

The scan is simulated and arrives row by row, two a second. Time is that of the scan plus the CPU seconds of
the iterations, on one core, so that it does not depend on what else this machine does. Useful is an image
whose phase is off by less than 0.1 rad.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import ptychosuite
from ptychosuite.backends.arrays import backend
from ptychosuite.core.problem import Problem
from ptychosuite.metrics.image import TrueObject, phase_rmse_rad
from ptychosuite.problems.build import build_problem

USEFUL_RAD, ROW_S, MOST_ITERATIONS = 0.1, 0.5, 100
STUDY = {
    "study": "example",
    "problem": {
        "object": {"kind": "images", "magnitude": "cat", "phase": "coins", "size": 128},
        "probe": {"kind": "fresnel-zone-plate", "size": 64, "defocus_m": -0.75e-3},
        "start_probe": {"kind": "fresnel-zone-plate", "size": 64, "defocus_m": -0.92e-3},
        "scan": {"kind": "raster", "overlap": 0.8},
        "noise": 0.5,
    },
}
JUMPS = {"kind": "network", "warm_up": 13, "jumps": 12, "spacing": 12}


def after_the_last_pattern(
    problem: Problem, solver: str, is_carried: bool, is_streamed: bool
) -> tuple[float, int]:
    """Seconds from the last pattern to a useful image, infinite for never, and the iterations after it."""
    patterns, truth = np.asarray(problem.diffraction_amplitude) ** 2, TrueObject(problem.reference, False)
    stream = ptychosuite.Stream(
        problem.probe, problem.positions_px, solver=solver, fast_forward=JUMPS if is_carried else None,
        photon=problem.noise, object_shape=problem.start_object.shape, probe_scale="kept",
    )  # fmt: skip
    _, first = np.unique(problem.positions_px[:, 0], return_index=True)
    rows = np.split(np.arange(len(patterns)), first[1:])
    now, end = 0.0, len(rows) * ROW_S
    for number, row in enumerate(rows, start=1):
        stream.add(patterns[row], problem.positions_px[row])
        now = max(now, number * ROW_S)
        while is_streamed and now < min((number + 1) * ROW_S, end):
            now += stepped(stream)
    for iteration in range(1, MOST_ITERATIONS + 1):
        now += stepped(stream)
        aligned, _ = truth.align(stream.object)
        if phase_rmse_rad(aligned[truth.scanned], truth.scanned_object) < USEFUL_RAD:
            return now - end, iteration
    return np.inf, MOST_ITERATIONS


def stepped(stream: ptychosuite.Stream) -> float:
    """CPU seconds of one iteration."""
    begin = time.process_time()
    stream.step()
    return time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--solvers", nargs="+", default=["epie"])
    asked = parser.parse_args()
    problem = build_problem(ptychosuite.prepare(STUDY, cluster="none").plan.runs[0], backend("numpy"))
    print(f"{problem.n_positions} patterns of {problem.probe_size} x {problem.probe_size}")
    for solver in asked.solvers:
        after_the_last_pattern(problem, solver, True, False)  # compiles, and loads the network
        for is_carried in (False, True):
            told = {}
            for name, is_streamed in (("waited for", False), ("streamed", True)):
                seconds, iterations = after_the_last_pattern(problem, solver, is_carried, is_streamed)
                told[name] = f"{name} {seconds:.2f} s ({iterations} iterations)"
            how = "with jumps" if is_carried else "alone"
            print(f"{solver} {how}: useful after {', '.join(told.values())}", flush=True)


if __name__ == "__main__":
    main()
