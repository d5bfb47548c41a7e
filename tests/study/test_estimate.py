"""What runs will cost, told from their sizes."""

from __future__ import annotations

import tracemalloc

from ptychosuite.study.estimate import PROCESS_BYTES, estimate, footprint

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
