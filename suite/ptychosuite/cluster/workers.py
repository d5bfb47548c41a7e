"""What every worker is given: one thread, nothing spilled to disk, Ctrl-C left to the client.

A core of its own for each worker of the timing lane.
"""

from __future__ import annotations

import fcntl
import os
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.forkserver import ensure_running, set_forkserver_preload
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ptychosuite.backends.compiled import kernel_modules
from ptychosuite.core.runs import Lane

if TYPE_CHECKING:
    from distributed import Client


LOOPBACK = "127.0.0.1"
PRELOAD = "ptychosuite.cluster.preload"
LOGS = "CRITICAL"  # what goes wrong is in a run's record; a worker cut off by Ctrl-C would print tracebacks
ONE_THREAD = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
}
DASK_CONFIG: Mapping[str, Any] = {
    "distributed.nanny.pre-spawn-environ": ONE_THREAD,  # before NumPy is imported, or it is too late
    "distributed.scheduler.allowed-failures": 0,  # we look for the reason before we try again
    "distributed.deploy.lost-worker-timeout": "5s",  # then a worker is replaced
    "distributed.worker.multiprocessing-method": "forkserver",  # packages are imported once
    "distributed.worker.preload": [PRELOAD],
    "distributed.worker.memory.target": False,  # nothing worth spilling stays on a worker
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,  # a worker that is full is ended, not left waiting
}
# the same for workers that are started by a job script
ENVIRONMENT = {
    **ONE_THREAD,
    "DASK_DISTRIBUTED__WORKER__MEMORY__TARGET": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__SPILL": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False",
}


@contextmanager
def ctrl_c_held_back() -> Iterator[None]:
    """Let Ctrl-C wait until the end of the block; threads and processes started in it never see one.

    A terminal sends it to every process: workers that are still starting, or the command that submits a job,
    would die of it in disorder.
    """
    resource_tracker.ensure_running()  # started in the block, it would let Ctrl-C through to the rest
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def start_forkserver() -> None:
    """Start the process from which workers are forked; it imports the packages once, for all of them."""
    set_forkserver_preload(["distributed", "ptychosuite.cluster.work", *kernel_modules()])
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)  # before NumPy is imported there, or it is too late
    try:
        with ctrl_c_held_back():
            ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def usable_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def binding(host: str | None, interface: str | None) -> dict[str, str]:
    """Where servers listen, as Dask's keywords: one interface, one address, or nowhere but on loopback."""
    return {"interface": interface} if interface else {"host": host or LOOPBACK}


def dashboard_link(client: Client) -> str:
    """Address of a dashboard that listens on loopback, whatever the scheduler listens on."""
    return f"http://{LOOPBACK}:{urlsplit(client.dashboard_link).port}/status"


def count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


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
