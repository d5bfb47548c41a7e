"""What a fast-forward operator is.

An operator is a frozen dataclass with one pure method, ``advance``, that maps the state of a reconstruction
to one further on. It need not be right: what comes of its proposal is judged by
:mod:`ptychosuite.fastforward.apply`. Its fields are its settings; a study can set those of :class:`Schedule`
as well. Those that are here need no training: they are what a trained one has to beat.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt
from jaxtyping import Complex

from ptychosuite.backends.arrays import Array, Backend, copy, numerical_errors
from ptychosuite.core.jumps import Schedule, Snapshot
from ptychosuite.core.problem import Problem
from ptychosuite.errors import CannotAdvance
from ptychosuite.fastforward.apply import FastForward
from ptychosuite.problems.problem_kind import FileSettings
from ptychosuite.solvers.solver import Solver

__all__ = ["Operator", "Snapshot"]  # what an operator's author needs


@dataclass(frozen=True, kw_only=True)
class Operator(Schedule, FileSettings):
    """Base of the operators: carries a reconstruction ahead.

    ``advance`` is all that an operator has to bring; everything else has a default here. ``needs_truth`` says
    whether it works on simulations alone, which know the truth; a study of measured data is then refused.
    """

    needs_truth: ClassVar[bool] = False

    def advance(
        self, problem: Problem, now: Snapshot, before: Snapshot | None
    ) -> tuple[Complex[Array, "H W"], Complex[Array, "m m"]]:
        """Object and probe further on, in the library and precision of ``now``.

        ``before`` is the state ``memory`` iterations earlier; None where there is none since the last jump.
        Arguments are not written to.

        Raises
        ------
        CannotAdvance
            Nothing can be proposed from this state. As with other errors of numerics
            (:func:`ptychosuite.backends.arrays.numerical_errors`) the jump is rejected, and the run goes on
            without it. Any other error fails the run, and so does a proposal of another shape or precision.
        """
        raise NotImplementedError

    def carrying(self, solver: Solver, problem: Problem, backend: Backend) -> Solver:
        """``solver``, carried ahead by this operator.

        The operator is applied once to the start of ``problem``, so that what it loads is there before the
        clock starts.

        Raises
        ------
        UserError
            The operator cannot work here: a checkpoint or a package is missing.
        """
        start = Snapshot(copy(problem.start_object), copy(problem.probe), 0)
        with suppress(*numerical_errors()):  # what it makes of a state is judged where it is applied
            self.advance(problem, start, start)
        return FastForward(solver, self, self.advance, backend)


@dataclass(frozen=True, kw_only=True)
class Identity(Operator):
    """Stays where it is: what the jump itself costs, and the solver's restart."""

    def advance(
        self, problem: Problem, now: Snapshot, before: Snapshot | None
    ) -> tuple[Complex[Array, "H W"], Complex[Array, "m m"]]:
        return now.object, now.probe


@dataclass(frozen=True, kw_only=True)
class ProbeRefit(Operator):
    """Stays where it is and lets the probe be refitted."""

    refits: Annotated[int, Ge(0)] = 5

    def advance(
        self, problem: Problem, now: Snapshot, before: Snapshot | None
    ) -> tuple[Complex[Array, "H W"], Complex[Array, "m m"]]:
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

    def advance(
        self, problem: Problem, now: Snapshot, before: Snapshot | None
    ) -> tuple[Complex[Array, "H W"], Complex[Array, "m m"]]:
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
