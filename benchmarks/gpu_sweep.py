"""A study carried out on a cluster by the command line, what its runs took and found. A part of ``gpu.py``.

python benchmarks/gpu_sweep.py STUDY --figures FILE --results FOLDER -- [options of ptychosuite run]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import ptychosuite
from parts import write_json

JUDGED = ("residual", "error")
SAME = ("solver", "alpha", "levels", "noise", "seed")  # what runs on two backends have in common
FIGURES = ("seconds_per_iteration", "seconds", "iterations", "residual", "error")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study")
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--results", required=True)
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    options = parser.parse_args(sys.argv[1:end])
    command = ["run", options.study, "--results", options.results, "--json", *sys.argv[end + 1 :]]
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "ptychosuite.cli", *command], stdout=subprocess.PIPE, text=True, check=False
    )
    seconds = time.monotonic() - begin
    print(done.stdout)
    if done.stdout.strip():
        said = json.loads(done.stdout.strip().splitlines()[-1])
        table = ptychosuite.open(said["results"]).table
        write_json(options.figures, {"counts": said["counts"], **figures(table, seconds)})
    sys.exit(done.returncode)


def figures(table: pd.DataFrame, seconds: float) -> dict[str, Any]:
    """Seconds of the whole command; medians of each solver on each backend; how far backends are apart."""
    if "backend" not in table:
        table = table.assign(backend="the study's")
    kinds = [name for name in ("backend", "solver", "levels") if name in table]
    medians = table.groupby(kinds, dropna=False)[[name for name in FIGURES if name in table]].median()
    return {
        "seconds_of_the_command": round(seconds, 1),
        "runs": len(table),
        "runs_per_second": round(len(table) / seconds, 2),
        "medians": json.loads(medians.reset_index().to_json(orient="records")),
        "largest_difference_from_numpy": differences(table),
    }


def differences(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Largest relative difference of a run's final figures from the same run's on NumPy, by backend."""
    same = [name for name in SAME if name in table]
    by_backend = {name: rows.set_index(same).sort_index() for name, rows in table.groupby("backend")}
    host = by_backend.pop("numpy", None)
    if host is None:
        return {}
    found: dict[str, dict[str, float]] = {}
    for name, rows in by_backend.items():
        for figure in (figure for figure in JUDGED if figure in table):
            apart = (rows[figure] / host[figure] - 1).abs()
            found.setdefault(str(name), {})[figure] = float(np.max(apart))
    return found


if __name__ == "__main__":
    main()
