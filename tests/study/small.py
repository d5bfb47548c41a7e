"""Small studies for tests: written to a folder, planned, and carried out, in other processes too."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ptychosuite.cluster.cluster_file import connect
from ptychosuite.cluster.whole_sweep import Tally, sweep, to_do
from ptychosuite.cluster.work import Terms
from ptychosuite.core.plan import Plan
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.fingerprint import SOURCES
from ptychosuite.store.layout import Store
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import load_study, parse_override

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-m", "ptychosuite.cli"]

# five lines, so that what a test adds begins on line 6
HEAD = """\
study: tiny
problem:
  object: {kind: texture, size: 32}
  probe: {kind: gaussian, size: 16, fwhm_px: 6}
stop: {iterations: 3}
"""

AXES = "axes:\n  solver: [rpie, {name: magpie, levels: 2}]\n  seed: {range: 2}\n"

TEST_SOLVERS = (
    "raises", "kills", "slow", "held", "no-device", "diverges", "segfaults", "holds-gil", "eats-memory",
    "misbehaves",
)  # fmt: skip


def study_file(folder: Path, extra: str = "", head: str = HEAD, name: str = "tiny.yaml") -> Path:
    """Write a study and return its path."""
    path = folder / name
    path.write_text(head + extra)
    return path


def plan_of(path: Path, *settings: str) -> Plan:
    """Plan a study file with ``--set`` overrides."""
    return make_plan(load_study(path, [parse_override(text) for text in settings]))


def plan_text(folder: Path, extra: str, *settings: str) -> Plan:
    """Plan the small study with ``extra`` added."""
    return plan_of(study_file(folder, extra), *settings)


def carry_out(
    plan: Plan,
    results: Path,
    *,
    cluster: str = "none",
    workers: int | None = 1,
    retry_failed: bool = False,
    **terms: Any,
) -> tuple[Store, Tally]:
    """Run what is left of ``plan``, as the command ``run`` does; ``terms`` as in the class Terms."""
    store = Store.create(results / plan.name)
    with connect(cluster, workers) as connection:
        specs = to_do(plan, store, retry_failed)
        sweep_terms = Terms(**terms)
        tally = sweep(plan, store, specs, connection, ["test"], lambda *_: None, sweep_terms)
        return store, tally


def run_files(root: str | os.PathLike[str]) -> dict[str, float]:
    """Name and time of change of every run file."""
    return {file.name: file.stat().st_mtime_ns for file in sorted(Path(root).glob("runs/??/*.zarr.zip"))}


def install_test_solvers(folder: Path) -> str:
    """Offer tests/cluster/broken_solvers.py as a plug-in package; return the PYTHONPATH that finds it."""
    package = folder / "test_solvers-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: test-solvers\nVersion: 1.0\n")
    classes = "".join(
        f"{name} = tests.cluster.broken_solvers:{name.title().replace('-', '')}\n" for name in TEST_SOLVERS
    )
    (package / "entry_points.txt").write_text(f"[ptychosuite.solvers]\n{classes}")
    return os.pathsep.join(map(str, (folder, REPOSITORY / "suite", REPOSITORY)))


def use_test_solvers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the solvers of :func:`install_test_solvers` known here and in worker processes."""
    monkeypatch.setenv("PYTHONPATH", install_test_solvers(folder))
    monkeypatch.syspath_prepend(str(folder))
    forget_names()


def held_study(folder: Path, runs: int, free: int = 2) -> Path:
    """A study of ``runs`` runs, of which ``free`` end before the file ``go`` is in the folder."""
    solver = f"{{name: held, folder: {folder}, free: {free}}}"
    extra = f"axes:\n  solver: [{solver}]\n  seed: {{range: {runs}}}\nfigures: [{{kind: setup}}]\n"
    return study_file(folder, extra)


def forget_names() -> None:
    """Look plug-ins up again."""
    registry.forget()
    SOURCES.forget()


def wait_for(condition: Callable[[], object], process: subprocess.Popen[str], seconds: float = 120) -> None:
    """Wait until ``condition()`` holds while ``process`` is at work."""
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        if time.monotonic() > end:
            process.kill()
            raise AssertionError("nothing happened")
        time.sleep(0.02)
