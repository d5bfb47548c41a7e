"""What fine-tuning the fast-forward to one's own instrument gains, and whether it is done in time.

    python benchmarks/fine_tune.py [--past 40] [--minutes 15] [--later 40] [--results FOLDER]

One instrument (a zone plate's pupil, whose focus and aberrations differ from scan to scan) and the solver
that its users run, Adam at 0.01. The scans of the past are files, of which nobody knows the truth,
reconstructed by 300 iterations; ``ptychosuite fine-tune`` learns from them. Later scans, of other objects and
stronger aberrations, are then carried ahead by the bundled network and by the fine-tuned one, and timed to
the likelihood that the plain run ends with. Figures go to benchmarks/results/fine_tune.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import ptychosuite
from timing import machine, threads, write

PUPIL = {"kind": "lens", "size": 64, "aperture_px": 24, "stop_share": 0.33}
AS_WRITTEN_DOWN = {**PUPIL, "defocus_rad": 19.0}
SCAN = {"kind": "jittered-raster", "overlap": 0.84, "jitter_px": 2}
SOLVER = {"name": "adam", "likelihood": "amplitude", "learning_rate": 0.01, "schedule": "plateau"}
JUMPS = {"kind": "network", "warm_up": 20, "jumps": 3, "spacing": 15, "look_ahead": 15}
PAST_OBJECTS = (
    {"kind": "dead-leaves", "size": 160, "leaves": 600},
    {"kind": "dead-leaves", "size": 160, "leaves": 250, "radius_px_min": 6, "phase_range": 2.4},
    {"kind": "texture", "size": 160, "exponent": 3},
    {"kind": "circuit", "size": 160, "border": 0},
)
LATER_OBJECTS = (
    {"kind": "images", "magnitude": "astronaut", "phase": "camera", "size": 160},
    {"kind": "images", "magnitude": "cat", "phase": "coins", "size": 160},
    {"kind": "images", "magnitude": "coffee", "phase": "clock", "size": 160, "phase_range": 1.0},
    {"kind": "siemens-star", "spokes": 36, "size": 160},
)
LENGTHS = {"energy_kev": 8.0, "distance_m": 2.0, "detector_pixel_m": 75e-6}
ITERATIONS, AT = 300, (100, 200, 300)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--past", type=int, default=40, help="scans to learn from and to judge by")
    parser.add_argument("--minutes", type=float, default=15, help="what the fine-tuning may take")
    parser.add_argument("--later", type=int, default=40, help="scans that are carried ahead afterwards")
    parser.add_argument("--batch", type=int, default=50, help="patterns a step")
    parser.add_argument("--results", type=Path, default=Path("results/fine-tune"), help="for the runs")
    options = parser.parse_args()
    place, solver = options.results.resolve(), {**SOLVER, "batch": options.batch}
    with threads(1):
        past = ptychosuite.run(of_the_past(place / "scans", options.past, solver), results=place / "past")
        begin = time.monotonic()
        tuned = ptychosuite.fine_tune(past.results, place / "instrument.safetensors", minutes=options.minutes)
        minutes = (time.monotonic() - begin) / 60
        print(f"{minutes:.1f} minutes\n{tuned}", flush=True)
        later = carried_ahead(tuned.checkpoint, options.later, solver)
        ptychosuite.run(later, results=place / "later", cluster="none")
    asked = {name: value for name, value in vars(options).items() if name != "results"}
    said = {name: value for name, value in tuned.to_dict().items() if name not in ("file", "checkpoint")}
    found = {"fine_tuning": {"took_minutes": minutes, **said}, "later": saved(later, place)}
    print(json.dumps(found["later"], indent=1))
    print(write("fine_tune", {**asked, "machine": machine(), **found}))


def of_the_past(folder: Path, scans: int, solver: Mapping[str, Any]) -> dict[str, Any]:
    """A study over files, each of which is written as another program would have it."""
    rng, files = np.random.default_rng(0), []
    for number in range(scans):
        problem = {
            "object": {**PAST_OBJECTS[number % len(PAST_OBJECTS)], "pattern": number},
            **beam(rng, focus_rad=4.0, aberration_rad=1.0),
            "scan": SCAN,
            "noise": (0.5, 2.0)[number % 2],
        }
        file = folder / f"scan-{number:03}.cxi"
        ptychosuite.convert(
            {"study": "scan", "problem": problem, "seed": number}, file, "cxi", LENGTHS, force=True
        )
        files.append(str(file))
    return {
        "study": "past",
        "problem": {"kind": "file"},
        "solver": dict(solver),
        "stop": {"iterations": ITERATIONS, "check_every": ITERATIONS},
        "axes": {"problem.path": files},
    }


def carried_ahead(checkpoint: Path, scans: int, solver: Mapping[str, Any]) -> dict[str, Any]:
    """A study of later scans: alone, and carried ahead by either network."""
    rng = np.random.default_rng(1)
    beams = [beam(rng, focus_rad=5.0, aberration_rad=1.5) for _ in range(scans)]
    objects = [LATER_OBJECTS[number % len(LATER_OBJECTS)] for number in range(scans)]
    return {
        "study": "later",
        "problem": {"scan": SCAN, "noise": 0.5},
        "solver": dict(solver),
        "stop": {"iterations": ITERATIONS, "check_every": 5},
        "axes": {"fast_forward": ["off", JUMPS, {**JUMPS, "checkpoint": str(checkpoint)}]},
        "zip": [
            {
                "problem.object": objects,
                "problem.probe": [each["probe"] for each in beams],
                "problem.start_probe": [each["start_probe"] for each in beams],
                "seed": list(range(scans)),
            }
        ],
        "figures": [
            {"kind": "speed-up", "key": key, "at": at, **asked}
            for at in AT
            for key, asked in {
                f"nll-{at}-seconds": {},
                f"nll-{at}-iterations": {"x": "iteration"},
                f"phase-{at}-iterations": {"x": "iteration", "metric": "phase_rmse_rad"},
            }.items()
        ],
    }


def beam(rng: np.random.Generator, focus_rad: float, aberration_rad: float) -> Mapping[str, Any]:
    """The probe as it is, and as it is written down."""
    found = {
        "defocus_rad": AS_WRITTEN_DOWN["defocus_rad"] + rng.uniform(-focus_rad, focus_rad),
        "astigmatism_rad": rng.uniform(0, aberration_rad),
        "astigmatism_angle_rad": rng.uniform(0, np.pi),
        "coma_rad": rng.uniform(0, aberration_rad),
        "coma_angle_rad": rng.uniform(0, 2 * np.pi),
    }
    found = {name: round(float(value), 2) for name, value in found.items()}
    return {"probe": {**PUPIL, **found}, "start_probe": dict(AS_WRITTEN_DOWN)}


def saved(study: Mapping[str, Any], place: Path) -> dict[str, Any]:
    """By network: how many times as soon plain's end is reached, and how the runs end."""
    drawn = ptychosuite.figures(study, results=place / "later", out=place / "figures")
    found: dict[str, Any] = {}
    for key in (figure["key"] for figure in study["figures"]):
        table = pd.read_csv(drawn.path / "numbers" / f"{key}.csv")
        for line, pairs in table.groupby(table["line"].str.contains("checkpoint")):
            saved_times = pairs["speed_up"].fillna(0)  # plain alone gets there
            figures = found.setdefault("fine-tuned" if line else "bundled", {})
            figures[key] = {
                "median": saved_times.median(),
                "pairs": saved_times.round(3).tolist(),
                "outcomes": pairs["outcome"].value_counts().to_dict(),
                "final_over_plain": pairs["final_ratio"].round(4).tolist(),
            }
    return found


if __name__ == "__main__":
    main()
