"""Does a check of times cry wolf on a busy machine, and does it see a slowdown?

    python benchmarks/false_alarms.py [--checks 20] [--slower 1.2] [--name false_alarms]

Each check times the package beside its own checkout, as ``ptychosuite check --time-against`` does, while
another process keeps a second core busy. Without ``--slower`` nothing has changed and every alarm is a false
one; with it rPIE takes that many times as long, and a check that is silent about it has missed it. Figures
go to benchmarks/results/NAME.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ptychosuite.analysis.time_ratio import TimeRatio
from ptychosuite.analysis.verdict import Judgement
from ptychosuite.core.plan import Plan
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import load_study
from ptychosuite.timing.cases import cases
from ptychosuite.timing.compare import CaseTimes, SideBySide, findings, free_core
from ptychosuite.timing.other_version import head, other_version
from timing import machine, write

from tests.timing import planted

STUDY = """\
study: false-alarms
problem:
  object: {kind: texture, size: 256}
  probe: {kind: gaussian, size: 64, fwhm_px: 24, curvature: 2.0}
stop: {iterations: 40}
axes:
  solver: [rpie, {name: magpie, levels: 3}]
"""
SLOWED = "rpie"
LOAD = """
import os
import numpy as np
image = np.random.default_rng(0).standard_normal((1024, 1024))
parent = os.getppid()
while os.getppid() == parent:
    np.fft.ifft2(np.fft.fft2(image))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checks", type=int, default=20)
    parser.add_argument("--slower", type=float, metavar="FACTOR", help="plant a slowdown of rPIE")
    parser.add_argument("--name", default="false_alarms", help="of the file in benchmarks/results")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        repository = planted.repository(Path(folder) / "repository")
        if options.slower:
            planted.make_slower(repository, "pie", "RPIE", options.slower)
        (repository / "study.yaml").write_text(STUDY)
        plan = make_plan(load_study(repository / "study.yaml"))
        checks = []
        for number in range(options.checks):
            checks.append(check(plan, repository))
            print(
                f"{number + 1:3}",
                *(f"{c['case']}: {c['judgement']}" for c in checks[-1]["cases"]),
                flush=True,
            )
            figures = summary(checks)
            write(options.name, {"slower": options.slower, "machine": machine(), **figures, "each": checks})
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):40} {value:.3g}")


def check(plan: Plan, repository: Path) -> dict[str, Any]:
    """One check, with what it found of every case."""
    begin = time.monotonic()
    core = free_core()
    side_by_side = SideBySide(other_version("start", repository), head(repository), core)
    times = CaseTimes(side_by_side, lambda *_: None)
    with other_core_busy(core):
        times.hold(cases(plan))
    found = []
    for finding in findings(times):
        samples = times.confirmations.get(finding.subject) or times.screens[finding.subject]
        assert samples.pairs, finding.message
        found.append(
            {
                "case": finding.subject,
                "judgement": str(finding.judgement),
                "ratio": finding.ratio,
                "interval": finding.interval,
                "interval_of_wall_clock": TimeRatio.of(samples.wall).interval,
                "confirmed": finding.subject in times.confirmations,
                "pairs": len(samples.pairs),
                "share_of_core": samples.to_dict()["share_of_core"],
            }
        )
    return {"minutes": (time.monotonic() - begin) / 60, "load": os.getloadavg()[0], "cases": found}


@contextmanager
def other_core_busy(core: int | None) -> Iterator[None]:
    """A process that keeps a core busy which is not ``core``, where there is another."""
    others = sorted(os.sched_getaffinity(0) - {core})
    process = subprocess.Popen([sys.executable, "-c", LOAD], env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        os.sched_setaffinity(process.pid, others[:1] or {core})
        yield
    finally:
        process.kill()
        process.wait()


def summary(checks: list[dict[str, Any]]) -> dict[str, float]:
    """Counts of judgements over all checks, of checks that alarmed, and how sharp they were."""
    found = [case for check in checks for case in check["cases"]]
    slowed = [case for case in found if case["case"] == SLOWED]
    others = [case for case in found if case["case"] != SLOWED]

    def count(cases_of: list[dict[str, Any]], judgement: Judgement) -> int:
        return sum(case["judgement"] == str(judgement) for case in cases_of)

    def width(key: str) -> float:
        return statistics.median(case[key][1] - case[key][0] for case in found)

    return {
        "checks": len(checks),
        "cases": len(found),
        "regressions_of_rpie": count(slowed, Judgement.REGRESSION),
        "regressions_of_others": count(others, Judgement.REGRESSION),
        "improvements": count(found, Judgement.IMPROVEMENT),
        "could_not_judge": count(found, Judgement.UNDECIDED),
        "sent_on_to_confirm": sum(case["confirmed"] for case in found),
        "median_interval_width": width("interval"),
        "median_interval_width_of_wall_clock": width("interval_of_wall_clock"),
        "median_share_of_core": statistics.median(case["share_of_core"] for case in found),
        "median_minutes_a_check": statistics.median(check["minutes"] for check in checks),
        "median_load": statistics.median(check["load"] for check in checks),
    }


if __name__ == "__main__":
    main()
