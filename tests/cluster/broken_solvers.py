"""Solvers that go wrong in every way a sweep has to survive."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from ptychosuite.core.problem import Problem
from ptychosuite.errors import BackendError
from ptychosuite.solvers.pie import RPIE
from ptychosuite.solvers.solver import Solver


@dataclass(frozen=True)
class _Base(Solver):
    def init(self, problem: Problem) -> Any:
        return RPIE(alpha=0.1).init(problem)

    def step(self, problem: Problem, state: Any, rng: np.random.Generator) -> Any:
        return RPIE(alpha=0.1).step(problem, state, rng)


@dataclass(frozen=True)
class Raises(_Base):
    """Raises in its second step, unless the file ``cure`` exists."""

    cure: str = ""

    def step(self, problem: Problem, state: Any, rng: np.random.Generator) -> Any:
        if state.data_passes and not (self.cure and os.path.exists(self.cure)):
            raise ArithmeticError("broken on purpose")
        return super().step(problem, state, rng)


@dataclass(frozen=True)
class Kills(_Base):
    """Takes its whole process down."""

    def step(self, problem: Problem, state: Any, rng: np.random.Generator) -> Any:
        os._exit(9)


@dataclass(frozen=True)
class Slow(_Base):
    """rPIE that takes its time."""

    seconds: float = 0.1

    def step(self, problem: Problem, state: Any, rng: np.random.Generator) -> Any:
        time.sleep(self.seconds)
        return super().step(problem, state, rng)


@dataclass(frozen=True)
class Held(_Base):
    """rPIE that lets ``free`` runs through; those that begin later wait for the file ``go`` in ``folder``."""

    folder: str = "."
    free: int = 2

    def step(self, problem: Problem, state: Any, rng: np.random.Generator) -> Any:
        if state.data_passes == 1:  # the second step, which no warm-up takes
            begun = Path(self.folder, "begun")
            begun.mkdir(exist_ok=True)
            while len(os.listdir(begun)) >= self.free and not Path(self.folder, "go").exists():
                time.sleep(0.01)
            (begun / uuid4().hex).touch()
        return super().step(problem, state, rng)


@dataclass(frozen=True)
class NoDevice(_Base):
    """Meets something that only the user can put right."""

    def init(self, problem: Problem) -> Any:
        raise BackendError("the device is gone; plug it in")


@dataclass(frozen=True)
class Diverges(_Base):
    """Multiplies the object by a thousand in every step."""

    def step(self, problem: Problem, state: Any, rng: np.random.Generator) -> Any:
        return replace(state, object=state.object * 1e3, data_passes=state.data_passes + 1)


@dataclass(frozen=True)
class Segfaults(_Base):
    """Reads where nothing is."""

    def step(self, problem: Problem, state: Any, rng: np.random.Generator) -> Any:
        print("about to read address 0")
        ctypes.string_at(0)


@dataclass(frozen=True)
class HoldsGil(_Base):
    """Sleeps in native code and lets no other thread of its process run."""

    def step(self, problem: Problem, state: Any, rng: np.random.Generator) -> Any:
        ctypes.PyDLL(None).sleep(3600)
        return super().step(problem, state, rng)


@dataclass(frozen=True)
class EatsMemory(_Base):
    """Takes memory until somebody stops it."""

    def step(self, problem: Problem, state: Any, rng: np.random.Generator) -> Any:
        eaten = []
        while True:
            eaten.append(np.ones(2**20))
            time.sleep(0.005)


class NoWords(Exception):
    """An error that can neither be told nor sent."""

    def __str__(self) -> str:
        raise SystemExit(9)

    __repr__ = __str__

    def __reduce__(self) -> Any:
        raise TypeError("not to be pickled")


class OfItsOwn(BaseException):
    """What nobody expects to catch."""


def _raising(error: BaseException | type[BaseException]) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def _close_standard_files() -> None:
    sys.stdout.close()
    sys.stderr.close()
    for number in (0, 1, 2):
        try:
            os.close(number)
        except OSError:
            continue


def _take_the_streams() -> None:
    sys.stdout = sys.stderr = sys.stdin = None  # type: ignore[assignment]


def _fork_and_end() -> None:
    if os.fork() == 0:
        os._exit(0)


def _leave_processes() -> None:
    subprocess.Popen(["sleep", "600"])
    subprocess.Popen(["sleep", "600"], start_new_session=True)


def _leave_orphans() -> None:
    subprocess.Popen(["sh", "-c", "sleep 600 & exit"]).wait()


def _leave_all_and_end() -> None:
    _leave_processes()
    _leave_orphans()
    os._exit(0)


def _leave_processes_and_stop() -> None:
    _leave_processes()
    _leave_orphans()
    os.kill(os.getpid(), signal.SIGSTOP)


def _swallow() -> None:
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
    except KeyboardInterrupt:
        pass


def _swallow_for_ever() -> None:
    Path("begun").touch()
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            continue


def _change_surroundings() -> None:
    os.chdir("/")
    os.umask(0o777)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    sys.setrecursionlimit(sys.getrecursionlimit() + 100)
    os.environ.clear()
    try:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not the main thread
        pass


def _print_much() -> None:
    print("\x1b[2J\x1b]0;title\x07" + "much" * 1_000_000)
    sys.stdout.flush()
    os.write(1, b"\xff\xfe\xc3(\x00 broken")
    os.write(2, b"\xed\xa0\x80")
    raise ValueError("half \ud800 a character, \x1b[31mred\nand a second line")


def _signal_self(number: int) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), number)


def _keep_few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))


MISBEHAVIOURS: dict[str, Callable[[], Any]] = {
    "system-exit": _raising(SystemExit(3)),
    "keyboard-interrupt": _raising(KeyboardInterrupt),
    "generator-exit": _raising(GeneratorExit),
    "cancelled": _raising(asyncio.CancelledError("by itself")),
    "group": _raising(BaseExceptionGroup("several", [KeyboardInterrupt(), ValueError("one of them")])),
    "of-its-own": _raising(OfItsOwn("nobody's")),
    "no-words": _raising(NoWords()),
    "prints": _print_much,
    "no-streams": _take_the_streams,
    "closed-streams": _close_standard_files,
    "fork": os.fork,
    "fork-and-end": _fork_and_end,
    "leaves-processes": _leave_processes,
    "surroundings": _change_surroundings,
    "figures": lambda: None,
    "limits": _keep_few_files,
    "closed-files": lambda: os.closerange(3, 100),
    "leaves-orphans": _leave_orphans,
    "ends": _leave_all_and_end,
    "sigterm": _signal_self(signal.SIGTERM),
    "sigkill": _signal_self(signal.SIGKILL),
    "leaves-processes-and-stops": _leave_processes_and_stop,
    "swallows": _swallow,
    "swallows-for-ever": _swallow_for_ever,
    "sigstop": _signal_self(signal.SIGSTOP),
}


@dataclass(frozen=True)
class Misbehaves(_Base):
    """Does in its second step what no solver should."""

    how: str = "system-exit"

    def step(self, problem: Problem, state: Any, rng: np.random.Generator) -> Any:
        if state.data_passes == 1:
            MISBEHAVIOURS[self.how]()
        return super().step(problem, state, rng)

    def figures(self, state: Any) -> Any:
        return {"broken": object()} if self.how == "figures" else {}
