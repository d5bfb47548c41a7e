"""How fast core or GPU were clocked while they were timed, and whether something held them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CPUS = Path("/sys/devices/system/cpu")
CPU_INFO = Path("/proc/cpuinfo")

# bits of NVML's clocks event reasons, nvml.h; idle, set clocks and display are nobody's brake
GPU_BRAKES = {
    0x04: "power limit",
    0x08: "hardware slowdown",
    0x20: "temperature",
    0x40: "temperature (hardware)",
    0x80: "power brake",
}


@dataclass(frozen=True)
class ClockReading:
    """One look at a clock."""

    mhz: float | None  # None where it cannot be read
    brakes: tuple[str, ...] = ()  # what holds it back


ReadClock = Callable[[], ClockReading]


def clock_reader(device: Mapping[str, str], core: int | None) -> ReadClock:
    """What to call for a reading: of the GPU that ``device`` describes, or of ``core`` where it is empty."""
    if device:
        return gpu_reader(device["gpu_uuid"])
    return cpu_reader(core)


def cpu_reader(core: int | None) -> ReadClock:
    """Readings of a core; it was braked if the kernel counted a thermal throttling since this call."""
    if core is None:
        return lambda: ClockReading(None)
    counter = CPUS / f"cpu{core}" / "thermal_throttle" / "core_throttle_count"
    before = _number(counter)

    def read() -> ClockReading:
        return ClockReading(_core_mhz(core), ("temperature",) if _number(counter) != before else ())

    return read


def gpu_reader(uuid: str) -> ReadClock:
    """Readings of a GPU by NVML; without the package nvidia-ml-py (extra ``gpu``), nothing is known."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith("GPU-") else f"GPU-{uuid}")
    except Exception:  # no package, no library, no such device: NVML has its own exceptions
        return lambda: ClockReading(None)

    def read() -> ClockReading:
        reasons = pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
        mhz = pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)
        return ClockReading(float(mhz), tuple(name for bit, name in GPU_BRAKES.items() if reasons & bit))

    return read


def _core_mhz(core: int) -> float | None:
    kilohertz = _number(CPUS / f"cpu{core}" / "cpufreq" / "scaling_cur_freq")
    if kilohertz is not None:
        return kilohertz / 1000
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:
        return None
    speeds = [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")]
    return speeds[core] if core < len(speeds) else None


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return None


def brakes_in_words(readings: list[ClockReading]) -> str:
    """What held the clock back, for a message; empty where nothing did."""
    found = sorted({brake for reading in readings for brake in reading.brakes})
    return f"throttled ({', '.join(found)})" if found else ""


def clock_range(readings: list[ClockReading]) -> list[float] | None:
    """Slowest and fastest clock, MHz; None where unknown."""
    speeds = [reading.mhz for reading in readings if reading.mhz is not None]
    return [min(speeds), max(speeds)] if speeds else None


def summary(readings: list[ClockReading]) -> dict[str, Any]:
    """What provenance says of the clock."""
    return {"clock_mhz": clock_range(readings), "throttled": brakes_in_words(readings)}
