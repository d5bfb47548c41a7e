"""A core of its own for each worker of the timing lane."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from suite.core.run import Lane

_claimed: list[int] = []  # the core of this process, if it has one


def settle(lane: Lane) -> None:
    """Keep the calling thread, which carries out the runs, on the core of this process, or let it go.

    Where the system cannot, and where all cores are taken, the thread stays free: provenance names its cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    core = claimed_core() if lane is Lane.TIMING else None
    free = os.sched_getaffinity(os.getpid())  # of the main thread, which is never pinned
    os.sched_setaffinity(0, free if core is None else {core})


def claimed_core() -> int | None:
    """A core that no other worker of this user has, for as long as this process lives; None without one."""
    if not _claimed:
        folder = Path(tempfile.gettempdir()) / f"ptychosuite-cores-{os.getuid()}"
        folder.mkdir(exist_ok=True)
        for core in sorted(os.sched_getaffinity(os.getpid())):
            lock = os.open(folder / str(core), os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # given back by the system with the process
            except BlockingIOError:
                os.close(lock)
                continue
            _claimed.append(core)
            break
    return _claimed[0] if _claimed else None
