"""What a solver is.

A solver is a frozen dataclass whose fields are its settings, with two pure methods: ``init`` makes the
first state, ``step`` returns the next (one iteration: one pass over the scan, or what stands for it).
Neither writes into its arguments. Clock, metrics, stopping and fast-forward live in
``ptychosuite.execute.loop``; a solver knows of none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from ptychosuite.backends.arrays import Array
from ptychosuite.core.problem import Problem


class State(Protocol):
    """What every solver's state offers to the outside."""

    @property
    def object(self) -> Array: ...  # (H, W) complex
    @property
    def probe(self) -> Array: ...  # (m, m) complex
    @property
    def data_passes(self) -> int: ...  # passes over all the diffraction data so far


@dataclass(frozen=True)
class SweepState:
    """State of a solver that remembers nothing but where it is."""

    object: Array  # (H, W) complex
    probe: Array  # (m, m) complex
    data_passes: int = 0


class Solver:
    """Base of the solvers: one reconstruction algorithm with its settings, a frozen dataclass.

    ``init`` and ``step`` are all that a solver has to bring; everything else has a default here.

    ``label`` is what figures call it, its name by default. ``typical_cost`` is the time of an iteration on a
    CPU in units of one forward and one inverse transform of every pattern, for estimates (``benchmarks/speed.py``
    measures it). ``can_go_back`` says whether a state may be stepped from more than once, which a fast-forward
    needs.
    ``packages`` are other distributions that do its work: their versions are part of a run's code.
    ``stackable`` says whether runs of it can be advanced side by side, by a method ``step_stack``.
    """

    label: ClassVar[str] = ""
    typical_cost: ClassVar[float] = 2.0
    can_go_back: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ()

    @property
    def stackable(self) -> bool:
        return False

    def init(self, problem: Problem) -> Any:
        """The state before the first iteration."""
        raise NotImplementedError

    def step(self, problem: Problem, state: Any, rng: np.random.Generator) -> Any:
        """The state after one more iteration; ``rng`` draws the scan order, on the host."""
        raise NotImplementedError

    def check(self, probe_size: int) -> None:
        """Raise ValueError, its text beginning with the field's name, where a setting cannot work."""
