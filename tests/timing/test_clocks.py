"""Clocks of cores and GPUs, on files and a library that stand in for them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from ptychosuite.timing import clocks
from ptychosuite.timing.clocks import ClockReading, clock_reader, summary


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of core 0."""
    monkeypatch.setattr(clocks, "CPUS", tmp_path)
    monkeypatch.setattr(clocks, "CPU_INFO", tmp_path / "cpuinfo")
    (tmp_path / "cpu0" / "cpufreq").mkdir(parents=True)
    (tmp_path / "cpu0" / "thermal_throttle").mkdir()
    return tmp_path / "cpu0"


def test_a_core_is_read_and_its_throttling_noticed(core):
    (core / "cpufreq" / "scaling_cur_freq").write_text("2400000\n")
    counter = core / "thermal_throttle" / "core_throttle_count"
    counter.write_text("3\n")
    read = clock_reader({}, 0)
    assert read() == ClockReading(2400.0)
    counter.write_text("4\n")
    assert read() == ClockReading(2400.0, ("temperature",))


def test_a_virtual_core_is_read_from_cpuinfo(core):
    clocks.CPU_INFO.write_text("processor : 0\ncpu MHz\t\t: 2596.100\nprocessor : 1\ncpu MHz\t\t: 1000.0\n")
    assert clock_reader({}, 1)() == ClockReading(1000.0)


def test_what_cannot_be_read_is_unknown(core):
    assert clock_reader({}, 0)() == ClockReading(None)
    assert clock_reader({}, None)() == ClockReading(None)


def test_a_gpu_is_asked_by_its_identifier(monkeypatch):
    asked = []
    library = SimpleNamespace(
        NVML_CLOCK_SM=1,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: asked.append(uuid) or "handle",
        nvmlDeviceGetClockInfo=lambda handle, kind: 1980,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: 0x01 | 0x04 | 0x40,
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    read = clock_reader({"gpu_uuid": "1234"}, 0)
    assert asked == ["GPU-1234"]
    assert read() == ClockReading(1980.0, ("power limit", "temperature (hardware)"))


def test_a_gpu_without_nvml_is_unknown(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert clock_reader({"gpu_uuid": "GPU-1234"}, 0)() == ClockReading(None)


def test_summary():
    readings = [ClockReading(1000.0), ClockReading(1200.0, ("power limit",)), ClockReading(None)]
    assert summary(readings) == {"clock_mhz": [1000.0, 1200.0], "throttled": "throttled (power limit)"}
    assert summary([]) == {"clock_mhz": None, "throttled": ""}
