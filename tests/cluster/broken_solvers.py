"""Solvers that go wrong in every way a sweep has to survive."""

from __future__ import annotations

import ctypes
import os
import time
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
