"""What a fast-forward operator is.

An operator is a frozen dataclass of settings, those of :class:`Schedule` among them, with one pure method
that maps the state of a reconstruction to one further on. It need not be right: what
comes of its proposal is judged by :mod:`ptychosuite.fastforward.apply`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ptychosuite.backends.arrays import Array
from ptychosuite.core.problem import Problem
from ptychosuite.core.schedule import Schedule
from ptychosuite.problems.parts import FileSettings


@dataclass(frozen=True)
class Snapshot:
    """A reconstruction at one iteration."""

    object: Array  # (H, W) complex
    probe: Array  # (m, m) complex
    iteration: int


@dataclass(frozen=True, kw_only=True)
class Operator(Schedule, FileSettings):
    """Base of the operators: carries a reconstruction ahead."""

    def advance(self, problem: Problem, now: Snapshot, before: Snapshot | None) -> tuple[Array, Array]:
        """Object (H, W) and probe (m, m) further on, in the library and precision of ``now``.

        ``before`` is the state ``memory`` iterations earlier; None where there is none since the last jump.
        Arguments are not written to. An error raised here rejects the jump, and the run goes on without it.
        """
        raise NotImplementedError
