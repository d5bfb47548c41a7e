"""What belongs to the process and not to a run: put back after it, whatever a plug-in has done to it.

Standard streams and their descriptors, working folder, file mask, environment, signal handlers, limits; child
processes that a run leaves are ended, and one that comes back from a fork goes no further.
"""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

STREAMS = ("stdin", "stdout", "stderr")
HIGH = 500  # copies of descriptors are kept up here, away from those that a run may close in passing
LIMITS = sorted(
    {getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}
)  # some names are synonyms
SIGNALS = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE,
    signal.SIGALRM, signal.SIGTERM, signal.SIGCHLD,
)  # fmt: skip
TASKS = "/proc/self/task"  # the threads of this process
# on command lines of children that stay
OURS = ("resource_tracker", "guard_child.py", "peer_child.py", "forkserver")


@contextmanager
def put_back() -> Iterator[None]:
    """Leave this process as it was before the block; :data:`lost` names what could not be.

    A child process that comes to the end of the block ends there: it is its parent's copy.
    """
    process, before = os.getpid(), _Belongings()
    try:
        yield
    finally:
        if os.getpid() != process:
            os._exit(0)
        lost.extend(before.put_back())


lost: list[str] = []
"""What runs have taken from this process for good."""


class _Belongings:
    """What a process has at one moment."""

    def __init__(self) -> None:
        self.streams = {name: getattr(sys, name) for name in STREAMS}
        self.descriptors = {number: _copy(number) for number in (0, 1, 2)}
        self.folder, self.mask = _folder(), _mask()
        self.environment = dict(os.environb)
        self.limits = {limit: resource.getrlimit(limit) for limit in LIMITS}
        self.recursion = sys.getrecursionlimit()
        self.handlers = _handlers()
        self.children = _children()

    def put_back(self) -> list[str]:
        lost = [] if self._descriptors_put_back() else ["closed the descriptors of its process"]
        self._streams_put_back()
        if self.folder and _folder() != self.folder:
            with contextlib.suppress(OSError):  # it is gone
                os.chdir(self.folder)
        os.umask(self.mask)
        if dict(os.environb) != self.environment:
            os.environb.clear()
            os.environb.update(self.environment)
        sys.setrecursionlimit(self.recursion)
        for number, handler in self.handlers.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        if not self._limits_put_back():
            lost.append("lowered the limits of its process for good")
        for child in _children() - self.children:
            _end(child)
        return lost

    def _descriptors_put_back(self) -> bool:
        whole = True
        for number, copy in self.descriptors.items():
            if copy is None:
                continue
            try:
                os.dup2(copy, number, inheritable=True)
                os.close(copy)
            except OSError:
                whole = False
        return whole

    def _streams_put_back(self) -> None:
        for number, (name, stream) in enumerate(self.streams.items()):
            if number and getattr(stream, "closed", False):
                stream = open(  # noqa: SIM115 - it is the process's until its end
                    number, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
                )
                setattr(sys, f"__{name}__", stream)
            setattr(sys, name, stream)

    def _limits_put_back(self) -> bool:
        whole = True
        for limit, before in self.limits.items():
            if resource.getrlimit(limit) != before:
                try:
                    resource.setrlimit(limit, before)
                except (OSError, ValueError):
                    whole = False
        return whole


def _copy(number: int) -> int | None:
    """Another descriptor of what a descriptor stands for; None where it stands for nothing."""
    for lowest in (HIGH, 3):  # few may be allowed
        try:
            return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, lowest)
        except (OSError, ValueError):
            continue
    return None


def _folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""


def _mask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _handlers() -> dict[signal.Signals, Any]:
    """The handlers that Python knows; the main thread alone can change them."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    found = {number: signal.getsignal(number) for number in SIGNALS}
    return {number: handler for number, handler in found.items() if handler is not None}


def _children() -> set[int]:
    """Child processes: of this thread, or of a worker process, in which nobody else starts any."""
    found = set[int]()
    if sys.platform != "linux":
        return found
    with contextlib.suppress(OSError):
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # an error where there is none at all
        for thread in os.listdir(TASKS) if is_worker_process() else [str(threading.get_native_id())]:
            with contextlib.suppress(OSError), open(f"{TASKS}/{thread}/children", "rb") as children:
                found.update(map(int, children.read().split()))
    return found


def is_worker_process() -> bool:
    """Whether this process was started to carry out runs, and has nothing else to do."""
    return multiprocessing.parent_process() is not None


def _end(child: int) -> None:
    """End a child process with all its own, but for those that the libraries keep."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(child)
        if process.status() != psutil.STATUS_ZOMBIE and any(
            name in word for word in process.cmdline() for name in OURS
        ):
            return
        end_all([*process.children(recursive=True), process])
        process.wait(timeout=1)


def end_all(processes: list[psutil.Process]) -> None:
    """Kill processes, those that have ended meanwhile excepted."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def end_group(leader: int) -> None:
    """Kill what is left of a process group that another process has led."""
    if leader != os.getpgrp():
        with contextlib.suppress(OSError):  # nothing is left
            os.killpg(leader, signal.SIGKILL)
