"""How much memory this process has used at most, and how much it may use."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

RESET_PEAK = "5"  # what /proc/PID/clear_refs takes for "begin anew with VmHWM"; see man proc
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def reset_peak_host() -> None:
    """Begin to watch the peak of this process's memory anew, where the system can."""
    global _watched
    try:
        Path("/proc/self/clear_refs").write_text(RESET_PEAK)
        _watched = True
    except OSError:
        _watched = False


_watched = False


def peak_host_bytes() -> float | None:
    """Most memory held by this process, interpreter and libraries too, since :func:`reset_peak_host`.

    None where the system cannot tell.
    """
    if not _watched:
        return None
    status = Path("/proc/self/status").read_text()
    return next(float(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def machine_memory_bytes() -> int:
    """Memory of this machine, or the share of it that a container or batch job may use."""
    limits = [psutil.virtual_memory().total]
    for file in CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # another cgroup version, or "max"
            limits.append(int(file.read_text()))
    return min(limits)
