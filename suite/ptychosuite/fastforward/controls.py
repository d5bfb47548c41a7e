"""Operators that need no training: what a trained one has to beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from ptychosuite.backends.arrays import Array
from ptychosuite.core.problem import Problem
from ptychosuite.errors import CannotAdvance
from ptychosuite.fastforward.operator import Operator, Snapshot


@dataclass(frozen=True, kw_only=True)
class Identity(Operator):
    """Stays where it is: what the jump itself costs, and the solver's restart."""

    def advance(self, problem: Problem, now: Snapshot, before: Snapshot | None) -> tuple[Array, Array]:
        return now.object, now.probe


@dataclass(frozen=True, kw_only=True)
class ProbeRefit(Operator):
    """Stays where it is and lets the probe be refitted."""

    refits: Annotated[int, Ge(0)] = 5

    def advance(self, problem: Problem, now: Snapshot, before: Snapshot | None) -> tuple[Array, Array]:
        return now.object, now.probe


@dataclass(frozen=True, kw_only=True)
class Extrapolation(Operator):
    """Goes on along the line from the earlier state to the present one.

    Parameters
    ----------
    factor
        Length of the step, in units of the way since the earlier state.
    """

    factor: Annotated[float, Gt(0)] = 6.0

    def advance(self, problem: Problem, now: Snapshot, before: Snapshot | None) -> tuple[Array, Array]:
        """z + factor (z - z_before) and the same for the probe.

        Raises
        ------
        CannotAdvance
            There is no earlier state.
        """
        if before is None:
            raise CannotAdvance(
                f"extrapolation needs the state {self.memory} iterations earlier; "
                f"set warm_up and spacing to {self.memory} at least"
            )
        return (
            now.object + self.factor * (now.object - before.object),
            now.probe + self.factor * (now.probe - before.probe),
        )
