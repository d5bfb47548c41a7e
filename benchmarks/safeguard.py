"""Does the safeguard keep good jumps and pass over bad ones, and what does it cost?

    python benchmarks/safeguard.py [--objects 2] [--noise 0.5 5] [--warm-up 13] [--afterwards 40]

Held-out objects behind lenses from a wrong focus (100 patterns of 32 x 32, NumPy, one thread). After the
warm-up each solver is made the proposals below, some good, some meant to harm, and each jump is judged once
in the middle of the scan and once on all patterns. Whether it was good is told by the iterations afterwards,
with the jump and without: it is where the deviance ends lower by more than three scan orders differ, bad
where it ends as much higher, and else neither. Figures go to benchmarks/results/safeguard.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from ptychosuite.backends.arrays import backend
from ptychosuite.core.jumps import Schedule
from ptychosuite.core.problem import Problem
from ptychosuite.fastforward.apply import FastForward
from ptychosuite.metrics.misfit import poisson_deviance
from ptychosuite.problems.build import build_problem
from ptychosuite.registry.lookup import build
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import study_of
from timing import machine, threads, write

NUMPY = backend("numpy")
OBJECTS = (
    {"kind": "images", "magnitude": "astronaut", "phase": "camera", "size": 104},
    {"kind": "siemens-star", "spokes": 20, "size": 104},
    {"kind": "images", "magnitude": "coffee", "phase": "clock", "phase_range": 1.0, "size": 104},
    {"kind": "images", "magnitude": "cat", "phase": "coins", "size": 104},
)
PROBES = (
    ({"kind": "lens", "size": 32, "aperture_px": 8, "defocus_rad": 6.0}, {"defocus_rad": 7.4}),
    (
        {"kind": "lens", "size": 32, "aperture_px": 8, "defocus_rad": 5.0, "coma_rad": 0.5},
        {"defocus_rad": 6.0},
    ),
)
SOLVERS = {
    "ePIE": {"name": "epie"},
    "rPIE": {"name": "rpie", "alpha": 0.3, "beta": 1.0},
    "LSQML": {"name": "lsqml"},
    "Adam": {"name": "adam", "batch": 16},
}
WAYS: Mapping[str, int | None] = {"middle": 25, "all": None}
Fields = tuple[np.ndarray, np.ndarray]


def network(problem: Problem, now: Any, before: Any) -> Fields:
    return _operator("network").advance(problem, now, before)


def truth_half(problem: Problem, now: Any, before: Any) -> Fields:
    return _operator("truth", share=0.5).advance(problem, now, before)


def extrapolation(problem: Problem, now: Any, before: Any) -> Fields:
    return _operator("extrapolation", factor=6.0).advance(problem, now, before)


def back(problem: Problem, now: Any, before: Any) -> Fields:
    """Half of the way back to ten iterations ago: a slightly worse state."""
    return (now.object + before.object) / 2, (now.probe + before.probe) / 2


def noise(problem: Problem, now: Any, before: Any) -> Fields:
    """Ten per cent of noise."""
    real, imaginary = np.random.default_rng(0).standard_normal((2, *now.object.shape))
    return (now.object + 0.07 * (real + 1j * imaginary)).astype(now.object.dtype), now.probe


def elsewhere(problem: Problem, now: Any, before: Any) -> Fields:
    """What the network says in the middle, and the start outside of it."""
    obj, probe = network(problem, now, before)
    y, x = np.indices(obj.shape)
    far = np.maximum(abs(y - obj.shape[0] / 2), abs(x - obj.shape[1] / 2)) > obj.shape[0] / 3
    return np.where(far, problem.start_object, obj), probe


def other(problem: Problem, now: Any, before: Any) -> Fields:
    """The state of another problem: this one turned round."""
    return now.object[::-1, ::-1].copy(), now.probe


PROPOSALS = (network, truth_half, extrapolation, back, noise, elsewhere, other)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--objects", type=int, default=2, help="of four, each behind one probe")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.5, 5.0])
    parser.add_argument("--warm-up", type=int, default=13, help="iterations before the jump")
    parser.add_argument(
        "--afterwards", type=int, default=25, help="iterations after which a jump was good or bad"
    )
    parser.add_argument("--solvers", nargs="+", choices=SOLVERS, default=list(SOLVERS))
    options = parser.parse_args()
    found = []
    with threads(1):
        for number in range(options.objects):
            for level in options.noise:
                problem = problem_of(number, level)
                for name in options.solvers:
                    run = Run(problem, build("solvers", SOLVERS[name]), options.warm_up, options.afterwards)
                    found += [{"object": number, "noise": level, "solver": name, **row} for row in run.rows()]
                    print(f"object {number}, noise {level:g}, {name}", flush=True)
    show(found)
    print(write("safeguard", {**vars(options), "machine": machine(NUMPY), "jumps": found}))


def problem_of(number: int, noise: float) -> Problem:
    probe, start = PROBES[number % len(PROBES)]
    study = {
        "study": "safeguard",
        "problem": {
            "object": OBJECTS[number],
            "probe": probe,
            "start_probe": {**probe, **start},
            "scan": {"kind": "jittered-raster", "overlap": 0.75, "jitter_px": 2},
            "noise": noise,
        },
        "solver": "epie",
        "stop": {"iterations": 1},
    }
    (spec,) = make_plan(study_of(study)).runs
    return build_problem(spec, NUMPY)


@dataclass(frozen=True)
class Run:
    """A solver after its warm-up, and what becomes of it with each of the proposals and without."""

    problem: Problem
    solver: Any
    warm_up: int
    afterwards: int

    def rows(self) -> Iterator[dict[str, Any]]:
        schedule = Schedule(warm_up=self.warm_up, jumps=1)
        alone = FastForward(self.solver, schedule, network, NUMPY)
        state, rng = alone.init(self.problem), np.random.default_rng(0)
        for _ in range(self.warm_up):
            state = alone.step(self.problem, state, rng)
        plain = [self.end(state.inner, seed) for seed in range(3)]
        spread = max(plain) - min(plain)
        for proposal in PROPOSALS:
            forced = self.jump(proposal, state, replace(schedule, safeguard=False))[1]
            end = self.end(forced.inner, 0, forced.iteration - self.warm_up)
            gain = plain[0] - end
            outcome = "good" if gain > spread else "bad" if gain < -spread else "neither"
            judged = {
                way: self.judged(proposal, state, replace(schedule, judged_on=judged_on))
                for way, judged_on in WAYS.items()
            }
            yield {
                "proposal": proposal.__name__,
                "outcome": outcome,
                "gain": gain,
                "spread": spread,
                **judged,
            }

    def jump(self, proposal: Callable[..., Fields], state: Any, schedule: Schedule) -> tuple[float, Any]:
        """Seconds, and the state after the iteration in which the jump is judged."""
        carried = FastForward(self.solver, schedule, proposal, NUMPY)
        begin = time.perf_counter()
        after = carried.step(self.problem, state, np.random.default_rng(0))
        return time.perf_counter() - begin, after

    def judged(self, proposal: Callable[..., Fields], state: Any, schedule: Schedule) -> dict[str, Any]:
        """The verdict, and what it cost beside the run's own iterations."""
        seconds, after = self.jump(proposal, state, schedule)
        (jump,) = after.jumps
        begin = time.perf_counter()
        self.solver.step(self.problem, self.solver.copied(state.inner), np.random.default_rng(0))
        iteration = time.perf_counter() - begin
        own = iteration * (1 + len(after.ahead))
        return {
            "step": jump.step,
            "asked": jump.asked,
            "reason": jump.reason,
            "passes": after.passes_beside,
            "iterations": (seconds - jump.seconds_inference - own) / iteration,
        }

    def end(self, state: Any, seed: int, done: int = 0) -> float:
        """The deviance after the iterations afterwards, of which some are done."""
        rng = np.random.default_rng(seed)
        for _ in range(self.afterwards - done):
            state = self.solver.step(self.problem, state, rng)
        return poisson_deviance(self.problem, state.object, state.probe)


def show(rows: list[dict[str, Any]]) -> None:
    """Shares of the jumps that were kept, and iterations that the verdict cost."""
    for solver in (*dict.fromkeys(row["solver"] for row in rows), None):
        mine = [row for row in rows if solver in (None, row["solver"])]
        print(f"\n{solver or 'all solvers'}")
        for way in WAYS:
            shares = []
            for outcome in ("good", "neither", "bad"):
                of_it = [row[way]["step"] > 0 for row in mine if row["outcome"] == outcome]
                shares.append(f"{outcome} kept {np.mean(of_it) if of_it else np.nan:.2f} of {len(of_it)}")
            kept, passed = (
                np.median(
                    [row[way]["passes"] for row in mine if (row[way]["step"] > 0) == chosen] or [np.nan]
                )
                for chosen in (True, False)
            )
            print(
                f"  {way:8}{', '.join(shares)}; median passes {kept:.1f} where kept, {passed:.1f} where not"
            )


def _operator(kind: str, **settings: Any) -> Any:
    return build("operators", {"kind": kind, **settings})


if __name__ == "__main__":
    main()
