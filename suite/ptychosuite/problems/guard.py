"""Files are gone over in another process before this one opens them: one that crashes or hangs ends there.

Formats that are read by libraries in C, HDF5 and MATLAB's, crash or hang at some damaged files, and no error
is raised then. The other process goes over a file and all that it refers to, which takes milliseconds; what
it found is remembered for as long as none of these files changes.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptychosuite.errors import DataFileError
from ptychosuite.problems.guard_child import candidates

LIMIT_S = 30  # for a file
BYTES_PER_S = 5e6  # large ones get more, for packed ones and slow disks
CHILD = Path(__file__).with_name("guard_child.py")
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}

Stamp = tuple[int, int, int] | None


@dataclass
class Seen:
    """What was found in a file and those that it refers to."""

    linked: list[tuple[str, str, str]] = field(default_factory=list)  # owner, kind, name as it is written
    stamps: dict[str, Stamp] = field(default_factory=dict)  # of all places where one of them is or may be
    damaged: str = ""  # the first place inside a file where its library had an error
    trouble: str = ""  # why none of it is to be opened

    @property
    def is_current(self) -> bool:
        return all(_stamp(path) == stamp for path, stamp in self.stamps.items())


def seen(path: str) -> Seen:
    """Have another process go over a file and all that it refers to."""
    path = os.path.abspath(path)
    with _lock:
        found = _remembered.get(path)
        if found is None or not found.is_current:
            found = _remembered[path] = _seen_by_child(path)
        return found


def check_harmless(path: str) -> None:
    """Refuse a file at which the library that reads it crashes or hangs.

    Raises
    ------
    DataFileError
        With the place inside the file.
    """
    if trouble := seen(path).trouble:
        raise DataFileError(trouble)


def place_of_damage(path: str) -> str:
    """Where inside a file that was gone over the first error is, as the end of a phrase; else ""."""
    found = _remembered.get(os.path.abspath(path), Seen())
    return f", at '{found.damaged}'" if found.damaged else ""


_lock = threading.Lock()
_remembered: dict[str, Seen] = {}
_child: subprocess.Popen[bytes] | None = None
_of_process = 0


def _seen_by_child(path: str) -> Seen:
    """As a child that is new says, where one that has gone over other files has come to grief."""
    used = _child is not None and _of_process == os.getpid()
    found = _ask(path)
    return _ask(path) if used and "crashes" in found.trouble else found


def _ask(path: str) -> Seen:
    child, found = _running(), Seen(stamps={path: _stamp(path)})
    seconds = LIMIT_S + int(os.path.getsize(path) / BYTES_PER_S)
    file, place = path, ""
    try:
        child.stdin.write(json.dumps([path, seconds]).encode() + b"\n")
        child.stdin.flush()
        for line in child.stdout:
            what, *words = json.loads(line)
            if what == "done":
                return found
            if what == "file":
                file, place = words[0], ""
                found.stamps[file] = _stamp(file)
            elif what == "at":
                place = words[0]
            elif what == "damaged":
                found.damaged = found.damaged or words[0]
            else:
                _add(found, file, *words)
    except BrokenPipeError:
        pass  # it has ended for having nothing to do
    found.trouble = _trouble(path, file, place, _ended(), seconds)
    return found


def _add(found: Seen, owner: str, kind: str, name: str) -> None:
    found.linked.append((owner, kind, name))
    for place in candidates(kind, name, owner):
        found.stamps[place] = _stamp(place)
        if found.stamps[place]:
            if not os.path.isfile(place):  # a pipe or a device has no end
                found.trouble = f"{owner} refers to {place}, which is no ordinary file; take the link out"
            break


def _trouble(path: str, file: str, place: str, code: int, seconds: int) -> str:
    """What is wrong with a file at which a child ended with an exit ``code``."""
    if code >= 0 or -code in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # no fault of the file
        return ""
    where = path if file == path else f"{path}: the linked file {file}"
    at = f", at '{place}'" if place else ""
    if code == -signal.SIGALRM:
        return f"{where} cannot be read within {seconds} seconds{at}; the file is damaged, or its disk hangs"
    return f"{where} crashes the library that reads it{at}; the file is damaged"


def _running() -> Any:
    """The child of this process, which is started where there is none."""
    global _child, _of_process
    if _child is None or _of_process != os.getpid() or _child.poll() is not None:
        _child = subprocess.Popen(
            [sys.executable, "-P", str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
        )
        _of_process = os.getpid()
    return _child


def _ended() -> int:
    """The exit code of a child that says no more."""
    global _child
    assert _child is not None
    code = _child.wait()
    _leave()
    return code


@atexit.register
def _leave() -> None:
    """Let the child of this process go, which ends when nobody can ask it any more."""
    global _child
    if _child is not None and _of_process == os.getpid():
        with _child:
            pass
    _child = None


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return None if stat.S_ISDIR(status.st_mode) else (status.st_ino, status.st_mtime_ns, status.st_size)
