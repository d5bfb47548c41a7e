"""What runs will cost, told from their sizes."""

from __future__ import annotations

import tracemalloc

import pytest
from ptychosuite.core.runs import RunRecord, Status
from ptychosuite.study.estimate import PROCESS_BYTES, Measured, cpu_seconds, estimate, footprint

from tests.study.small import plan_text

BIG = "problem.object.size=4096", "problem.probe.size=256", "problem.probe.fwhm_px=80"


def test_memory_is_estimated_without_taking_any(tmp_path):
    """Gigabytes are added up in a few kilobytes."""
    (run,) = plan_text(tmp_path, "", *BIG, "problem.scan.overlap=0.95").runs
    footprint(run)
    tracemalloc.start()
    needed = footprint(run).host_bytes
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert needed > 10e9
    assert peak < 1e6


def test_memory_follows_the_data(tmp_path):
    """More patterns, noiseless ones, a larger object take more; a device holds data and work."""
    base = footprint(plan_text(tmp_path, "", *BIG).runs[0])
    for change in ("dtype=complex128", "problem.scan.overlap=0.8", "problem.object.size=8192"):
        assert footprint(plan_text(tmp_path, "", *BIG, change).runs[0]).host_bytes > base.host_bytes, change
    quiet = plan_text(tmp_path, "", "problem.noise=0", *BIG, "problem.scan.overlap=0.8").runs[0]
    noisy = plan_text(tmp_path, "", "problem.noise=0.1", *BIG, "problem.scan.overlap=0.8").runs[0]
    assert footprint(quiet).host_bytes > footprint(noisy).host_bytes  # no counts, four bytes a pixel
    assert base.device_bytes == 0
    on_device = footprint(plan_text(tmp_path, "", *BIG, "backend=torch-cuda").runs[0])
    assert on_device.device_bytes > 0
    assert on_device.host_bytes - PROCESS_BYTES["torch-cuda"] < base.host_bytes


def test_the_largest_run_counts(tmp_path):
    """Memory is that of the largest run, time and disk are sums."""
    plan = plan_text(tmp_path, "axes: {problem.object.size: [32, 2048]}\n")
    one, other = (estimate([run]) for run in plan.runs)
    both = estimate(plan.runs)
    assert both.memory_bytes == max(one.memory_bytes, other.memory_bytes)
    assert both.disk_bytes == one.disk_bytes + other.disk_bytes


def record(spec, seconds: float, status: Status = Status.COMPLETED, **provenance: object) -> RunRecord:
    minutes, rest = divmod(seconds, 60)
    end = f"2026-01-01T00:{int(minutes):02}:{rest:06.3f}+00:00"
    found = {"start": "2026-01-01T00:00:00.000+00:00", "end": end, **provenance}
    return RunRecord("id", spec, status, provenance=found)


def test_time_goes_by_what_runs_took(tmp_path):
    """By each solver's own runs, else by all; it says by how many, and is rough where it is assumed."""
    plan = plan_text(
        tmp_path, "axes: {solver: [rpie, {name: magpie, levels: 2}, lbfgs], stop.iterations: [3, 30]}\n"
    )
    assumed = estimate(plan.runs)
    assert assumed.basis.startswith("assumed")
    assert assumed.time_text("3 s").startswith("roughly 3 s on one core (assumed")
    rpie, magpie = plan.runs[0], plan.runs[2]
    assert (rpie.solver_name, magpie.solver_name) == ("rpie", "magpie")
    measured = Measured.of(
        [record(rpie, 1000 * cpu_seconds(rpie)), record(magpie, 4000 * cpu_seconds(magpie))]
    )
    for spec in plan.runs:
        ratio = measured.seconds(spec) / cpu_seconds(spec)
        expected = {"rpie": 1000, "magpie": 4000}.get(spec.solver_name)
        assert ratio == pytest.approx(expected, rel=0.2) if expected else 1000 < ratio < 4000
    told = estimate(plan.runs, measured)
    assert told.cpu_seconds == pytest.approx(sum(map(measured.seconds, plan.runs)))
    assert told.time_text("3 s") == "about 3 s on one core (as measured of 2 runs in this folder)"
    assert (told.disk_bytes, told.memory_bytes) == (assumed.disk_bytes, assumed.memory_bytes)


def test_what_does_not_tell_how_long_runs_take(tmp_path):
    """Failed runs, records without times or with none that make sense; runs side by side share their time."""
    (run,) = plan_text(tmp_path, "").runs
    useless = [
        record(run, 5.0, Status.FAILED), record(run, 0.0), record(run, 5.0, end=None),
        record(run, 5.0, start="x"), record(run, 5.0, start="2026-01-01T00:00:00"),
    ]  # fmt: skip
    assert Measured.of(useless) == Measured()
    alone, beside = (Measured.of([record(run, 8.0, **more)]) for more in ({}, {"stack": 4}))
    assert alone.overall == pytest.approx(4 * beside.overall)
