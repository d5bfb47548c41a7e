"""What carrying ahead saves a loop of one's own: cdtools' Adam and pty-chi's ePIE, timed with and without it.

    pip install 'ptychosuite[peers]'
    python docs/examples/carry_ahead.py cdtools
    python docs/examples/carry_ahead.py ptychi

The loops are the packages' own, as their users write them; what is ours is between the two rules. The scan is
simulated, so that it can be said how far the phase is from the truth. Both lines run on the same data from the same
start, in turns. On the clock are all of the package's iterations and all that a jump does; not on it is the deviance,
which is how we see how far a line has come. Nothing judges a jump here.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator

import numpy as np
import ptychosuite
from ptychosuite.backends.arrays import backend
from ptychosuite.core.problem import Problem
from ptychosuite.metrics.image import TrueObject, phase_rmse_rad
from ptychosuite.problems.build import build_problem

JUMPS, MEMORY = (13, 25), 10
OBJECTS = [
    {"kind": "images", "magnitude": "astronaut", "phase": "camera"},
    {"kind": "images", "magnitude": "cat", "phase": "coins"},
    {"kind": "siemens-star", "spokes": 20},
]


def scan(number: int, size: int) -> Problem:
    """A scan through a zone plate whose focus is not where it is thought to be; the bundled network knows none."""
    study = {
        "study": "example",
        "problem": {
            "object": {**OBJECTS[number % len(OBJECTS)], "size": size},
            "probe": {"kind": "fresnel-zone-plate", "size": 64, "defocus_m": -0.75e-3},
            "start_probe": {"kind": "fresnel-zone-plate", "size": 64, "defocus_m": -0.92e-3},
            "scan": {"kind": "jittered-raster", "overlap": 0.8, "jitter_px": 3},
            "noise": 0.5,
        },
        "seed": number,
    }
    return build_problem(ptychosuite.prepare(study, cluster="none").plan.runs[0], backend("numpy"))


def cdtools_line(problem: Problem, iterations: int, is_carried: bool) -> Iterator[tuple]:
    """cdtools, Adam 0.01 in batches of 16 on amplitudes, iteration by iteration: object and probe in our convention."""
    from cdtools.datasets import Ptycho2DDataset
    from cdtools.models import SimplePtycho
    from cdtools.reconstructors import AdamReconstructor

    size = problem.probe_size
    patterns = np.fft.fftshift(np.asarray(problem.diffraction_amplitude) ** 2, axes=(-2, -1)) / size**2
    pixels = np.eye(3, 2, dtype=np.float32)
    dataset = Ptycho2DDataset(
        np.pad(problem.scan_positions_px, ((0, 0), (0, 1))).astype(np.float32), patterns.astype(np.float32),
        wavelength=1.0, detector_geometry={"distance": 1.0, "basis": pixels},
    )  # fmt: skip
    model = SimplePtycho(1.0, pixels, problem.probe, problem.start_object)
    reconstructor = AdamReconstructor(model, dataset)
    # -------------------------------------------------------------------------------------------------------------
    loop = ptychosuite.cdtools_loop(
        model, dataset, photon=problem.noise / size**2, optimizer=reconstructor.optimizer
    )
    before = None
    for iteration, _ in enumerate(reconstructor.optimize(iterations, lr=0.01, batch_size=16), start=1):
        if is_carried and iteration + MEMORY in JUMPS:
            before = loop.state
        if is_carried and iteration in JUMPS:
            loop.go_to(ptychosuite.carry_ahead(loop.data, loop.state, before))
    # -------------------------------------------------------------------------------------------------------------
        yield loop


def ptychi_line(problem: Problem, iterations: int, is_carried: bool) -> Iterator[tuple]:
    """pty-chi, ePIE one position at a time, epoch by epoch."""
    import ptychi.api as api
    from ptychi.api.task import PtychographyTask

    options = api.EPIEOptions()
    options.reconstructor_options.default_device = api.Devices.CPU
    options.reconstructor_options.batch_size = 1
    options.object_options.alpha = options.probe_options.alpha = 1.0
    positions = problem.scan_positions_px + (problem.probe_size - 1) / 2
    origin = np.round(np.array(problem.start_object.shape) / 2) - 0.5
    rows, columns = (positions - origin).T
    task = PtychographyTask(
        options,
        diffraction_data=np.fft.fftshift(np.asarray(problem.diffraction_amplitude) ** 2, axes=(-2, -1)),
        object_data=problem.start_object[None], probe_data=problem.probe[None, None],
        probe_position_y_px=rows, probe_position_x_px=columns,
    )  # fmt: skip
    # -------------------------------------------------------------------------------------------------------------
    loop = ptychosuite.ptychi_loop(task, photon=problem.noise)
    before = None
    for iteration in range(1, iterations + 1):
        task.run(1)
        if is_carried and iteration + MEMORY in JUMPS:
            before = loop.state
        if is_carried and iteration in JUMPS:
            loop.go_to(ptychosuite.carry_ahead(loop.data, loop.state, before))
    # -------------------------------------------------------------------------------------------------------------
        yield loop


LINES = {"cdtools": cdtools_line, "ptychi": ptychi_line}


def course(line, problem: Problem, iterations: int, is_carried: bool) -> Iterator[tuple[float, float, float]]:
    """After each iteration: seconds so far, the deviance, and the phase error in rad."""
    truth, seconds, running = TrueObject(problem.reference, False), 0.0, line(problem, iterations, is_carried)
    while True:
        begin = time.perf_counter()
        loop = next(running, None)
        seconds += time.perf_counter() - begin
        if loop is None:
            return
        state = loop.state
        aligned, _ = truth.align(state[0])
        yield seconds, ptychosuite.deviance(loop.data, state), phase_rmse_rad(
            aligned[truth.scanned], truth.scanned_object
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("package", choices=LINES)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--problems", type=int, default=3)
    parser.add_argument("--size", type=int, default=144, help="pixels of the object on a side")
    asked = parser.parse_args()
    saved = []
    for number in range(asked.problems):
        problem = scan(number, asked.size)
        blank = (problem.start_object, problem.probe)  # the network is loaded before the clock starts
        patterns = np.asarray(problem.diffraction_amplitude) ** 2
        ptychosuite.carry_ahead(ptychosuite.LoopData(patterns, problem.positions_px, problem.noise), blank)
        both = (course(LINES[asked.package], problem, asked.iterations, carried) for carried in (False, True))
        plain, ahead = (np.array(line) for line in zip(*zip(*both, strict=True), strict=True))
        there = np.flatnonzero(ahead[:, 1] <= plain[-1, 1])
        first = int(there[0]) if len(there) else None
        times = plain[-1, 0] / ahead[first, 0] if first is not None else float("nan")
        passes = asked.iterations / (first + 1) if first is not None else float("nan")
        saved.append((times, passes))
        print(
            f"{asked.package}, {problem.n_positions} patterns, problem {number}: plain {plain[-1, 0]:.1f} s to a "
            f"deviance of {plain[-1, 1]:.4f}; carried ahead {times:.2f} times as fast ({passes:.2f} in iterations), "
            f"and in the end {ahead[-1, 1]:.4f} after {ahead[-1, 0]:.1f} s; phase error {plain[-1, 2]:.3f} rad "
            f"without, {ahead[-1, 2]:.3f} with",
            flush=True,
        )
    seconds, passes = (statistics.median(column) for column in zip(*saved, strict=True))
    print(f"median: {seconds:.2f} times as fast in seconds, {passes:.2f} in iterations")


if __name__ == "__main__":
    main()
