"""PtyLab as a solver: its ePIE, mPIE and mqNewton, one iteration a step.

How its conventions differ from ours is said in :mod:`ptychosuite.solvers.peers.drive_ptylab`. The order of
the positions is drawn from our generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Gt, Le

from ptychosuite.core.problem import Problem
from ptychosuite.solvers.peers import drive_ptylab
from ptychosuite.solvers.peers.peer_task import PeerTask
from ptychosuite.solvers.peers.session import PeerSettings


@dataclass(frozen=True, kw_only=True)
class PtyLab(PeerSettings):
    """An engine of the package PtyLab on one CPU thread, for whole pixels; ``step`` is not pure.

    Parameters
    ----------
    algorithm
        "epie", "mpie" (with momentum) or "mqnewton" (quasi-Newton with momentum).
    alpha, beta
        Regularisation in (0, 1] of object and probe, for "mpie".
    step_length
        Length of the steps of both.
    """

    label: ClassVar[str] = "PtyLab"
    typical_cost: ClassVar[float] = 10.0
    can_hold_out: ClassVar[bool] = False  # it has no masks
    packages: ClassVar[tuple[str, ...]] = (drive_ptylab.package,)
    driver: ClassVar[Any] = drive_ptylab

    algorithm: Literal["epie", "mpie", "mqnewton"] = "epie"
    alpha: Annotated[float, Gt(0), Le(1)] = 0.1
    beta: Annotated[float, Gt(0), Le(1)] = 0.1
    step_length: Annotated[float, Gt(0), Le(1)] = 0.25

    @property
    def patterns_of_a_batch(self) -> int | None:
        return 1

    def told(self) -> Mapping[str, Any]:
        return {**super().told(), "positions": None}

    def task(self, problem: Problem) -> PeerTask:
        task = super().task(problem)
        if task.is_between_pixels:
            raise ValueError("PtyLab rounds positions to whole pixels; those of this problem lie between")
        if task.mask is not None or task.fitted is not None:
            raise ValueError("PtyLab has no masks; this problem has pixels that are not fitted")
        return task
