"""The process in which a peer is imported, once, and that forks one process for every reconstruction.

Run as a script, which :mod:`ptychosuite.solvers.peers.process` does, by any Python that has NumPy and the
peer. A reconstruction begins in a fresh copy of the imported package, alone, on one thread and in its share
of the memory: whatever it does to its process ends with it. This one never computes, so that it is always
there to end what hangs when nobody is left who waits for it.

A reconstruction may be asked to fork once more. Its copy goes on from the same bits, whatever the package
remembers of its way, and is a child of this process as well.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import importlib
import importlib.util
import logging
import os
import resource
import signal
import socket
import sys
import time
import traceback
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

BEGIN, ADOPT, END = b"b", b"a", b"e"
HANDED = b"h"  # comes with a socket
PR_SET_CHILD_SUBREAPER = 36
OF_NUMBERS = {"ArithmeticError", "LinAlgError", "_LinAlgError"}  # the last one is torch's
LEAST_MEMORY = 4 * 2**30


def main() -> None:
    """Load the driver that the first argument names, and copy this process for each reconstruction."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asks
    _show_package()
    from ptychosuite.solvers.peers.wire import receive, send

    control = socket.socket(fileno=int(sys.argv[2]))
    driver: Any = importlib.import_module(sys.argv[1])
    try:
        with warnings.catch_warnings(action="ignore"):
            driver.load()
        send(control, {"package": driver.package, "version": version(driver.package), **_environment()})
    except BaseException as error:
        send(control, {"missing": f"{type(error).__name__}: {error}"})
        return
    _take_orphans_in()
    children = set[int]()
    try:
        while True:
            asked, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if asked == BEGIN:
                children.add(child := _forked(driver, control, descriptors[0]))
                send(control, {"process": child})
            elif asked == ADOPT:
                children.add(receive(control)[0]["process"])
            elif asked == END:
                child = receive(control)[0]["process"]
                children.discard(child)
                send(control, {"code": _code(child)})
            else:
                break
    except (EOFError, ConnectionError):
        pass
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _show_package() -> None:
    """Make this ``ptychosuite`` importable, and nothing that lies beside it: this may be another Python."""
    folder = Path(__file__).resolve().parents[2]
    found = importlib.util.spec_from_file_location(
        "ptychosuite", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert found is not None
    assert found.loader is not None
    module = sys.modules["ptychosuite"] = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)


def _environment() -> dict[str, Any]:
    """Python and the libraries that compute for it."""
    found = {"python": sys.version.split()[0], "executable": sys.executable}
    for name in ("numpy", "torch"):
        if name in sys.modules:
            found[name] = str(sys.modules[name].__version__)
    return found


def _forked(driver: Any, control: socket.socket, descriptor: int) -> int:
    child = os.fork()
    if child:
        os.close(descriptor)
        return child
    control.close()
    try:
        _prepare()
        serve(driver, socket.socket(fileno=descriptor))
    finally:
        os._exit(0)


def _take_orphans_in() -> None:
    """Become the parent of copies whose own has ended, so that somebody can tell how they end."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _code(child: int) -> int | None:
    """How a child has ended, once it has; None where it is another process's."""
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except ChildProcessError:
        return None


def _prepare() -> None:
    """One thread, a share of the memory, silence."""
    faulthandler.enable()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    most = max(LEAST_MEMORY, memory // 2)
    with contextlib.suppress(ValueError, OSError):  # a smaller one is set already
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def serve(driver: Any, asker: socket.socket) -> None:
    """Answer who asks until nobody is left."""
    from ptychosuite.solvers.peers.peer_task import PeerTask, go_to
    from ptychosuite.solvers.peers.wire import receive, send

    running: Any = None
    while True:
        try:
            words, arrays = receive(asker)
        except EOFError:
            return
        if words["do"] == "copy":
            asker = _copied(asker)
            continue
        answer, found, seconds = {}, {}, 0.0
        try:
            match words["do"]:
                case "begin":
                    running = driver.begin(words["settings"], PeerTask.of(words["task"], arrays))
                case "epoch":
                    start = time.perf_counter()
                    running.epoch(words["batches"])
                    seconds = time.perf_counter() - start
                case "go_to":
                    start = time.perf_counter()
                    go_to(running, arrays)
                    seconds = time.perf_counter() - start
                case "arrays":
                    found = running.arrays()
                case "modelled":
                    found = {"modelled": running.modelled()}
            answer = {"seconds": seconds, "data_passes": running.data_passes}
        except BaseException as error:
            answer, found = {"error": traceback.format_exc(), "of_numbers": _is_of_numbers(error)}, {}
        send(asker, answer, found)


def _is_of_numbers(error: BaseException) -> bool:
    """Whether it is what numbers can do: overflow, division by zero, a system that cannot be solved."""
    return bool(OF_NUMBERS & {each.__name__ for each in type(error).__mro__})


def _copied(asker: socket.socket) -> socket.socket:
    """Fork; the socket on which this process is asked from now on: in the copy the one handed over."""
    from ptychosuite.solvers.peers.wire import send

    descriptor = socket.recv_fds(asker, len(HANDED), 1)[1][0]
    try:
        copy = _fork_an_orphan()
    except (OSError, ValueError):
        send(asker, {"error": traceback.format_exc()})
    else:
        if not copy:
            asker.close()
            return socket.socket(fileno=descriptor)
        send(asker, {"process": copy})
    os.close(descriptor)
    return asker


def _fork_an_orphan() -> int:
    """Fork a process that is no child of this one: its number, and 0 in itself."""
    reading, writing = os.pipe()
    between = os.fork()
    if not between:
        copy = -1
        try:
            copy = os.fork()
        finally:
            if copy:
                os.write(writing, str(copy).encode() if copy > 0 else b"")
                os._exit(0)
        os.close(reading)
        os.close(writing)
        return 0
    os.close(writing)
    os.waitpid(between, 0)
    with os.fdopen(reading) as told:
        return int(told.read())


if __name__ == "__main__":
    main()
