"""Seconds per iteration of every solver, against the floor of two FFTs a pattern, in one run.

    python benchmarks/iteration.py [--positions 49] [--probe 128] [--backend numpy] [--json FILE]

The floor is one forward and one inverse transform of every pattern, one pattern at a time, by the same
library. Solvers and floor are interleaved, so that a busy machine slows them all alike; figures are medians
over the rounds, on one thread. Blind solvers update the probe as well.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from suite.core.arrays import Backend, backend, fft2, ifft2
from suite.core.problem import Problem
from suite.core.registry import build
from suite.core.run import RunSpec
from suite.execute.provenance import environment
from suite.problems.build import build_problem


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--positions", type=int, default=49, help="about this many scan positions")
    parser.add_argument("--probe", type=int, default=128, help="pixels of a pattern on a side")
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--dtype", default="complex64")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()

    chosen = backend(options.backend)
    if options.backend == "torch":
        import torch

        torch.set_num_threads(1)
    problem = make_problem(options.positions, options.probe, options.dtype, chosen)
    deepest = int(np.log2(options.probe & -options.probe))
    candidates: dict[str, Callable[[], None]] = {"two FFTs a pattern": lambda: floor(problem)}
    for name, settings in solvers(deepest).items():
        candidates[name] = stepper(problem, settings)
    with threadpool_limits(limits=1):
        seconds = measure(candidates, options.rounds, chosen)
    figures = report(seconds, problem, options.backend, options.dtype)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


def solvers(deepest: int) -> dict[str, dict[str, object]]:
    blind = {"update_probe": True}
    return {
        "rpie": {"name": "rpie"},
        f"magpie, {deepest} levels": {"name": "magpie", "levels": deepest},
        "mpie": {"name": "mpie"},
        "lbfgs": {"name": "lbfgs"},
        "epie, blind": {"name": "epie", **blind},
        "rpie, blind": {"name": "rpie", "alpha": 0.1, **blind},
        f"emagpie, {deepest} levels": {"name": "emagpie", "levels": deepest, **blind},
        "lsqml, batch 32": {"name": "lsqml", **blind},
    }


def make_problem(positions: int, probe: int, dtype: str, chosen: Backend) -> Problem:
    step = probe // 4
    size = probe + step * (round(positions**0.5) - 1)
    settings = {
        "object": {"kind": "texture", "size": size},
        "probe": {"kind": "gaussian", "size": probe, "fwhm_px": probe / 3, "curvature": 2.0},
        "scan": {"kind": "raster", "step_px": step},
        "noise": 0.05,
    }
    return build_problem(RunSpec(problem=settings, solver={}, stop={}, dtype=dtype), chosen)


def floor(problem: Problem) -> None:
    """One forward and one inverse transform of every pattern."""
    wave = problem.probe
    for _ in range(problem.n_positions):
        ifft2(fft2(wave))


def stepper(problem: Problem, settings: dict[str, object]) -> Callable[[], None]:
    """A function that does one more iteration each time it is called."""
    solver = build("solvers", settings)
    states = [solver.init(problem)]
    rng = np.random.default_rng(0)

    def step() -> None:
        states[0] = solver.step(problem, states[0], rng)

    return step


def measure(
    candidates: dict[str, Callable[[], None]], rounds: int, chosen: Backend
) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 2):  # the first two warm up
        for name, run in candidates.items():
            chosen.synchronise()
            begin = time.perf_counter()
            run()
            chosen.synchronise()
            if number >= 2:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def report(
    seconds: dict[str, list[float]], problem: Problem, backend_name: str, dtype: str
) -> dict[str, object]:
    machine = environment()
    size, count = problem.probe_size, problem.n_positions
    print(f"{count} patterns of {size} x {size}, {dtype}, {backend_name}, one thread, {machine['cpu']}")
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    base = medians["two FFTs a pattern"]
    print(f"{'':24} {'ms/iteration':>12} {'/ floor':>8} {'quartiles':>16}")
    for name, median in medians.items():
        low, high = np.quantile(seconds[name], (0.25, 0.75)) * 1e3
        print(f"{name:24} {median * 1e3:12.1f} {median / base:8.2f} {low:8.1f} {high:7.1f}")
    return {
        "patterns": count,
        "size": size,
        "backend": backend_name,
        "dtype": dtype,
        "machine": machine,
        "median_seconds": medians,
    }


if __name__ == "__main__":
    main()
