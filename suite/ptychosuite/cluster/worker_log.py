"""The log of a worker: what it is doing, in a file that outlives it.

One file a worker process, empty between runs. During a run it begins with a line of JSON that names the run;
behind it stands whatever the process has written to stdout and stderr since: prints, logs, last words of
native libraries, and the stacks that :mod:`faulthandler` leaves when a signal or the time limit ends the
process. The time limit is kept by faulthandler's own thread, which needs no GIL: it also ends a run that is
stuck in native code.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ptychosuite.cluster.killed_for_memory import KilledForMemory
from ptychosuite.execute.provenance import now

LOG_TAIL = 2000  # characters of a worker's output that a record keeps
SEEN_BYTES = 200_000  # of the end of a log; somebody may have printed without end
MOST_BYTES = 4_000_000  # of a worker's output that stay in its file; of more, the end
LOOK_S = 1.0
LAST_WORDS = "Ended by ptychosuite: "
STACKS = re.compile(
    rf"^({LAST_WORDS}|Fatal Python error: |Timeout \(|Current thread 0x|Thread 0x)", re.MULTILINE
)


@dataclass(frozen=True)
class Entry:
    """What a worker notes before it begins a run."""

    tokens: list[str]  # of these tries at runs that go together; one, as a rule
    worker: str  # address
    memory_limit_bytes: int
    start: str
    thread: str  # as faulthandler writes it
    host: str
    pid: int
    killed_for_memory: KilledForMemory


@dataclass(frozen=True)
class UnfinishedRun:
    """A run that was under way when its worker died."""

    entry: Entry
    text: str

    @property
    def timed_out(self) -> bool:
        return re.search(r"^Timeout \(", self.text, re.MULTILINE) is not None

    @property
    def fault(self) -> str:
        """What the system had against the process ("Segmentation fault"); empty where it did not say.

        Or what the process itself had, which could not go on after the run. Not what comes behind the stacks:
        they are written while the run goes on, which can cost a process its life that ends anyway.
        """
        found = re.search(rf"^(?:Fatal Python error|{LAST_WORDS[:-2]}): (.*)", self.text, re.MULTILINE)
        return found[1] if found and not self.was_asked_to_end else ""

    @property
    def was_asked_to_end(self) -> bool:
        """Whether the stacks were written for SIGTERM: they come first, without a reason."""
        first = STACKS.search(self.text)
        return first is not None and first[1] in ("Current thread 0x", "Thread 0x")

    @property
    def stack(self) -> str:
        """The run's own Python stack, innermost call first; empty where there was no time for one."""
        heading = rf"^(?:Current thread|Thread) {self.entry.thread}.*\n(?:  .*\n)*"
        section = re.search(heading, self.text, re.MULTILINE)
        return section[0].rstrip() if section else ""

    @property
    def log(self) -> str:
        """The end of what the worker wrote during the run."""
        return tail(STACKS.split(self.text, maxsplit=1)[0])


class WorkerLog:
    """Keeps the file of this process."""

    def __init__(self, folder: Path, redirect: bool) -> None:
        """``redirect``: whether stdout and stderr of the process may go to the file during a run."""
        self.folder = folder
        self._redirect = redirect
        self._name = folder / f"{socket.gethostname()}-{os.getpid()}.log"
        self._header, self._writing, self._closed = b"", threading.Lock(), threading.Event()
        self._open()
        threading.Thread(target=self._keep_short, daemon=True).start()

    def _open(self) -> None:
        self._file = os.open(self._name, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        self._identity = _identity(self._file)
        faulthandler.enable(self._file)

    def close(self) -> None:
        faulthandler.disable()
        with self._writing:
            self._closed.set()
            os.close(self._file)

    @contextlib.contextmanager
    def during(
        self, tokens: Sequence[str], worker: str, memory_limit_bytes: int, timeout_s: float | None
    ) -> Iterator[None]:
        """Keep the record of one run, or of several side by side; end the process after ``timeout_s``."""
        thread = f"0x{threading.get_ident():016x}"
        host, killed = socket.gethostname(), KilledForMemory.so_far()
        entry = Entry(list(tokens), worker, memory_limit_bytes, now(), thread, host, os.getpid(), killed)
        self._header = json.dumps(asdict(entry)).encode() + b"\n"
        os.write(self._file, self._header)
        faulthandler.register(signal.SIGTERM, self._file, chain=True)
        if timeout_s is not None:
            faulthandler.dump_traceback_later(timeout_s, exit=True, file=self._file)
        try:
            with self._redirected():
                yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            faulthandler.unregister(signal.SIGTERM)
            with self._writing:
                if _identity(self._file) != self._identity:
                    self._closed_by_a_run()
                os.ftruncate(self._file, 0)

    def _keep_short(self) -> None:
        while not self._closed.wait(LOOK_S):
            self.shorten()

    def shorten(self) -> None:
        """Of a run that has written more than :data:`MOST_BYTES` keep the end alone."""
        with self._writing:
            if self._closed.is_set() or _identity(self._file) != self._identity:  # a run has closed it
                return
            size = os.fstat(self._file).st_size
            if size > MOST_BYTES:
                end = os.pread(self._file, 4 * LOG_TAIL, size - 4 * LOG_TAIL)
                os.ftruncate(self._file, 0)
                os.write(self._file, self._header + end)

    def text(self) -> str:
        """The end of what this process has written since the run began."""
        _flush()
        return tail(_text_in(self._file).partition("\n")[2])

    def _closed_by_a_run(self) -> None:
        """The connections of the process are gone as well, or are other files by now: end it.

        A worker inside somebody's program is left alone.
        """
        self._open()
        if self._redirect:
            os.write(self._file, f"\n{LAST_WORDS}{CLOSED_FILES}\n".encode())
            os._exit(1)

    @contextlib.contextmanager
    def _redirected(self) -> Iterator[None]:
        if not self._redirect:
            yield
            return
        _flush()
        usual = {number: os.dup(number) for number in (1, 2)}
        for number in usual:
            os.dup2(self._file, number)
        try:
            yield
        finally:
            _flush()
            with contextlib.suppress(OSError):  # closed with the log
                for number, kept in usual.items():
                    os.dup2(kept, number)
                    os.close(kept)


CLOSED_FILES = "the run has closed files and connections of its process"


def read_unfinished(folder: Path) -> dict[str, UnfinishedRun]:
    """By token, every run that some worker has begun and not ended."""
    unfinished: dict[str, UnfinishedRun] = {}
    for file in folder.glob("*.log"):
        log = os.open(file, os.O_RDONLY)
        header, _, text = _text_in(log).partition("\n")
        os.close(log)
        with contextlib.suppress(ValueError, TypeError, LookupError):  # a run has written over it
            content = json.loads(header)
            killed = KilledForMemory(**content.pop("killed_for_memory"))
            entry = Entry(**content, killed_for_memory=killed)
            unfinished |= dict.fromkeys(entry.tokens, UnfinishedRun(entry, text))
    return unfinished


def _text_in(log: int) -> str:
    """The first line of a log, and the end of the rest."""
    size = os.fstat(log).st_size
    first, newline, rest = os.pread(log, SEEN_BYTES, 0).partition(b"\n")
    if size > SEEN_BYTES:
        rest = os.pread(log, SEEN_BYTES, size - SEEN_BYTES)
    return (first + newline + rest).decode(errors="replace")


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def tail(text: str) -> str:
    """The last lines of ``text``, whole ones, at most :data:`LOG_TAIL` characters."""
    text = text.strip()
    return text if len(text) <= LOG_TAIL else text[-LOG_TAIL:].partition("\n")[2]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a run has put something else there, or closed it
            stream.flush()
