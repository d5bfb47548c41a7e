"""When a fast-forward operator is applied, and what guards it: settings, for studies and operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Base of the operators' dataclasses.

    Parameters
    ----------
    warm_up
        Iterations before the operator is applied for the first time.
    jumps
        How many times it is applied.
    spacing
        Iterations from one jump to the next.
    refits
        Least-squares refits of the probe after each jump, where the solver updates the probe.
    safeguard
        Keep a jump only where, ``look_ahead`` iterations later, the likelihood is at least that of the solver
        alone after as many iterations. The latter is not run where the likelihood goes on improving at a fair
        share of its pace.
    look_ahead
        Iterations that are compared.
    """

    memory: ClassVar[int] = 10  # iterations between the two states that an operator is shown

    warm_up: Annotated[int, Ge(1)] = 13
    jumps: Annotated[int, Ge(1)] = 2
    spacing: Annotated[int, Ge(1)] = 12
    refits: Annotated[int, Ge(0)] = 0
    safeguard: bool = True
    look_ahead: Annotated[int, Ge(1)] = 10

    @property
    def jumps_after(self) -> range:
        """Numbers of iterations after which the operator is applied."""
        return range(self.warm_up, self.warm_up + self.jumps * self.spacing, self.spacing)

    def check(self, iterations: int) -> None:
        """Raise ValueError, its text beginning with the field's name, where a run of so many is too short."""
        compared = self.look_ahead if self.safeguard else 1
        if self.jumps > 1 and compared > self.spacing:
            raise ValueError(f"spacing: found {self.spacing}; expected at least the look_ahead, {compared}")
        end = self.jumps_after[-1] + compared
        if end > iterations:
            raise ValueError(
                f"warm_up: the last jump, after iteration {self.jumps_after[-1]}, is judged at {end}, and "
                f"the run ends at {iterations}; raise stop.iterations, or lower warm_up, jumps or look_ahead"
            )
