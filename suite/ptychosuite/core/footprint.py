"""Memory that a run needs, and whether there is enough."""

from __future__ import annotations

from dataclasses import dataclass

# Detector pixels that are worked on at once, where a whole scan is passed over
BATCH_PIXELS = 2**16  # 4 patterns of 128 x 128: several arrays of them stay in a core's cache
GPU_BATCH_PIXELS = 2**22  # 256 such patterns: enough to fill a device


@dataclass(frozen=True)
class Footprint:
    """What a run holds at its fullest moment, at least."""

    host_bytes: float
    device_bytes: float = 0.0  # 0 on the CPU

    def __add__(self, other: Footprint) -> Footprint:
        """Of both at once; what a process holds before any data counts twice."""
        return Footprint(self.host_bytes + other.host_bytes, self.device_bytes + other.device_bytes)

    def lack(self, host_limit_bytes: float | None, device_limit_bytes: float | None) -> str:
        """Why the run cannot fit, with the numbers; empty where it can. None is no limit."""
        for place, needed, limit in (
            ("memory", self.host_bytes, host_limit_bytes),
            ("device memory", self.device_bytes, device_limit_bytes),
        ):
            if limit is not None and needed > limit:
                return f"needs about {needed / 1e9:.3g} GB of {place}; there are {limit / 1e9:.3g} GB"
        return ""
