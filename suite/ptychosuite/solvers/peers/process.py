"""The worker's side of a peer's process: started, asked, and told of when it crashes or hangs.

A peer may need another environment than ours: ``PTYCHOSUITE_PEER_PYTHON`` names the Python of all peers,
``PTYCHOSUITE_PEER_PYTHON_CDTOOLS_PY`` that of one distribution. Only NumPy and the peer have to be importable
there.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ptychosuite.backends import allocator
from ptychosuite.errors import BackendError
from ptychosuite.registry.other_python import python_of
from ptychosuite.solvers.peers import peer_child
from ptychosuite.solvers.peers.peer_child import ADOPT, BEGIN, END, HANDED
from ptychosuite.solvers.peers.peer_task import Driver, PeerTask
from ptychosuite.solvers.peers.wire import receive, send
from ptychosuite.solvers.waiting import WAITING

LONGEST_ANSWER_S = 3600.0
LAST_LINES = 8
VARIABLES = {
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMBA")},
    **allocator.VARIABLES,  # as for our own solvers
    "TQDM_DISABLE": "1",
    "MPLBACKEND": "agg",
    "CUDA_VISIBLE_DEVICES": "",  # a process that has a GPU cannot be copied; none is used
}


class PeerFailure(Exception):
    """What a peer, or the end of its process, has to say."""


class PeerStumbles(PeerFailure, ArithmeticError):
    """An error of numerics in the peer, which may come of a jump."""


class Nursery:
    """The process that has a package imported, of which each reconstruction has a copy."""

    def __init__(self, driver: Driver) -> None:
        self._of_process, self._lock = os.getpid(), threading.Lock()
        self.said = tempfile.TemporaryFile("w+b")  # noqa: SIM115
        self._control, theirs = socket.socketpair()
        python = python_of(driver.package)
        command = [python, "-P", str(Path(peer_child.__file__)), driver.__name__, str(theirs.fileno())]
        try:
            with theirs:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=self.said,
                    stderr=self.said,
                    env={**os.environ, **VARIABLES},
                    pass_fds=[theirs.fileno()],
                )
            self.about = receive(self._control)[0]
        except (OSError, EOFError) as error:
            self.about = {"missing": f"{python} does not run: {error or _tail(self.said, 0)}"}
        if "missing" in self.about:
            self.close()
            raise BackendError(
                f"this solver needs the package {driver.package}, which {python} cannot import "
                f"({self.about['missing']}); pip install 'ptychosuite[peers]', with torch and torchvision "
                f"from the same package index, or name another Python in PTYCHOSUITE_PEER_PYTHON"
            )

    @property
    def is_alive(self) -> bool:
        return self._of_process == os.getpid() and self._process.poll() is None

    def begin(self) -> tuple[int, socket.socket]:
        """A new copy: its process and the socket on which it answers."""
        ours, theirs = socket.socketpair()
        with self._lock, theirs:
            socket.send_fds(self._control, [BEGIN], [theirs.fileno()])
            return receive(self._control)[0]["process"], ours

    def adopt(self, child: int) -> None:
        """See to a copy of a copy, too."""
        with self._lock:
            socket.send_fds(self._control, [ADOPT], [])
            send(self._control, {"process": child})

    def end(self, child: int) -> int:
        """The exit code of a copy that was told to end, or is killed now.

        Raises
        ------
        OSError
            Nobody knows.
        """
        with self._lock:
            socket.send_fds(self._control, [END], [])
            send(self._control, {"process": child})
            code = receive(self._control)[0]["code"]
        if code is None:
            raise ChildProcessError(child)
        return int(code)

    def close(self) -> None:
        """Let go of it and of all its copies."""
        self._control.close()
        if self._of_process == os.getpid() and hasattr(self, "_process"):
            self._process.wait()


class PeerProcess:
    """One reconstruction in a process of its own."""

    def __init__(self, nursery: Nursery, child: int, asked: socket.socket) -> None:
        self._nursery, self._child, self._socket = nursery, child, asked
        self.about = nursery.about
        self._said_before = nursery.said.seek(0, os.SEEK_END)
        self._has_ended = False

    @classmethod
    def begun(cls, driver: Driver, settings: Mapping[str, Any], task: PeerTask) -> PeerProcess:
        """A reconstruction that begins.

        Raises
        ------
        BackendError
            The peer is not installed.
        PeerFailure
            It cannot begin.
        """
        nursery = _nursery(driver)
        found = cls(nursery, *nursery.begin())
        words, arrays = task.parts()
        found.ask({"do": "begin", "settings": dict(settings), "task": words}, arrays)
        return found

    def copied(self) -> PeerProcess:
        """The same reconstruction as it stands, once more, memory and all."""
        ours, theirs = socket.socketpair()
        with theirs:
            child = self.ask({"do": "copy"}, handed=theirs)[0]["process"]
        self._nursery.adopt(child)
        return PeerProcess(self._nursery, child, ours)

    def ask(
        self,
        words: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray] | None = None,
        handed: socket.socket | None = None,
    ) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The answer to a request, in words and arrays.

        Parameters
        ----------
        words
            What is asked; goes as JSON.
        arrays
            By name, of any shapes.
        handed
            A socket that the peer is to have.

        Raises
        ------
        PeerFailure
            The peer has raised an error, is gone, or does not answer: PeerStumbles for an error of numerics.
        """
        if self._has_ended:
            raise PeerFailure("the peer's process has ended before")
        start = time.perf_counter()
        self._socket.settimeout(LONGEST_ANSWER_S)
        try:
            send(self._socket, words, arrays)
            if handed is not None:
                socket.send_fds(self._socket, [HANDED], [handed.fileno()])
            answer, found = receive(self._socket)
        except TimeoutError:
            os.kill(self._child, signal.SIGKILL)
            self._end()
            raise PeerFailure(
                f"the peer's process has not answered within {LONGEST_ANSWER_S:g} seconds"
            ) from None
        except (EOFError, OSError):
            raise PeerFailure(self._ending()) from None
        if "error" in answer:
            failure = PeerStumbles if answer.get("of_numbers") else PeerFailure
            last = answer["error"].strip().splitlines()[-1]
            raise failure(f"the peer has raised an error: {last}\n{answer['error']}")
        WAITING.seconds += time.perf_counter() - start - answer.get("seconds", 0.0)
        return answer, found

    def __del__(self) -> None:
        if getattr(self, "_has_ended", True) or not self._nursery.is_alive:
            return
        try:
            os.kill(self._child, signal.SIGKILL)
            self._end()
        except (OSError, EOFError):  # it is gone, and who had started it
            pass

    def _ending(self) -> str:
        """How a process has ended that says no more."""
        try:
            code = self._end()
        except (OSError, EOFError):
            return "the peer's process is gone"
        how = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"exit code {code}"
        said = _tail(self._nursery.said, self._said_before)
        return f"the peer's process has ended with {how}" + (f": {said}" if said else "")

    def _end(self) -> int:
        self._has_ended = True
        self._socket.close()
        return self._nursery.end(self._child)


_nurseries: dict[tuple[str, str], Nursery] = {}


def _nursery(driver: Driver) -> Nursery:
    """That of a driver, which is started where there is none."""
    key = python_of(driver.package), driver.__name__
    found = _nurseries.get(key)
    if found is None or not found.is_alive:
        found = _nurseries[key] = Nursery(driver)
    return found


@atexit.register
def _leave() -> None:
    """Let all go, which end when nobody can ask them any more."""
    for nursery in _nurseries.values():
        nursery.close()
    _nurseries.clear()


def _tail(said: Any, start: int) -> str:
    """The last lines that were written since ``start``."""
    said.seek(start)
    lines: Sequence[str] = said.read().decode(errors="replace").splitlines()
    return "; ".join(line.strip() for line in lines[-LAST_LINES:] if line.strip())
