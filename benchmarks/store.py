"""The results store at scale: runs that nobody computed, written as real ones are, then found and compacted.

    python benchmarks/store.py [--runs 100000] [--folder DIR] [--json FILE]

Writing flushes every run to the disk unless ``--no-fsync`` is given, which makes the store sooner and changes
nothing else that is measured. Commands run as processes of their own; their time includes starting Python.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from ptychosuite.backends.arrays import backend
from ptychosuite.cluster.whole_sweep import session_content
from ptychosuite.core.plan import Plan
from ptychosuite.core.runs import RunRecord, RunSpec, Status
from ptychosuite.execute.provenance import now, run_provenance
from ptychosuite.store.compact import compact
from ptychosuite.store.layout import Store
from ptychosuite.store.write import write_run, write_session
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import load_study
from threadpoolctl import ThreadpoolController
from timing import machine

NEW_RUNS = 200  # that end between two compactions of a sweep
CURVES = "residual error relative_error gradient_norm poisson_nll poisson_deviance seconds".split()
STUDY = """\
study: many
problem:
  object: {{kind: texture, size: 32}}
  probe: {{kind: gaussian, size: 16, fwhm_px: 6}}
stop: {{iterations: 20}}
axes:
  problem.noise: [0.05, 0.1, 0.2, 0.4]
  solver: [rpie, {{name: magpie, levels: 2}}]
  seed: {{range: {seeds}}}
"""

# A process begins with the peak memory of the one that started it, so that has to be a small one.
LAUNCHER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@dataclass(frozen=True)
class Measurement:
    """Wall time and largest resident memory, that of a process of its own or of this one."""

    what: str
    seconds: float
    peak_megabytes: float
    number: int = 1  # of things that the time is for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100_000, help="a multiple of eight")
    parser.add_argument("--folder", type=Path, help="where to make the store; a temporary folder by default")
    parser.add_argument("--no-fsync", action="store_true", help="do not flush each run to the disk")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        measurements = measure(folder, options.runs, options.no_fsync)
    here = machine()
    print(f"{options.runs} runs, {here['cpu']}, {here['cpu_count']} cores")
    print(f"{'':52} {'s':>8} {'ms/run':>8} {'MB':>6}")
    for item in measurements:
        each = f"{item.seconds / item.number * 1e3:8.2f}" if item.number > 1 else f"{'':8}"
        print(f"{item.what:52} {item.seconds:8.2f} {each} {item.peak_megabytes:6.0f}")
    if options.json:
        content = {"runs": options.runs, "fsync": not options.no_fsync, "machine": here}
        content["measurements"] = [vars(item) for item in measurements]
        options.json.write_text(json.dumps(content, indent=1))


def measure(folder: Path, runs: int, no_fsync: bool) -> list[Measurement]:
    study = folder / "many.yaml"
    study.write_text(STUDY.format(seeds=runs // 8))
    planned = make_plan(load_study(study, []))
    results = folder / "results"
    store = Store.create(results / planned.name)
    write_session(store, "2030-01-01", session_content(planned, ["benchmark"], "this process", now()))
    most, last = split(planned)

    figures = [in_process("write runs", lambda: write(store, most, no_fsync), len(most))]
    figures.append(in_process("compact all", lambda: compact(store), len(most)))
    write(store, last, no_fsync=True)
    figures.append(in_process(f"compact {len(last)} new runs", lambda: compact(store), len(last)))
    figures.append(in_process("compact nothing new", lambda: compact(store)))
    figures.append(in_process("open study.zarr, select, load one curve", lambda: select(store)))
    command = [sys.executable, "-m", "ptychosuite.cli"]
    for name in ("plan", "run"):
        figures.append(
            command_time(f"command {name}, all done", [*command, name, study, "--results", results])
        )
    figures.append(
        command_time("command plan, nothing done", [*command, "plan", study, "--results", folder / "none"])
    )
    return figures


def split(planned: Plan) -> list[list[tuple[str, RunSpec]]]:
    """Runs with their ids: nearly all, and the last few."""
    pairs = list(zip(planned.run_ids, planned.runs, strict=True))
    return [pairs[:-NEW_RUNS], pairs[-NEW_RUNS:]]


def write(store: Store, runs: list[tuple[str, RunSpec]], no_fsync: bool) -> None:
    """Write a record for each run, by the path that real ones take."""
    rng = np.random.default_rng(0)
    provenance = {**run_provenance(backend("numpy"), ThreadpoolController()), "start": now(), "end": now()}
    image = np.ones((8, 8), dtype=np.complex64)
    flush = os.fsync
    if no_fsync:
        os.fsync = lambda descriptor: None
    try:
        for run_id, spec in runs:
            curves = {name: rng.random(spec.stop["iterations"] + 1) for name in CURVES}
            metrics = {name: float(curve[-1]) for name, curve in curves.items()}
            record = RunRecord(
                run_id, spec, Status.COMPLETED, metrics, curves, image, image, provenance=provenance
            )
            write_run(store, record)
    finally:
        os.fsync = flush


def select(store: Store) -> None:
    """What a reader does: all metrics by their factors, and the curve of one run."""
    runs = xr.open_zarr(str(store.dataset), chunks=None).set_index(run=["noise", "solver", "seed"])
    chosen = runs.sel(noise=0.4, solver="magpie", seed=3)
    assert np.isfinite(chosen.residual_curve.values).all()
    assert np.isfinite(runs.residual.values).sum() == runs.sizes["run"]


def in_process(what: str, action: Callable[[], object], number: int = 1) -> Measurement:
    begin = time.perf_counter()
    action()
    seconds = time.perf_counter() - begin
    return Measurement(what, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, number)


def command_time(what: str, command: list[object]) -> Measurement:
    begin = time.perf_counter()
    words = [sys.executable, "-c", LAUNCHER, *map(str, command)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    return Measurement(what, time.perf_counter() - begin, float(done.stdout) / 1e3)


if __name__ == "__main__":
    main()
