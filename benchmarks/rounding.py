"""How far runs drift apart that differ in rounding alone; ``suite.analysis.tolerance`` rests on it.

    PYTHONPATH=. python benchmarks/rounding.py [--backends torch] [--seeds 2] [--name rounding]

Every solver reconstructs small problems (known probe, known probe without noise, unknown probe) for 100
iterations, as it does by default (NumPy, ducc0's transforms, compiled loops) and in forms that are the same
in exact arithmetic: with SciPy's transforms, with the plain array functions in place of the compiled loops,
and on other backends. What is kept of each is the largest relative difference of every curve up to some
iterations, and the relative distance of objects and probes there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
from timing import machine, threads, write

from suite.core import numpy_fft
from suite.core.arrays import backend
from suite.core.registry import build
from suite.core.run import RunSpec
from suite.execute.loop import Outcome, reconstruct
from suite.problems.build import build_problem

AFTER = (1, 2, 5, 10, 25, 50, 100)  # iterations
SHOWN = ("residual", "error", "object")
NOT_COMPARED = ("seconds", "data_passes")
SOLVERS: Mapping[str, Mapping[str, Any]] = {
    "epie": {"name": "epie"},
    "rpie": {"name": "rpie", "alpha": 0.05},
    "mpie": {"name": "mpie"},
    "magpie": {"name": "magpie", "alpha": 0.05, "levels": 4},
    "emagpie": {"name": "emagpie", "alpha": 0.05, "levels": 4},
    "lsqml": {"name": "lsqml"},
    "lbfgs": {"name": "lbfgs"},
}
KNOWN_ONLY = ("mpie", "magpie", "lbfgs")
ZONE_PLATE = {"kind": "fresnel-zone-plate", "size": 64, "defocus_m": -0.75e-3}
START = {"kind": "fresnel-zone-plate", "size": 64, "defocus_m": -0.92e-3}
PROBLEMS: Mapping[str, Mapping[str, Any]] = {
    "known": {"noise": 0.05},
    "noiseless": {"noise": 0.0},
    "unknown": {"noise": 0.05, "start_probe": START},
}
FIXED = {
    "object": {"kind": "images", "magnitude": "astronaut", "phase": "camera", "size": 160},
    "probe": ZONE_PLATE,
    "scan": {"kind": "jittered-raster", "overlap": 0.6, "jitter_px": 3},
}
STOP = {
    "iterations": AFTER[-1], "gradient": None, "residual": None, "seconds": None, "check_every": 1,
    "continue_past_tolerance": False,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", default="torch", help="comma-separated, beside numpy")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--name", default="rounding", help="of the file in benchmarks/results")
    options = parser.parse_args()
    forms = ["scipy", "plain", *filter(None, options.backends.split(","))]
    table: dict[str, Any] = {}
    with threads(1):
        for dtype in ("complex64", "complex128"):
            for problem in PROBLEMS:
                for solver in SOLVERS:
                    if problem != "unknown" or solver not in KNOWN_ONLY:
                        row = drifts(problem, solver, dtype, forms, options.seeds)
                        table[f"{dtype} {problem} {solver}"] = row
    path = write(options.name, {"machine": machine(backend("numpy")), "after": AFTER, "drift": table})
    print(path)


def drifts(problem: str, solver: str, dtype: str, forms: list[str], seeds: int) -> dict[str, Any]:
    """Form -> quantity -> the largest drift over the seeds, after each number of iterations."""
    result: dict[str, Any] = {}
    for seed in range(seeds):
        spec = RunSpec(
            problem={**FIXED, **PROBLEMS[problem]}, solver=SOLVERS[solver], stop=STOP, seed=seed, dtype=dtype
        )
        usual = carry_out(spec, "numpy")
        for form in forms:
            found = drift(usual, carry_out(spec, form))
            known = result.setdefault(form, found)
            result[form] = {name: np.fmax(known[name], values).tolist() for name, values in found.items()}
    for form, found in result.items():
        result[form] = {name: " ".join(f"{value:.0e}" for value in found[name]) for name in sorted(found)}
        shown = (f"{name} {result[form][name]}" for name in SHOWN)
        print(f"{dtype:10} {problem:9} {solver:8} {form:6}", *shown, flush=True)
    return result


def carry_out(spec: RunSpec, form: str) -> Outcome:
    """Reconstruct in one of the forms."""
    chosen = backend("numpy" if form in ("scipy", "plain") else form)
    change = {"scipy": scipys_transforms, "plain": plain_functions}.get(form, nullcontext)
    with change(), np.errstate(all="ignore"):
        problem = build_problem(spec, chosen)
        solver = build("solvers", spec.solver)
        return reconstruct(problem, solver, spec.stop, spec.rng("order"), chosen, AFTER)


def drift(a: Outcome, b: Outcome) -> dict[str, list[float]]:
    """Largest relative differences of curves up to, and of images after, each number of iterations."""
    result = {}
    for name in a.curves.keys() - set(NOT_COMPARED):
        difference = np.abs(b.curves[name] / a.curves[name] - 1)
        result[name] = [float(np.nanmax(difference[: n + 1], initial=0.0)) for n in AFTER]
    for place, name in enumerate(("object", "probe")):
        result[name] = [distance(a.snapshots[n][place], b.snapshots[n][place]) for n in AFTER]
    return result


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(b - a) / np.linalg.norm(a))


@contextmanager
def scipys_transforms() -> Iterator[None]:
    """SciPy's transforms in place of ducc0's."""
    ducc, numpy_fft.ducc = numpy_fft.ducc, None
    try:
        yield
    finally:
        numpy_fft.ducc = ducc


@contextmanager
def plain_functions() -> Iterator[None]:
    """Array functions in place of the compiled loops, wherever their names are known."""
    changed = [
        (module, name, function)
        for title, module in list(sys.modules.items())
        if title.startswith("suite.")
        for name, function in vars(module).items()
        if getattr(getattr(function, "__code__", None), "co_name", "") == "chosen"  # made by accelerated()
    ]
    for module, name, function in changed:
        setattr(module, name, function.__wrapped__)
    try:
        yield
    finally:
        for module, name, function in changed:
            setattr(module, name, function)


if __name__ == "__main__":
    main()
