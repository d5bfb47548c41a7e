"""What probe modes and position correction cost an iteration.

    python benchmarks/experiment.py [--probe 64] [--side 12] [--rounds 9]

Solvers with an unknown probe on side x side positions between pixels (NumPy, one thread): one mode and three,
positions as given and corrected, all in turns. Figures are lower quartiles, and ratios of them; they go, with
the machine's description, to benchmarks/results/experiment.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ptychosuite.backends.arrays import backend
from timing import machine, make_problem, stepper, threads, typical_seconds, write

SOLVERS: Mapping[str, Mapping[str, Any]] = {
    "ePIE": {"name": "epie"},
    "rPIE": {"name": "rpie", "alpha": 0.1},
    "eMAGPIE": {"name": "emagpie"},
    "LSQML": {"name": "lsqml"},
    "Adam": {"name": "adam"},
}
WAYS: Mapping[str, Mapping[str, Any]] = {
    "one mode": {},
    "three modes": {"probe_modes": 3},
    "gradient": {"positions": "gradient", "positions_start": 0},
    "cross-correlation": {"positions": "cross-correlation", "positions_start": 0},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--probe", type=int, default=64, help="pixels of the probe on a side")
    parser.add_argument("--side", type=int, default=12, help="positions along one side of the scan")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    chosen, ratios = backend("numpy"), {}
    with threads(1):
        problem = make_problem(options.side, options.probe, "complex64", chosen, overlap=0.75)
        problem = replace(problem.at(problem.positions_px + 0.3), probe_known=False)
        print(f"{problem.n_positions} patterns of {options.probe} x {options.probe}")
        for label, solver in SOLVERS.items():
            actions = {way: stepper(problem, {**solver, **settings}) for way, settings in WAYS.items()}
            seconds = typical_seconds(actions, options.rounds, chosen)
            ratios[label] = {way: value / seconds["one mode"] for way, value in seconds.items()}
            shown = "".join(f"{way:>18}{ratios[label][way]:6.2f}" for way in list(WAYS)[1:])
            print(f"{label:8}{seconds['one mode'] * 1e3:8.1f} ms{shown}", flush=True)
    print(write("experiment", {**vars(options), "machine": machine(chosen), "ratios": ratios}))


if __name__ == "__main__":
    main()
