"""What the C library does with memory that arrays have handed back.

An iteration makes and drops arrays of some 100 KiB to some MiB. glibc gives such memory back to the system,
and every page of the next array is a page fault and zeros again: by its own defaults seldom, but at every
array where ``MALLOC_TRIM_THRESHOLD_`` is set to 64 KiB, as Dask's nannies do for their workers. An iteration
then takes three to five times as long (``benchmarks/allocator.py``). So processes that reconstruct keep it.
"""

from __future__ import annotations

import ctypes
from functools import cache

LARGEST_KEPT_BYTES = 32 << 20  # of one array: glibc takes no more; larger ones are worth their page faults
MOST_KEPT_BYTES = 256 << 20  # free memory of a process
LITTLE_BYTES = 32 << 20  # of that, which the next run may have as well
VARIABLES = {
    "MALLOC_MMAP_THRESHOLD_": str(LARGEST_KEPT_BYTES),
    "MALLOC_TRIM_THRESHOLD_": str(MOST_KEPT_BYTES),
}
"""The same for a process that is started."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of glibc's malloc.h


class _Mallinfo2(ctypes.Structure):
    """What glibc's mallinfo2 returns; ``fordblks`` is the free memory of all arenas."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
                     "fordblks", "keepcost")
    ]  # fmt: skip


@cache
def keep_freed_memory() -> None:
    """Let this process keep freed memory for its next arrays; nothing where the C library is not glibc."""
    mallopt = getattr(_c_library(), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, MOST_KEPT_BYTES)


def give_back_much() -> None:
    """Give freed memory back after all, where it is more than a little: a run begins without that of others.

    Nothing where the C library is not glibc, or one from before 2.33.
    """
    mallinfo = getattr(_c_library(), "mallinfo2", None)
    if mallinfo is None:
        return
    mallinfo.restype = _Mallinfo2
    if mallinfo().fordblks > LITTLE_BYTES:
        _c_library().malloc_trim(0)


@cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None)
