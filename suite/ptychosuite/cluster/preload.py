"""What a worker process does before its first run."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from multiprocessing import forkserver
from typing import Any

from ptychosuite.execute.belongings import is_worker_process

DIES_WITH_PARENT, ADOPTS_ORPHANS = 1, 36  # PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER of Linux


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C to the client, which takes its workers down in good order; hold no line of output back."""
    with contextlib.suppress(ValueError):  # not in the main thread: a worker inside somebody's program
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(AttributeError):  # somebody's program has put something else there
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if worker.nanny and is_worker_process():
        leave_nobody_behind()


def leave_nobody_behind() -> None:
    """Die with the process that has started this one; keep all that are started from here together.

    They are a process group of their own, and those whose parents end are this process's children.
    """
    with contextlib.suppress(OSError):  # it is the leader of a session
        os.setpgid(0, 0)
    adopt_orphans()
    _let_forkserver_go()
    _control(DIES_WITH_PARENT, signal.SIGKILL)


def _let_forkserver_go() -> None:
    """Close this process's end of the pipe by which the process that forks workers knows that it is needed.

    Otherwise it would outlive a sweep that was killed for as long as a worker is stopped or stuck, and such a
    worker would outlive the sweep.
    """
    server: Any = forkserver._forkserver
    if server._forkserver_alive_fd is not None and server._forkserver_pid is None:  # it is another's
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = server._forkserver_address = None


def adopt_orphans() -> None:
    """Become the parent of what this process's children leave behind."""
    _control(ADOPTS_ORPHANS, 1)


def _control(option: int, value: int) -> None:
    """Linux's prctl; nothing elsewhere."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
