"""cdtools as a solver: its automatic differentiation with Adam, L-BFGS or SGD, one epoch a step.

How its conventions differ from ours is said in :mod:`ptychosuite.solvers.peers.drive_cdtools`. Batches are
drawn from our generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Lt

from ptychosuite.solvers.peers import drive_cdtools
from ptychosuite.solvers.peers.session import PeerSettings

Optimiser = Literal["adam", "lbfgs", "sgd"]
DEFAULT_STEPS: Mapping[Optimiser, float] = {"adam": 0.005, "lbfgs": 0.1, "sgd": 0.1}


@dataclass(frozen=True, kw_only=True)
class CDTools(PeerSettings):
    """An optimiser of the package cdtools on one CPU thread; ``step`` is not pure.

    Parameters
    ----------
    algorithm
        "adam", "lbfgs" or "sgd". An epoch of L-BFGS is up to 20 of its iterations.
    step_length
        The optimiser's learning rate; by default (null) 0.005, 0.1 and 0.1.
    momentum
        Nesterov momentum of "sgd".
    history
        Pairs that "lbfgs" keeps.
    batch
        Patterns of a batch; "lbfgs" takes all at once.
    positions
        "gradient": positions are parameters as well; by default (null) they stay as they are given.
    positions_step
        Learning rate of the positions, in pixels.
    intensity
        Whether the intensity of each pattern's light is found.
    """

    label: ClassVar[str] = "cdtools"
    typical_cost: ClassVar[float] = 6.0  # L-BFGS fifteen times that
    packages: ClassVar[tuple[str, ...]] = (drive_cdtools.package,)
    driver: ClassVar[Any] = drive_cdtools

    algorithm: Optimiser = "adam"
    step_length: Annotated[float, Gt(0)] | None = None
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0
    history: Annotated[int, Ge(1)] = 2
    batch: Annotated[int, Ge(1)] = 15
    positions: Literal["gradient"] | None = None
    positions_step: Annotated[float, Gt(0)] = 0.02
    intensity: bool = False

    @property
    def patterns_of_a_batch(self) -> int | None:
        return None if self.algorithm == "lbfgs" else self.batch

    def check(self, probe_size: int) -> None:
        if self.positions and self.positions_start and self.algorithm == "lbfgs":
            raise ValueError("positions_start: cdtools' 'lbfgs' corrects them from the first epoch on; say 0")

    def told(self) -> Mapping[str, Any]:
        return {**super().told(), "step_length": self.step_length or DEFAULT_STEPS[self.algorithm]}
