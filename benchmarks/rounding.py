"""How far runs drift apart that differ in rounding alone; ``ptychosuite.analysis.rounding`` rests on it.

    python benchmarks/rounding.py [--only TEXT ...] [--iterations 100] [--seeds 2]

Every solver reconstructs small problems as it does by default (NumPy, ducc0's transforms, compiled loops) and
in forms that are the same in exact arithmetic: with SciPy's transforms, with the plain array functions in
place of the compiled loops, and on other backends. What is kept of each is the largest relative difference of
every curve up to some iterations, and the relative distance of objects and probes there. Rows that are not
measured stay as they are in the file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from ptychosuite.backends import arrays
from ptychosuite.backends.arrays import backend
from ptychosuite.core.runs import RunSpec
from ptychosuite.execute.loop import Outcome, reconstruct
from ptychosuite.problems.build import build_problem
from ptychosuite.registry.lookup import build
from ptychosuite.study.schema import DEFAULTS, Completion
from timing import RESULTS, machine, threads, write

DTYPES = ("complex64", "complex128")
AFTER = (1, 2, 5, 10, 25, 50, 100)  # iterations
SHOWN = ("residual", "error", "object")
NOT_COMPARED = ("seconds", "data_passes")
IMAGES = {"kind": "images", "magnitude": "astronaut", "phase": "camera"}
LARGE = {
    "object": IMAGES | {"size": 160},
    "probe": {"kind": "fresnel-zone-plate", "size": 64, "defocus_m": -0.75e-3},
    "scan": {"kind": "jittered-raster", "overlap": 0.6, "jitter_px": 3},
    "noise": 0.05,
}
SMALL = {
    "object": IMAGES | {"size": 128},
    "probe": {"kind": "fresnel-zone-plate", "size": 32},
    "scan": {"kind": "raster", "overlap": 0.6},
    "noise": 0.05,
}
KNOWN: Mapping[str, Mapping[str, Any]] = {
    "large": LARGE,
    "large-noiseless": LARGE | {"noise": 0.0},
    "small": SMALL,
    "small-noiseless": SMALL | {"noise": 0.0},
}
UNKNOWN: Mapping[str, Mapping[str, Any]] = {
    "large-unknown": LARGE | {"start_probe": LARGE["probe"] | {"defocus_m": -0.92e-3}},
    "small-unknown": SMALL | {"start_probe": {"kind": "gaussian", "size": 32, "fwhm_px": 10}},
}
EITHER: Mapping[str, Mapping[str, Any]] = {
    "epie": {"name": "epie"},
    "rpie-0.01": {"name": "rpie", "alpha": 0.01},
    "rpie-0.05": {"name": "rpie", "alpha": 0.05},
    "emagpie-0.05": {"name": "emagpie", "alpha": 0.05, "levels": 4},
    "lsqml": {"name": "lsqml"},
}
KNOWN_ONLY: Mapping[str, Mapping[str, Any]] = {
    "mpie": {"name": "mpie"},
    "magpie-0.01": {"name": "magpie", "alpha": 0.01, "levels": 4},
    "magpie-0.05": {"name": "magpie", "alpha": 0.05, "levels": 4},
    "lbfgs": {"name": "lbfgs"},
}
UNKNOWN_ONLY: Mapping[str, Mapping[str, Any]] = {
    "epie-later": {"name": "epie", "probe_start": 2},
    "rpie-0.05-later": {"name": "rpie", "alpha": 0.05, "probe_start": 2},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="TEXT", help="rows with TEXT in their name"
    )
    parser.add_argument("--iterations", type=int, default=AFTER[-1])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--backends", default="torch", help="comma-separated, beside numpy")
    parser.add_argument("--name", default="rounding", help="of the file in benchmarks/results")
    options = parser.parse_args()
    forms = ["scipy", "plain", *filter(None, options.backends.split(","))]
    file = RESULTS / f"{options.name}.json"
    table: dict[str, Any] = json.loads(file.read_text())["drift"] if file.is_file() else {}
    with threads(1):
        for name, spec in specs(options.iterations):
            if any(text in name for text in options.only):
                table[name] = drifts(name, spec, forms, options.seeds)
    print(write(options.name, {"machine": machine(backend("numpy")), "after": AFTER, "drift": table}))


def specs(iterations: int) -> Iterator[tuple[str, RunSpec]]:
    """Name of a row, "complex64 large rpie-0.05", and what is run."""
    complete = Completion(Path.cwd())
    pairs = [*product(KNOWN.items(), (EITHER | KNOWN_ONLY).items())]
    pairs += product(UNKNOWN.items(), (EITHER | UNKNOWN_ONLY).items())
    for dtype, ((place, problem), (label, solver)) in product(("complex64", "complex128"), pairs):
        fields = {"problem": problem, "solver": solver, "dtype": dtype}
        stop = {"iterations": iterations, "check_every": 1}
        yield f"{dtype} {place} {label}", complete.run({**DEFAULTS, **fields, "stop": stop})


def drifts(name: str, spec: RunSpec, forms: list[str], seeds: int) -> dict[str, Any]:
    """Form -> quantity -> the largest drift over the seeds, after each number of iterations."""
    result: dict[str, Any] = {}
    for seed in range(seeds):
        usual = carry_out(replace(spec, seed=seed), "numpy")
        for form in forms:
            found = drift(usual, carry_out(replace(spec, seed=seed), form))
            known = result.setdefault(form, found)
            result[form] = {name: np.fmax(known[name], values).tolist() for name, values in found.items()}
    for form, found in result.items():
        result[form] = {name: " ".join(f"{value:.0e}" for value in found[name]) for name in sorted(found)}
        shown = (f"{quantity} {result[form][quantity]}" for quantity in SHOWN)
        print(f"{name:40} {form:6}", *shown, flush=True)
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
        result[name] = [float(np.nanmax(difference[: n + 1], initial=0.0)) for n in a.snapshots]
    for place, name in enumerate(("object", "probe")):
        result[name] = [distance(a.snapshots[n][place], b.snapshots[n][place]) for n in a.snapshots]
    return result


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(b - a) / np.linalg.norm(a))


@contextmanager
def scipys_transforms() -> Iterator[None]:
    """SciPy's transforms in place of ducc0's."""
    ducc, arrays.ducc = arrays.ducc, None
    try:
        yield
    finally:
        arrays.ducc = ducc


@contextmanager
def plain_functions() -> Iterator[None]:
    """Array functions in place of the compiled loops, wherever their names are known."""
    changed = [
        (module, name, function)
        for title, module in list(sys.modules.items())
        if title.startswith("ptychosuite.")
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
