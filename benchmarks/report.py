"""What a report costs: of studies that nobody computed, written as real ones are, drawn by the command.

    python benchmarks/report.py [--runs 100 1000] [--json FILE]

CPU seconds (user and system) and the largest memory of the process that draws, and the size of its page.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from ptychosuite.backends.arrays import backend
from ptychosuite.cluster.whole_sweep import session_content
from ptychosuite.core.plan import Plan
from ptychosuite.core.problem import Reference
from ptychosuite.core.runs import RunRecord, Status
from ptychosuite.execute.provenance import now, run_provenance
from ptychosuite.store.compact import compact
from ptychosuite.store.layout import Store
from ptychosuite.store.write import write_reference, write_run, write_session
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import load_study
from threadpoolctl import ThreadpoolController
from timing import machine

SIZE, PROBE = 256, 64
CURVES = "residual error relative_error gradient_norm poisson_nll poisson_deviance phase_rmse_rad".split()
STUDY = """\
study: drawn
problem:
  object: {{kind: texture, size: 256}}
  probe: {{kind: gaussian, size: 64, fwhm_px: 20}}
  scan: {{kind: raster, overlap: 0.5}}
stop: {{iterations: 100, residual: 0.02, continue_past_tolerance: on}}
axes:
  problem.noise: {noises}
  solver: [rpie, epie, lbfgs, {{name: magpie, levels: 2}}, {{name: magpie, levels: 5}}]
  seed: {{range: {seeds}}}
figures:
  - {{kind: setup}}
  - {{kind: convergence, metric: residual}}
  - {{kind: convergence, metric: error}}
  - {{kind: convergence, metric: residual, x: seconds}}
  - {{kind: images, where: {{noise: 0.1}}}}
  - {{kind: heatmap, x: noise, y: solver, value: error}}
"""

# A process begins with the peak memory of the one that started it, so that has to be a small one.
LAUNCHER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[100, 1000], help="multiples of 100")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    here = machine()
    print(f"{here['cpu']}, {here['cpu_count']} cores")
    print(f"{'runs':>6} {'CPU s':>8} {'MB':>7} {'page/MB':>8}")
    found = []
    for runs in options.runs:
        with tempfile.TemporaryDirectory() as folder:
            found.append(measure(Path(folder), runs))
        print("{runs:6d} {cpu_seconds:8.1f} {peak_megabytes:7.0f} {page_megabytes:8.2f}".format(**found[-1]))
    if options.json:
        options.json.write_text(json.dumps({"machine": here, "reports": found}, indent=1))


def measure(folder: Path, runs: int) -> dict[str, float]:
    """Draw a report of ``runs`` runs."""
    noises = 2 if runs <= 100 else 10
    study = folder / "drawn.yaml"
    levels = [round(0.1 * (place + 1), 1) for place in range(noises)]
    study.write_text(STUDY.format(noises=levels, seeds=runs // (5 * noises)))
    plan = make_plan(load_study(study, []))
    store = Store.create(folder / "results" / plan.name)
    write_session(store, "2030-01-01", session_content(plan, ["ptychosuite", "run"], "this process", now()))
    write(store, plan)
    compact(store)
    command = [sys.executable, "-m", "ptychosuite.cli", "report", study, "--results", folder / "results"]
    command += ["--out", folder / "reports"]
    words = [sys.executable, "-c", LAUNCHER, *map(str, command)]
    told = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    page = folder / "reports" / plan.name / "index.html"
    return {
        "runs": len(plan.runs),
        "cpu_seconds": float(told[0]),
        "peak_megabytes": float(told[1]) / 1e3,
        "page_megabytes": page.stat().st_size / 1e6,
    }


def write(store: Store, plan: Plan) -> None:
    """A record for each run; one in twenty failed."""
    rng = np.random.default_rng(0)
    provenance = {**run_provenance(backend("numpy"), ThreadpoolController()), "start": now(), "end": now()}
    truth = np.exp(1j * rng.random((SIZE, SIZE)))
    probe = np.hanning(PROBE)[:, None] * np.hanning(PROBE) + 0j
    positions = np.stack(np.meshgrid(*[np.arange(0, SIZE - PROBE + 1, 32)] * 2, indexing="ij"), -1).reshape(
        -1, 2
    )
    name = write_reference(store, Reference(truth, probe, positions))
    for number, (run_id, spec) in enumerate(zip(plan.run_ids, plan.runs, strict=True)):
        if number % 20 == 7:
            write_run(store, RunRecord(run_id, spec, Status.FAILED, message="broken", provenance=provenance))
            continue
        steps = np.arange(1.0, spec.stop["iterations"] + 2)
        curves = {metric: rng.lognormal(sigma=0.1) / steps for metric in CURVES}
        curves |= {"seconds": 0.01 * (steps - 1), "data_passes": steps - 1}
        metrics = {metric: float(curve[-1]) for metric, curve in curves.items()}
        metrics["iterations_to_tol"] = float(rng.integers(20, 100))
        noisy = (truth * rng.normal(1, 0.05, truth.shape)).astype(np.complex64)
        record = RunRecord(
            run_id, spec, Status.COMPLETED, metrics, curves, noisy, probe.astype(np.complex64),
            provenance=provenance, reference=name,
        )  # fmt: skip
        write_run(store, record)


if __name__ == "__main__":
    main()
