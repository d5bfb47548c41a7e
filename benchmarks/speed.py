"""How near an iteration is to the time of its two Fourier transforms a pattern.

    python benchmarks/speed.py [--backends numpy,torch] [--rounds 15] [--name speed]

Each table is one run in which everything takes turns; figures are lower quartiles, on one thread unless a
table says otherwise. They go, with the machine's description, to benchmarks/results/NAME.json and NAME.png.
Where torch sees a GPU, ``--backends torch-cuda,cupy`` measures there.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from ptychosuite.backends.arrays import Backend, backend
from ptychosuite.core.problem import Problem
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.solver import SweepState
from ptychosuite.solvers.stack import RunStack, merged
from speed_figure import draw
from timing import Action, fft_floor, machine, make_problem, stepper, threads, typical_seconds, write

from tests.oracles.magpie_literal import literal_sweep

ALPHA = 0.05
FLOOR = "two FFTs a pattern"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--backends", default="numpy,torch", help="comma-separated; the first one gets all tables"
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--name", default="speed", help="of the files in benchmarks/results")
    options = parser.parse_args()
    names = options.backends.split(",")
    first = backend(names[0])
    tables: dict[str, Any] = {}
    with threads(1):
        tables["solvers"] = solvers(first, options.rounds)
        tables["sizes"] = {
            dtype: sizes(first, dtype, options.rounds) for dtype in ("complex64", "complex128")
        }
        tables["patterns"] = numbers_of_patterns(first, options.rounds)
        tables["ways"] = {name: ways(backend(name), options.rounds) for name in names}
    tables["threads"] = {name: with_threads(backend(name), options.rounds) for name in names}
    content = {"backend": names[0], "machine": machine(first), "seconds": tables}
    path = write(options.name, content)
    draw(tables, path.with_suffix(".png"))
    print(f"\n{path}, {path.with_suffix('.png')}")


def solvers(chosen: Backend, rounds: int) -> dict[str, float]:
    """Every solver, the metrics, and the papers' literal form in complex128, on 49 patterns of 128 x 128."""
    problem = make_problem(7, 128, "complex64", chosen)
    constants = DataConstants.of(problem)
    blind = {"update_probe": True}
    actions: dict[str, Action] = {FLOOR: fft_floor(problem)}
    for label, settings in {
        "rPIE": {"name": "rpie"},
        "MAGPIE, 7 levels": {"name": "magpie", "levels": 7},
        "mPIE": {"name": "mpie"},
        "L-BFGS": {"name": "lbfgs"},
        "ePIE, blind": {"name": "epie", **blind},
        "rPIE, blind": {"name": "rpie", **blind},
        "eMAGPIE, 7 levels": {"name": "emagpie", "levels": 7, **blind},
        "LSQML, batches of 32": {"name": "lsqml", **blind},
        "Adam, batches of 50": {"name": "adam", **blind},
    }.items():
        actions[label] = stepper(problem, settings)
    actions["metrics"] = lambda: discard(
        misfit_metrics(problem, problem.start_object, problem.probe, constants)
    )
    if chosen.name == "numpy":
        for levels in (0, 7):
            label = "rPIE, literal form" if levels == 0 else "MAGPIE, literal form"
            actions[label] = literal(make_problem(7, 128, "complex128", chosen), levels)
    return show(
        f"{chosen.name}: 49 patterns of 128 x 128, complex64", typical_seconds(actions, rounds, chosen)
    )


def sizes(chosen: Backend, dtype: str, rounds: int) -> dict[str, dict[str, float]]:
    """Probes of 64 to 512 pixels, 16 patterns each."""
    result = {}
    for size in (64, 128, 256, 512):
        problem = make_problem(4, size, dtype, chosen)
        actions = {FLOOR: fft_floor(problem), **both(problem, size)}
        seconds = typical_seconds(actions, max(3, rounds * 64 // size), chosen)
        result[str(size)] = show(f"{chosen.name}: 16 patterns of {size} x {size}, {dtype}", seconds)
    return result


def numbers_of_patterns(chosen: Backend, rounds: int) -> dict[str, dict[str, float]]:
    """16 to 1024 patterns of 64 x 64."""
    result = {}
    for side in (4, 8, 16, 32):
        problem = make_problem(side, 64, "complex64", chosen)
        actions = {FLOOR: fft_floor(problem), **both(problem, 64)}
        seconds = typical_seconds(actions, max(3, rounds * 4 // side), chosen)
        result[str(side**2)] = show(f"{chosen.name}: {side**2} patterns of 64 x 64, complex64", seconds)
    return result


def ways(chosen: Backend, rounds: int) -> dict[str, float]:
    """One pattern at a time, in colour groups, and 8 or 32 runs side by side (time a run)."""
    problem = make_problem(7, 128, "complex64", chosen)
    actions = {FLOOR: fft_floor(problem)}
    for label, settings in {
        "rPIE": {"name": "rpie"},
        "MAGPIE, 7 levels": {"name": "magpie", "levels": 7},
    }.items():
        alone = settings | {"alpha": ALPHA}
        actions[label] = stepper(problem, alone)
        actions[f"{label}, colour groups"] = stepper(problem, alone | {"sweep": "colour-groups"})
        for runs in (8, 32):
            actions[f"{label}, {runs} runs stacked"] = stacked(problem, alone, runs, chosen)
    seconds = typical_seconds(actions, max(3, rounds // 3), chosen)
    for label in seconds:
        if label.endswith("stacked"):
            seconds[label] /= int(label.split(", ")[-1].split()[0])
    return show(f"{chosen.name}: ways to sweep 49 patterns of 128 x 128, a run and iteration", seconds)


def with_threads(chosen: Backend, rounds: int) -> dict[str, dict[str, float]]:
    """One thread and all of them; our loops for NumPy use one in any case."""
    problem = make_problem(7, 128, "complex64", chosen)
    result = {}
    for count in sorted({1, len(os.sched_getaffinity(0))}):
        actions = {FLOOR: fft_floor(problem), **both(problem, 128)}
        with threads(count):
            seconds = typical_seconds(actions, rounds, chosen)
        result[str(count)] = show(f"{chosen.name}: 49 patterns of 128 x 128, threads: {count}", seconds)
    return result


def both(problem: Problem, size: int) -> dict[str, Action]:
    """rPIE, and MAGPIE with all the levels a probe of ``size`` pixels has."""
    levels = int(np.log2(size))
    return {
        "rPIE": stepper(problem, {"name": "rpie", "alpha": ALPHA}),
        "MAGPIE, all levels": stepper(problem, {"name": "magpie", "alpha": ALPHA, "levels": levels}),
    }


def literal(problem: Problem, levels: int) -> Action:
    """One sweep as the paper writes it (NumPy, double precision)."""
    order = np.arange(problem.n_positions)
    amplitude = np.asarray(problem.diffraction_amplitude)
    data = problem.start_object, problem.probe, amplitude, problem.scan_positions_px
    return lambda: discard(literal_sweep(*data, order, alpha=ALPHA, levels=levels))


def stacked(problem: Problem, settings: Mapping[str, Any], runs: int, chosen: Backend) -> Action:
    """One iteration of ``runs`` runs of one problem side by side, each in its own order."""
    stack = RunStack.of([problem] * runs)
    solver = merged([build("solvers", settings)] * runs, like=problem.probe)
    xp = chosen.library
    state = SweepState(xp.stack([problem.start_object] * runs), xp.stack([problem.probe] * runs))
    rngs = [np.random.default_rng(seed) for seed in range(runs)]

    def step() -> None:
        nonlocal state
        state = solver.step_stack(stack, state, rngs)

    return step


def discard(_: object) -> None:
    """An action returns nothing."""


def show(title: str, seconds: dict[str, float]) -> dict[str, float]:
    """Print a table; the figures are handed on."""
    print(f"\n{title}\n{'':34}{'ms':>9}{'/ floor':>9}{'/ rPIE':>9}")
    for label, value in seconds.items():
        relative = f"{value / seconds[FLOOR]:9.2f}{value / seconds['rPIE']:9.2f}"
        print(f"{label:34}{value * 1e3:9.2f}{relative}")
    return seconds


if __name__ == "__main__":
    main()
