"""What a solver finds of an experiment beside object and probe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from ptychosuite.core.problem import ProbeVariation, Problem


@dataclass(frozen=True)
class Found:
    """Where the patterns lie and how the probe varies, as far as a solver has found it; None: as is given.

    A state that has any has it as ``found``.
    """

    positions_px: Float[np.ndarray, "N 2"] | None = None  # on the host
    variation: ProbeVariation | None = None

    @classmethod
    def by(cls, state: Any) -> Found:
        """What the solver of ``state`` has found."""
        return getattr(state, "found", None) or cls()

    def applied_to(self, problem: Problem) -> Problem:
        """``problem`` as the solver sees it."""
        if self.positions_px is not None:
            problem = problem.at(self.positions_px)
        return problem if self.variation is None else replace(problem, variation=self.variation)
