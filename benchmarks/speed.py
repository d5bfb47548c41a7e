"""How near an iteration is to the time of its two Fourier transforms a pattern.

    python benchmarks/speed.py [--backends numpy,torch] [--rounds 15] [--name speed]

Each table is one run in which everything takes turns; figures are lower quartiles, on one thread unless a
table says otherwise. They go, with the machine's description, to benchmarks/results/NAME.json and NAME.png.
Where torch sees a GPU, ``--backends torch-cuda,cupy --floor batched --every-way`` measures there. The file is
written after each table, and holds those that are done where time was up.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ptychosuite.backends.arrays import Backend, backend
from ptychosuite.core.problem import Problem
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.stack import RunStack, can_stack, joined, merged
from speed_figure import draw
from timing import (
    RESULTS,
    Action,
    batched_fft_floor,
    fft_floor,
    machine,
    make_problem,
    stepper,
    threads,
    typical_seconds,
    write,
)

from tests.oracles.magpie_literal import literal_sweep

ALPHA = 0.05
FLOOR = "two FFTs a pattern"
FLOORS: Mapping[str, Callable[[Problem], Action]] = {"single": fft_floor, "batched": batched_fft_floor}
BLIND = {"update_probe": True}
SOLVERS: Mapping[str, dict[str, Any]] = {
    "rPIE": {"name": "rpie"},
    "MAGPIE, 7 levels": {"name": "magpie", "levels": 7},
    "mPIE": {"name": "mpie"},
    "L-BFGS": {"name": "lbfgs"},
    "ePIE, blind": {"name": "epie", **BLIND},
    "rPIE, blind": {"name": "rpie", **BLIND},
    "eMAGPIE, 7 levels": {"name": "emagpie", "levels": 7, **BLIND},
    "LSQML, batches of 32": {"name": "lsqml", **BLIND},
    "Adam, batches of 50": {"name": "adam", **BLIND},
}
TWO = ("rPIE", "MAGPIE, 7 levels")
SWEEPS = {"one at a time": "sequential", "colour groups": "colour-groups", "minibatches": "minibatch"}


@dataclass(frozen=True)
class Scope:
    """What is measured, and for how long."""

    rounds: int
    most_s: float  # of a table, or of one of its rows
    side: int  # of the scan, where a table has one size
    floor: Callable[[Problem], Action]
    probes: tuple[int, ...]
    positions: tuple[int, ...]
    stacks: tuple[int, ...]
    every_way: bool

    @property
    def usual(self) -> str:
        return f"{self.side**2} patterns of 128 x 128"

    def usual_problem(self, chosen: Backend) -> Problem:
        return make_problem(self.side, 128, "complex64", chosen)

    def seconds(self, actions: Mapping[str, Action], rounds: int, chosen: Backend) -> dict[str, float]:
        return typical_seconds(actions, rounds, chosen, self.most_s)


def main() -> None:
    options = parsed()
    names = options.backends.split(",")
    first = backend(names[0])
    scope = Scope(
        options.rounds,
        options.seconds,
        options.side,
        FLOORS[options.floor],
        numbers(options.probes),
        numbers(options.positions),
        numbers(options.stacks),
        options.every_way,
    )
    makers: dict[str, Callable[[], Any]] = {
        "solvers": lambda: solvers(first, scope),
        "sizes": lambda: {dtype: sizes(first, dtype, scope) for dtype in ("complex64", "complex128")},
        "patterns": lambda: numbers_of_patterns(first, scope),
        "shifts": lambda: between_pixels(first, scope),
        "ways": lambda: {name: ways(backend(name), scope) for name in names},
        "threads": lambda: {name: with_threads(backend(name), scope) for name in names},
    }
    tables: dict[str, Any] = {}
    for table in options.tables.split(","):
        if table == "threads":
            tables[table] = makers[table]()
        else:
            with threads(1):
                tables[table] = makers[table]()
        content = {"backend": names[0], "machine": machine(first), "floor": options.floor, "seconds": tables}
        path = write(options.name, content, options.out)
    if {"solvers", "sizes", "patterns"} <= set(tables) and not options.no_figure:
        draw(tables, path.with_suffix(".png"))
        print(f"\n{path}, {path.with_suffix('.png')}")
    else:
        print(f"\n{path}")


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    several = "comma-separated"
    parser.add_argument("--backends", default="numpy,torch", help=f"{several}; the first one gets all tables")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument(
        "--seconds", type=float, default=math.inf, help="for a table's row, after which no round begins"
    )
    parser.add_argument(
        "--tables", default="solvers,sizes,patterns,shifts,ways,threads", help=f"{several}, in order"
    )
    parser.add_argument("--probes", default="64,128,256,512", help=f"{several} sizes of the table 'sizes'")
    parser.add_argument("--positions", default="16,64,256,1024", help=f"{several} squares, for 'patterns'")
    parser.add_argument(
        "--stacks", default="8,32", help=f"{several} numbers of runs side by side, for 'ways'"
    )
    parser.add_argument(
        "--every-way", action="store_true", help="every solver in 'ways', and colour groups in other tables"
    )
    parser.add_argument(
        "--floor", choices=FLOORS, default="single", help="transforms one by one or in batches"
    )
    parser.add_argument("--name", default="speed", help="of the files")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER", help="where they go")
    parser.add_argument("--side", type=int, default=7, help="of the scan, in tables of one size")
    parser.add_argument("--no-figure", action="store_true")
    return parser.parse_args()


def numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def solvers(chosen: Backend, scope: Scope) -> dict[str, float]:
    """Every solver, the metrics, and the papers' literal form in complex128, on 49 patterns of 128 x 128."""
    problem = scope.usual_problem(chosen)
    constants = DataConstants.of(problem)
    actions: dict[str, Action] = {FLOOR: scope.floor(problem)}
    for label, settings in SOLVERS.items():
        actions[label] = stepper(problem, settings)
    actions["metrics"] = lambda: discard(
        misfit_metrics(problem, problem.start_object, problem.probe, constants)
    )
    if chosen.name == "numpy":
        for levels in (0, 7):
            label = "rPIE, literal form" if levels == 0 else "MAGPIE, literal form"
            actions[label] = literal(make_problem(scope.side, 128, "complex128", chosen), levels)
    return show(f"{chosen.name}: {scope.usual}, complex64", scope.seconds(actions, scope.rounds, chosen))


def sizes(chosen: Backend, dtype: str, scope: Scope) -> dict[str, dict[str, float]]:
    """Probes of 64 to 512 pixels, 16 patterns each."""
    result = {}
    for size in scope.probes:
        problem = make_problem(4, size, dtype, chosen)
        actions = {FLOOR: scope.floor(problem), **both(problem, size, scope)}
        seconds = scope.seconds(actions, max(3, scope.rounds * 64 // size), chosen)
        result[str(size)] = show(f"{chosen.name}: 16 patterns of {size} x {size}, {dtype}", seconds)
    return result


def numbers_of_patterns(chosen: Backend, scope: Scope) -> dict[str, dict[str, float]]:
    """16 to 1024 patterns of 64 x 64."""
    result = {}
    for count in scope.positions:
        side = math.isqrt(count)
        problem = make_problem(side, 64, "complex64", chosen)
        actions = {FLOOR: scope.floor(problem), **both(problem, 64, scope)}
        seconds = scope.seconds(actions, max(3, scope.rounds * 4 // side), chosen)
        result[str(side**2)] = show(f"{chosen.name}: {side**2} patterns of 64 x 64, complex64", seconds)
    return result


def between_pixels(chosen: Backend, scope: Scope) -> dict[str, dict[str, float]]:
    """Every solver with positions on pixels and between them, in one run."""
    problem = scope.usual_problem(chosen)
    shifts = np.random.default_rng(0).uniform(-0.5, 0.5, problem.scan_positions_px.shape)
    problems = {"whole": problem, "between": replace(problem, subpixel_shifts_px=shifts)}
    actions: dict[str, Action] = {FLOOR: scope.floor(problem)}
    for label, settings in SOLVERS.items():
        actions |= {f"{label}, {where}": stepper(each, settings) for where, each in problems.items()}
    seconds = scope.seconds(actions, max(3, scope.rounds // 2), chosen)
    print(f"\n{chosen.name}: {scope.usual}, between pixels\n{'':34}{'ms':>9}{'/ floor':>9}{'/ whole':>9}")
    for label in SOLVERS:
        whole, between = (seconds[f"{label}, {where}"] for where in problems)
        print(f"{label:34}{between * 1e3:9.2f}{between / seconds[FLOOR]:9.2f}{between / whole:9.2f}")
    return {where: {label: seconds[f"{label}, {where}"] for label in SOLVERS} for where in problems}


def ways(chosen: Backend, scope: Scope) -> dict[str, float]:
    """One pattern at a time, in groups or batches, and several runs side by side (time a run)."""
    problem = scope.usual_problem(chosen)
    actions = {FLOOR: scope.floor(problem)}
    for label in SOLVERS if scope.every_way else TWO:
        alone = SOLVERS[label] | ({"alpha": ALPHA} if label in TWO else {})
        actions[label] = stepper(problem, alone)
        actions |= sweeps(problem, label, alone, tuple(SWEEPS) if scope.every_way else ("colour groups",))
        solver = build("solvers", alone)
        for runs in scope.stacks if can_stack(solver, solver) else ():
            actions[f"{label}, {runs} runs stacked"] = stacked(problem, alone, runs)
    seconds = scope.seconds(actions, max(3, scope.rounds // 3), chosen)
    for label in seconds:
        if label.endswith("stacked"):
            seconds[label] /= int(label.split(", ")[-1].split()[0])
    return show(f"{chosen.name}: ways to sweep {scope.usual}, a run and iteration", seconds)


def sweeps(problem: Problem, label: str, settings: dict[str, Any], names: Sequence[str]) -> dict[str, Action]:
    """The solver's other sweeps than the usual one, of those that are named; none where it has one alone."""
    usual = getattr(build("solvers", settings), "sweep", None)
    others = [name for name in names if usual not in (None, SWEEPS[name])]
    return {f"{label}, {name}": stepper(problem, settings | {"sweep": SWEEPS[name]}) for name in others}


def with_threads(chosen: Backend, scope: Scope) -> dict[str, dict[str, float]]:
    """One thread and all of them; our loops for NumPy use one in any case."""
    problem = scope.usual_problem(chosen)
    result = {}
    for count in sorted({1, len(os.sched_getaffinity(0))}):
        actions = {FLOOR: scope.floor(problem), **both(problem, 128)}
        with threads(count):
            seconds = scope.seconds(actions, scope.rounds, chosen)
        result[str(count)] = show(f"{chosen.name}: {scope.usual}, threads: {count}", seconds)
    return result


def both(problem: Problem, size: int, scope: Scope | None = None) -> dict[str, Action]:
    """rPIE, and MAGPIE with all the levels a probe of ``size`` pixels has; in colour groups as well."""
    levels = int(np.log2(size))
    two: dict[str, dict[str, Any]] = {
        "rPIE": {"name": "rpie", "alpha": ALPHA},
        "MAGPIE, all levels": {"name": "magpie", "alpha": ALPHA, "levels": levels},
    }
    found = {label: stepper(problem, settings) for label, settings in two.items()}
    if scope is not None and scope.every_way:
        for label, settings in two.items():
            found |= sweeps(problem, label, settings, ("colour groups",))
    return found


def literal(problem: Problem, levels: int) -> Action:
    """One sweep as the paper writes it (NumPy, double precision)."""
    order = np.arange(problem.n_positions)
    amplitude = np.asarray(problem.diffraction_amplitude)
    data = problem.start_object, problem.probe, amplitude, problem.scan_positions_px
    return lambda: discard(literal_sweep(*data, order, alpha=ALPHA, levels=levels))


def stacked(problem: Problem, settings: Mapping[str, Any], runs: int) -> Action:
    """One iteration of ``runs`` runs of one problem side by side, each in its own order."""
    stack = RunStack.of([problem] * runs)
    solver = merged([build("solvers", settings)] * runs, like=problem.probe)
    state = joined([build("solvers", settings).init(problem)] * runs)
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
