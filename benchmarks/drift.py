"""How far quality figures move where nothing but rounding changed: the reason for the tolerances of a check.

    python benchmarks/drift.py [--iterations 50] [--seeds 2] [--json FILE]

Every solver runs once as it is and once in each way that computes the same: SciPy's transforms in place
of ducc0's, the plain array forms in place of the compiled loops, torch in place of NumPy. Beside these stand
small faults that a check has to see. Each way is a process of its own; the largest relative change over seeds
and noise levels is reported, by precision, solver, metric and iteration.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from timing import machine

RESULTS = Path(__file__).parent / "results" / "drift.json"
SAME = ("again", "scipy", "plain", "torch")  # ways to compute the same
FAULTS = ("coarse-level", "order", "alpha")
METRICS = ("residual", "error", "poisson_nll", "poisson_deviance", "phase_rmse_rad", "nmse", "gradient_norm")
AT = (1, 2, 5, 10, 25, 50)  # where metrics are computed by default
NOISE = (0.0, 0.05)
PROBLEM = {
    "object": {"kind": "images", "magnitude": "astronaut", "phase": "camera", "size": 128},
    "probe": {"kind": "fresnel-zone-plate", "size": 32},
    "scan": {"kind": "raster", "overlap": 0.6},
}
START_PROBE = {"kind": "gaussian", "size": 32, "fwhm_px": 10}
KNOWN = ("epie", "rpie", "mpie", "lsqml", "lbfgs", {"name": "magpie", "levels": 3})
UNKNOWN = ("epie", "rpie", "emagpie", "lsqml")
FIGURES = ("frc_resolution_px", "frc_crossing")  # of the end alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--iterations", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE")
    parser.add_argument("--way", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(dict(figures(options.way, options.iterations, options.seeds))))
        return
    ways = {way: in_own_process(way, options.iterations, options.seeds) for way in ("as is", *SAME, *FAULTS)}
    changes = {way: largest_changes(ways["as is"], ways[way]) for way in (*SAME, *FAULTS)}
    for way in changes:
        print_changes(way, changes[way])
    content = {"iterations": options.iterations, "seeds": options.seeds, "machine": machine()}
    options.json.write_text(json.dumps(content | {"largest_relative_change": changes}, indent=1))


def in_own_process(way: str, iterations: int, seeds: int) -> dict[str, dict[str, float]]:
    """The figures of one way, computed where nothing of another way is loaded."""
    command = [sys.executable, __file__, "--way", way]
    command += ["--iterations", str(iterations), "--seeds", str(seeds)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


def figures(way: str, iterations: int, seeds: int) -> Iterator[tuple[str, dict[str, float]]]:
    """ "dtype/solver/noise/seed" -> "metric@iteration" -> value."""
    from suite.execute.run import execute

    take(way)
    for label, spec in runs(iterations, seeds):
        if way == "torch":
            spec = replace(spec, backend="torch")
        if way == "alpha" and "alpha" in spec.solver:
            spec = replace(spec, solver={**spec.solver, "alpha": 1.01 * spec.solver["alpha"]})
        record, _ = execute(spec)
        curves = {
            f"{name}@{at}": float(record.curves[name][at])
            for name, at in product(METRICS, AT)
            if name in record.curves and at < len(record.curves[name])
        }
        yield label, curves | {name: record.metrics[name] for name in FIGURES if name in record.metrics}


def runs(iterations: int, seeds: int) -> Iterator[tuple[str, Any]]:
    """All runs of one way, each with its label."""
    from suite.study.schema import DEFAULTS, Completion

    complete = Completion(Path.cwd())
    solvers = [(s, None) for s in KNOWN] + [(s, START_PROBE) for s in UNKNOWN]
    for dtype, (solver, start), noise, seed in product(
        ("complex64", "complex128"), solvers, NOISE, range(seeds)
    ):
        name = solver if isinstance(solver, str) else solver["name"]
        problem = {**PROBLEM, "noise": noise} | ({"start_probe": start} if start else {})
        stop = {"iterations": iterations, "check_every": None}
        fields = {"problem": problem, "solver": solver, "stop": stop, "dtype": dtype, "seed": seed}
        blind = " blind" if start else ""
        yield f"{dtype}/{name}{blind}/{noise}/{seed}", complete.run({**DEFAULTS, **fields})


def take(way: str) -> None:
    """Prepare this process for ``way``."""
    from suite.core import kernels, numpy_fft
    from suite.core.run import RunSpec

    if way == "scipy":
        numpy_fft.ducc = None
    if way == "plain":
        for name, plain in plain_forms():
            setattr(kernels, name, plain)
    if way == "coarse-level":
        disturb_coarse_level(kernels)
    if way == "order":
        drawn = RunSpec.rng
        RunSpec.rng = lambda spec, purpose: drawn(spec, purpose.replace("order", "other order"))


def plain_forms() -> Iterator[tuple[str, Any]]:
    """What :func:`suite.core.arrays.accelerated` wraps, by name."""
    import suite.metrics.misfit
    import suite.physics.likelihood
    import suite.solvers.emagpie
    import suite.solvers.multigrid
    import suite.solvers.pie

    for module in (
        suite.metrics.misfit,
        suite.physics.likelihood,
        suite.solvers.emagpie,
        suite.solvers.multigrid,
        suite.solvers.pie,
    ):
        for name, function in vars(module).items():
            if hasattr(function, "__wrapped__"):
                yield name, function.__wrapped__


def disturb_coarse_level(kernels: Any) -> None:
    """Make the weights of the first coarse level one part in a thousand too large, in the plain form."""
    from suite.solvers import multigrid

    def disturbed(probe: Any, regulariser: Any, levels: int) -> Any:
        first, *rest = multigrid.hierarchy.__wrapped__(probe, regulariser, levels)
        return (replace(first, weight=first.weight * np.float32(1.001)), *rest)

    kernels.hierarchy, kernels.v_cycle = disturbed, multigrid.v_cycle.__wrapped__


def largest_changes(
    before: dict[str, dict[str, float]], after: dict[str, dict[str, float]]
) -> dict[str, dict[str, float]]:
    """ "dtype/solver" -> "metric@iteration" -> largest |after / before - 1| over noise levels and seeds."""
    largest: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for label, values in before.items():
        group = "/".join(label.split("/")[:2])
        for name, value in values.items():
            change = abs(after[label][name] - value) / abs(value) if value else abs(after[label][name])
            largest[group][name] = max(largest[group][name], float(f"{change:.1e}"))
    return largest


def print_changes(way: str, changes: dict[str, dict[str, float]], at: Sequence[int] = AT) -> None:
    print(f"\n{way}\n{'':28}" + "".join(f"{name:>42}" for name in ("residual", "error", "poisson_nll")))
    print(f"{'':28}" + "".join(f"{i:>8}" for i in at) * 3)
    for group, values in changes.items():
        row = "".join(
            f"{values.get(f'{name}@{i}', float('nan')):8.0e}"
            for name in ("residual", "error", "poisson_nll")
            for i in at
        )
        print(f"{group:28}{row}")


if __name__ == "__main__":
    main()
