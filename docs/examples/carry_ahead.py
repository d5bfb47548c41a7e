"""What carrying ahead saves a loop of one's own: cdtools' Adam and pty-chi's ePIE, timed with and without it.

    pip install 'ptychosuite[peers]'
    OMP_NUM_THREADS=1 python docs/examples/carry_ahead.py cdtools
    OMP_NUM_THREADS=1 python docs/examples/carry_ahead.py ptychi

The loops are the packages' own, as their users write them; all that is ours in them is one object, made
before the loop, and one call in it. The scan is simulated, so that it can be said how far the phase is from
the truth. Both lines run on the same data from the same start, in turns. The clock counts CPU seconds, of
the package's iterations and of all that a jump does, but not of the deviance, which is how we see how far a
line has come. Nothing judges a jump here.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import ptychosuite
from ptychosuite.backends.arrays import backend
from ptychosuite.core.problem import Problem
from ptychosuite.metrics.image import TrueObject, phase_rmse_rad
from ptychosuite.problems.build import build_problem

JUMPS, MEMORY = (13, 25), 10
Line = Callable[[Problem, int, bool], Iterator[Any]]
OBJECTS = [
    {"kind": "images", "magnitude": "astronaut", "phase": "camera"},
    {"kind": "images", "magnitude": "cat", "phase": "coins"},
    {"kind": "siemens-star", "spokes": 20},
]


class Jumps:
    """What a loop needs beside itself: the state of ten iterations ago, and a jump now and then."""

    def __init__(self, loop: Any) -> None:
        self.loop, self.before = loop, None

    def after(self, iteration: int) -> None:
        if self.loop is not None and iteration + MEMORY in JUMPS:
            self.before = self.loop.state
        if self.loop is not None and iteration in JUMPS:
            self.loop.go_to(ptychosuite.carry_ahead(self.loop.data, self.loop.state, self.before))


def scan(number: int, size: int) -> Problem:
    """A scan through a zone plate out of focus, of an object like none that the bundled network has seen."""
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


def cdtools_line(problem: Problem, iterations: int, is_carried: bool) -> Iterator[Any]:
    """cdtools, Adam 0.01 on amplitudes in batches of 16, its rate cut on a plateau."""
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
    loop = ptychosuite.cdtools_loop(
        model, dataset, photon=problem.noise / size**2, optimizer=reconstructor.optimizer
    )
    jumps = Jumps(loop if is_carried else None)
    steps = reconstructor.optimize(iterations, lr=0.01, batch_size=16, schedule=True)
    for iteration, _ in enumerate(steps, start=1):
        jumps.after(iteration)
        yield loop


def ptychi_line(problem: Problem, iterations: int, is_carried: bool) -> Iterator[Any]:
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
    loop = ptychosuite.ptychi_loop(task, photon=problem.noise)
    jumps = Jumps(loop if is_carried else None)
    for iteration in range(1, iterations + 1):
        task.run(1)
        jumps.after(iteration)
        yield loop


LINES = {"cdtools": cdtools_line, "ptychi": ptychi_line}


def course(
    line: Line, problem: Problem, iterations: int, is_carried: bool
) -> Iterator[tuple[float, float, float]]:
    """After each iteration: seconds so far, the deviance, and the phase error in rad."""
    truth, seconds, running = TrueObject(problem.reference, False), 0.0, line(problem, iterations, is_carried)
    while True:
        begin = time.process_time()
        loop = next(running, None)
        seconds += time.process_time() - begin
        if loop is None:
            return
        state = loop.state
        aligned, _ = truth.align(state[0])
        yield (
            seconds,
            ptychosuite.deviance(loop.data, state),
            phase_rmse_rad(aligned[truth.scanned], truth.scanned_object),
        )


def reached(line: np.ndarray, deviance: float) -> tuple[float, float]:
    """Seconds and iterations to a deviance; infinite where it is never reached."""
    there = np.flatnonzero(line[:, 1] <= deviance)
    return (line[there[0], 0], there[0] + 1.0) if len(there) else (np.inf, np.inf)


def compared(package: str, problem: Problem, iterations: int) -> dict[str, list[float]]:
    """By target, how many times as soon it is reached when carried ahead, in seconds and in iterations."""
    patterns, truth = np.asarray(problem.diffraction_amplitude) ** 2, problem.reference
    data = ptychosuite.LoopData(patterns, problem.positions_px, problem.noise)
    ptychosuite.carry_ahead(
        data, (problem.start_object, problem.probe)
    )  # loads the network, before the clock starts
    both = (course(LINES[package], problem, iterations, carried) for carried in (False, True))
    plain, ahead = (np.array(line) for line in zip(*zip(*both, strict=True), strict=True))
    noise_limit = ptychosuite.deviance(
        data, (truth.object.astype(np.complex64), truth.probe.astype(np.complex64))
    )
    targets = {f"plain after {n}": plain[n - 1, 1] for n in (50, 100, 200, 300) if n <= iterations}
    targets["1.1 x the truth's deviance"] = 1.1 * noise_limit
    print(f"{problem.n_positions} patterns; deviance of the truth {noise_limit:.3f}", flush=True)
    for name, line in (("without", plain), ("with jumps", ahead)):
        seconds, deviance, phase = line[-1]
        print(f"  {name}: deviance {deviance:.3f}, phase error {phase:.3f} rad, {seconds:.1f} s", flush=True)
    return {
        name: [of / with_jumps if np.isfinite(of) else np.nan
               for of, with_jumps in zip(reached(plain, at), reached(ahead, at), strict=True)]
        for name, at in targets.items()
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("package", choices=LINES)
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--problems", type=int, default=3)
    parser.add_argument("--size", type=int, default=144, help="pixels of the object on a side")
    asked = parser.parse_args()
    found = [
        compared(asked.package, scan(number, asked.size), asked.iterations)
        for number in range(asked.problems)
    ]
    for name in found[0]:
        seconds, passes = (
            statistics.median(column) for column in zip(*(each[name] for each in found), strict=True)
        )
        print(f"to {name}: {seconds:.2f} times as fast in seconds, {passes:.2f} in iterations (median)")


if __name__ == "__main__":
    main()
