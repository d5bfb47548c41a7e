"""Processes that the system has ended for want of memory: it counts them, for a group or for the machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class KilledForMemory:
    """How many processes the system had ended for want of memory at one moment."""

    count: int
    file: str  # that has it; empty where the system does not say

    @classmethod
    def so_far(cls) -> KilledForMemory:
        file = _counting_file()
        return cls(_count_in(file) or 0, file) if file else cls(0, "")

    @property
    def since(self) -> int:
        """How many there have been since then; to be asked on the same machine."""
        return (_count_in(self.file) or self.count) - self.count if self.file else 0


@cache
def _counting_file() -> str:
    """Where the system counts them: for the memory group of this process, or for the machine."""
    groups = Path("/proc/self/cgroup").read_text().split() if os.path.exists("/proc/self/cgroup") else []
    own = {which: path for _, which, path in (line.split(":", 2) for line in groups)}
    unified, memory = own.get("", "/").rstrip("/"), own.get("memory", "/").rstrip("/")
    places = (
        f"/sys/fs/cgroup{unified}/memory.events",
        f"/sys/fs/cgroup/memory{memory}/memory.oom_control",
        "/proc/vmstat",
    )
    return next((file for file in places if _count_in(file) is not None), "")


def _count_in(file: str) -> int | None:
    try:
        lines = dict(line.split(maxsplit=1) for line in Path(file).read_text().splitlines())
        return int(lines["oom_kill"])
    except (OSError, ValueError, LookupError):
        return None
