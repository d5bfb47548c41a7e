"""The tests that need a GPU, counted by backend. A part of ``gpu.py``.

    python benchmarks/gpu_tests.py --figures FILE [--only EXPRESSION] [--processes N] [FILE ...]

Of the tests' files only those are read that have such tests: others may need packages that are not here.
It takes pytest, and pytest-timeout where it is installed.
Warnings are shown, and are no errors, as the libraries may be newer than those of ``constraints.txt``.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from parts import write_json

ROOT = Path(__file__).resolve().parents[1]
NEEDS_GPU = re.compile(r"each_backend|mark\.gpu")
TEST_S = 60  # for one test, the first of which also loads the libraries
MESSAGE_LINES = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--only", default="", help="as pytest's -k")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("files", type=Path, nargs="*", help="by default all with such tests")
    options = parser.parse_args()
    side_by_side = options.processes > 1 and find_spec("xdist") is not None
    arguments = [
        *("-m", "gpu", "-q", "--no-header", "-rfEs", "--tb=short", "-W", "default"),
        *("-p", "no:cacheprovider", f"--rootdir={ROOT}", *time_of_a_test()),
        *(["-k", options.only] if options.only else []),
        *(["-n", str(options.processes), "--dist", "worksteal"] if side_by_side else []),
        *map(str, options.files or files_with_gpu_tests()),
    ]
    counts = Counts(options.figures)
    try:
        code = pytest.main(arguments, plugins=[counts])
    finally:
        counts.write()
    sys.exit(int(code) or counts.nothing_passed())


def time_of_a_test() -> list[str]:
    """Arguments that limit it; without pytest-timeout those by which its settings are no error."""
    return [f"--timeout={TEST_S}"] if find_spec("pytest_timeout") else ["-o", "addopts="]


def files_with_gpu_tests() -> list[Path]:
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    return [file for file in files if NEEDS_GPU.search(file.read_text(encoding="utf-8"))]


class Counts:
    """What became of the tests so far: a plugin of pytest. Its file is there also when time is up."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[str, Counter[str]] = {}
        self.failures: list[dict[str, Any]] = []
        self.skips: Counter[str] = Counter()
        self.slowest: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            outcomes = self.outcomes.setdefault(backend_of(report.nodeid), Counter())
            outcomes[report.outcome] += 1
        if report.when == "call":
            self.slowest[report.nodeid] = report.duration
        if report.failed:
            lines = report.longreprtext.splitlines()[-MESSAGE_LINES:]
            self.failures.append({"test": report.nodeid, "when": report.when, "message": lines})
        if report.skipped:
            self.skips[skip_reason(report)] += 1
        if sum(map(Counter.total, self.outcomes.values())) % 20 == 0:
            self.write()

    def write(self) -> None:
        slowest = sorted(self.slowest.items(), key=lambda item: -item[1])[:10]
        content = {
            "outcomes": self.outcomes,
            "failures": self.failures,
            "skips": self.skips,
            "slowest_s": {name: round(seconds, 2) for name, seconds in slowest},
        }
        write_json(self.path, content)

    def nothing_passed(self) -> bool:
        """Tests that were all skipped have shown nothing."""
        return not any(outcomes["passed"] for outcomes in self.outcomes.values())


def backend_of(test: str) -> str:
    return next((name for name in ("torch-cuda", "cupy") if name in test), "any")


def skip_reason(report: pytest.TestReport) -> str:
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else report.longreprtext


if __name__ == "__main__":
    main()
