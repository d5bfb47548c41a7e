"""Seconds and iterations to the same misfit: our solvers beside those of pty-chi and cdtools, in one run.

    pip install 'ptychosuite[peers]'
    python benchmarks/peers.py [--problem beam|zone-plate] [--iterations 20] [--seconds 4] [--out FOLDER]

49 patterns of 128 x 128, noise 0.05, one thread, complex64; once with the probe known, once starting from a
wrong one, the same for all. The problems are like that of ``speed.py`` (``beam``) and section 5.1 of the
MAGPIE paper on bundled images (``zone-plate``).

The target is 1.05 times the residual of our rPIE after 20 iterations. Every contestant tries the settings of
``peers_contestants.py``, three at most; those that meet the target first are run again, in turn with the
other contestants', and medians are reported. A run that does not meet it in 4 s or 300 iterations counts
as "not in ...". Only the solvers' steps are on the clock, another package's on that of its own process;
conversions and metrics are not. All have compiled and allocated before. pty-chi is spared the default device
that it sets, which would cost it a fifth.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from peers_contestants import OURS, PTYCHI, Contestant, contestants
from peers_figure import draw
from ptychosuite.backends.arrays import backend
from ptychosuite.core.problem import Problem
from ptychosuite.core.runs import RunSpec, Status
from ptychosuite.execute.loop import Outcome, reconstruct
from ptychosuite.problems.build import build_problem
from ptychosuite.registry.lookup import build
from timing import machine, threads

MARGIN = 1.05
MOST_ITERATIONS = 300
ROUNDS = 2  # after the one that chose the settings

NOISE = 0.05


@dataclass(frozen=True)
class Case:
    """A problem, the probe that a blind start begins from, and the rPIE that sets the target."""

    settings: dict[str, Any]
    start_probe: dict[str, Any]
    reference: dict[str, Any]


BEAM = {"kind": "gaussian", "size": 128, "fwhm_px": 128 / 3, "curvature": 2.0}
ZONE_PLATE = {"kind": "fresnel-zone-plate", "size": 128, "defocus_m": -0.7e-3}
CASES = {
    "beam": Case(
        settings={
            "object": {"kind": "texture", "size": 320},
            "probe": BEAM,
            "scan": {"kind": "raster", "step_px": 32},
            "noise": NOISE,
        },
        start_probe={**BEAM, "curvature": 1.0},
        reference={"name": "rpie", "alpha": 0.3, "beta": 1.0},
    ),
    "zone-plate": Case(
        settings={
            "object": {"kind": "images", "magnitude": "astronaut", "phase": "camera", "size": 512},
            "probe": ZONE_PLATE,
            "scan": {"kind": "raster", "step_px": 64},
            "noise": NOISE,
        },
        start_probe={**ZONE_PLATE, "defocus_m": -0.8e-3},
        reference={"name": "rpie", "alpha": 0.03, "beta": 0.5},
    ),
}


@dataclass(frozen=True)
class Result:
    """How a contestant did with its best settings."""

    contestant: Contestant
    settings: dict[str, Any]
    seconds_per_iteration: float  # median
    iterations: int  # to the target, or until it was given up
    seconds: float  # the same; median over the rounds
    verdict: str  # "" where the target was met, "not in ..." or "diverged" where not
    residual: float
    curve_seconds: list[float]
    curve_residual: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", choices=CASES, default="beam")
    parser.add_argument("--iterations", type=int, default=20, help="of the rPIE that sets the target")
    parser.add_argument("--seconds", type=float, default=4.0, help="the longest a run may take")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", metavar="FOLDER")
    options = parser.parse_args()

    case = CASES[options.problem]
    races = {}
    with threads(1), np.errstate(all="ignore"):
        for title, more in {"known": {}, "blind": {"start_probe": case.start_probe}}.items():
            spec = RunSpec(problem={**case.settings, **more}, solver={}, stop={})
            races[title] = race(build_problem(spec, backend("numpy")), case.reference, options)
    for title, (target, results) in races.items():
        print_table(title, target, results)
        print_leads(results)
    stem = options.out / f"peers-{options.problem}"
    draw(races, stem.with_suffix(".png"))
    stem.with_suffix(".json").write_text(json.dumps(figures(options, races), indent=1))


def race(
    problem: Problem, reference: dict[str, Any], options: argparse.Namespace
) -> tuple[float, list[Result]]:
    """The target, and how every contestant did, the fastest first."""
    run = partial(run_once, problem, seconds=options.seconds)
    field = contestants(blind=not problem.probe_known)
    for contestant in field:
        run(contestant.tries[0], iterations=2)  # compiles and allocates
    target = MARGIN * run(reference, iterations=options.iterations, seconds=None).metrics["residual"]
    chosen = [choose(contestant, partial(run, target=target), options.seconds) for contestant in field]
    outcomes = [[outcome] for _, outcome in chosen]
    for _ in range(ROUNDS):
        for (settings, first), more in zip(chosen, outcomes, strict=True):
            if not verdict(first, target):
                more.append(run(settings, target=target))
    results = [
        summary(contestant, settings, runs, target)
        for contestant, (settings, _), runs in zip(field, chosen, outcomes, strict=True)
    ]
    return target, sorted(
        results, key=lambda r: (bool(r.verdict), r.seconds if not r.verdict else r.residual)
    )


def run_once(
    problem: Problem,
    settings: dict[str, Any],
    target: float | None = None,
    iterations: int = MOST_ITERATIONS,
    seconds: float | None = None,
) -> Outcome:
    """One reconstruction, until ``target`` is met or time or iterations are up; in one scan order."""
    stop = {
        "iterations": iterations,
        "seconds": seconds,
        "residual": target,
        "gradient": None,
        "continue_past_tolerance": False,
        "check_every": 1,
    }
    solver = build("solvers", settings)
    return reconstruct(problem, solver, stop, np.random.default_rng(0), backend("numpy"))


def choose(
    contestant: Contestant, run: Callable[..., Outcome], limit: float
) -> tuple[dict[str, Any], Outcome]:
    """The settings that meet the target first, or else come nearest; a try that is behind is given up."""
    best: tuple[dict[str, Any], Outcome] | None = None
    for settings in contestant.tries:
        outcome = run(settings, seconds=limit)
        if best is None or rank(outcome) < rank(best[1]):
            best = settings, outcome
        if np.isfinite(outcome.metrics["iterations_to_tol"]):
            limit = min(limit, outcome.metrics["seconds"])
    assert best is not None, "every contestant has settings to try"
    return best


def rank(outcome: Outcome) -> tuple[bool, float]:
    """Smaller is better: those that met the target by time, then the others by residual."""
    if np.isfinite(outcome.metrics["iterations_to_tol"]):
        return False, outcome.metrics["seconds"]
    return True, np.nan_to_num(outcome.metrics["residual"], nan=np.inf)


def verdict(outcome: Outcome, target: float) -> str:
    """Empty where ``target`` was met."""
    if outcome.metrics["residual"] < target:
        return ""
    if outcome.status is Status.DIVERGED:
        return "diverged"
    return f"not in {outcome.metrics['iterations']:.0f} iterations ({outcome.metrics['seconds']:.1f} s)"


def summary(contestant: Contestant, settings: dict[str, Any], runs: list[Outcome], target: float) -> Result:
    middle = sorted(runs, key=lambda outcome: outcome.metrics["seconds"])[len(runs) // 2]
    return Result(
        contestant=contestant,
        settings=settings,
        seconds_per_iteration=float(np.median([r.metrics["seconds_per_iteration"] for r in runs])),
        iterations=int(middle.metrics["iterations"]),
        seconds=middle.metrics["seconds"],
        verdict=verdict(middle, target),
        residual=middle.metrics["residual"],
        curve_seconds=middle.curves["seconds"].tolist(),
        curve_residual=middle.curves["residual"].tolist(),
    )


def print_table(title: str, target: float, results: list[Result]) -> None:
    print(f"\nprobe {title}: until the residual is below {target:.4g}")
    print(f"{'':34} {'ms/iteration':>12} {'iterations':>10} {'seconds':>9}   best of the settings tried")
    for r in results:
        reached = f"{r.iterations:10} {r.seconds:9.3f}" if not r.verdict else f"{r.verdict:>20}"
        chosen = ", ".join(f"{key} {value}" for key, value in r.settings.items() if key != "name")
        print(f"{r.contestant.label:34} {r.seconds_per_iteration * 1e3:12.1f} {reached}   {chosen}")


def print_leads(results: list[Result]) -> None:
    """How far ahead we are: of pty-chi's rPIE an iteration, and of the first of the peers to the target."""
    rpie = {r.contestant.package: r.seconds_per_iteration for r in results if r.contestant.method == "rPIE"}
    print(f"an iteration of rPIE takes pty-chi {rpie[PTYCHI] / rpie[OURS]:.1f} times as long as us")
    ours, peer = (
        next((r for r in results if (r.contestant.package == OURS) is wanted and not r.verdict), None)
        for wanted in (True, False)
    )
    if ours and peer:
        times = peer.seconds / ours.seconds
        print(f"{peer.contestant.label}, the first peer, takes {times:.1f} times as long as our first")


def figures(options: argparse.Namespace, races: Mapping[str, tuple[float, list[Result]]]) -> dict[str, Any]:
    """What the JSON file holds."""
    return {
        "problem": options.problem,
        **vars(CASES[options.problem]),
        "target": f"{MARGIN} x the residual of the reference after {options.iterations} iterations",
        "limits": {"seconds": options.seconds, "iterations": MOST_ITERATIONS},
        "machine": machine(),
        "threads": 1,
        "dtype": "complex64",
        "probe": {
            title: {"target": target, "results": [entry(r) for r in results]}
            for title, (target, results) in races.items()
        },
    }


def entry(result: Result) -> dict[str, Any]:
    fields = {key: value for key, value in vars(result).items() if key != "contestant"}
    contestant = result.contestant
    return {
        "package": contestant.package,
        "method": contestant.method,
        "tries": list(contestant.tries),
        **fields,
    }


if __name__ == "__main__":
    main()
