"""pty-chi as a solver: its reconstructors, one epoch a step.

How its conventions differ from ours is said in :mod:`ptychosuite.solvers.peers.drive_ptychi`. Batches are
drawn from our generator, so that one pattern at a time it sees the scan order of our sweeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from ptychosuite.solvers.peers import drive_ptychi
from ptychosuite.solvers.peers.session import PeerSettings

Algorithm = Literal["pie", "epie", "rpie", "lsqml", "dm", "raar", "autodiff"]
DEFAULT_STEPS: Mapping[Algorithm, float] = {
    "pie": 1.0, "epie": 1.0, "rpie": 1.0, "lsqml": 0.9, "dm": 1.0, "raar": 0.75, "autodiff": 0.01,
}  # fmt: skip
POSITIONS_STEP, ADAMS_POSITIONS_STEP = 0.3, 0.05
WHOLE_SCAN = ("dm", "raar")  # algorithms that take all patterns at once
ONE_CORRECTION = ("dm", "raar", "autodiff")  # algorithms that know the gradient alone
NO_VARIATION = ("dm", "autodiff")


@dataclass(frozen=True, kw_only=True)
class PtyChi(PeerSettings):
    """A reconstructor of the package pty-chi on one CPU thread; ``step`` is not pure.

    Parameters
    ----------
    algorithm
        "pie", "epie", "rpie", "lsqml", "dm" (difference map), "raar" or "autodiff" (Adam on the amplitudes).
    alpha, beta
        Regularisation in (0, 1] of object and probe, for "pie" and "rpie".
    step_length
        PIE family: length of the steps. LSQML: share of the optimal step. dm: relaxation. raar: its beta,
        above 0.5. autodiff: Adam's step. By default (null) 1, 0.9, 1, 0.75 and 0.01.
    momentum
        PIE family: Nesterov momentum, which makes rPIE mPIE. LSQML: gain of its acceleration,
        which in batches that are drawn anew is the probe's alone.
    batch
        Patterns of a batch; dm and raar take all at once, pie one by one.
    probe_start
        Iterations before the first update of the probe.
    positions
        "gradient" or "cross-correlation"; by default (null) positions stay as they are given.
    positions_step
        Step of the correction; autodiff: Adam's, in pixels. By default (null) 0.3 and 0.05.
    probe_variations
        Modes by which the probe differs from pattern to pattern (orthogonal probe relaxation), in its first
        mode.
    intensity
        Whether the intensity of each pattern's light is found beside them.
    variation_start
        Iterations before the first of both.
    """

    label: ClassVar[str] = "pty-chi"
    typical_cost: ClassVar[float] = 25.0
    packages: ClassVar[tuple[str, ...]] = (drive_ptychi.package,)
    driver: ClassVar[Any] = drive_ptychi
    stays_because: ClassVar[str] = (
        "the state of pty-chi's 'dm' and 'raar' is the exit wave of every pattern, which no operator moves"
    )

    algorithm: Algorithm = "rpie"
    alpha: Annotated[float, Gt(0), Le(1)] = 0.01
    beta: Annotated[float, Gt(0), Le(1)] = 0.5
    step_length: Annotated[float, Gt(0), Le(1)] | None = None
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0
    batch: Annotated[int, Ge(1)] = 1
    probe_start: Annotated[int, Ge(0)] = 0
    positions: Literal["gradient", "cross-correlation"] | None = None
    positions_step: Annotated[float, Gt(0)] | None = None
    probe_variations: Annotated[int, Ge(0)] = 0
    intensity: bool = False
    variation_start: Annotated[int, Ge(0)] = 5

    @property
    def can_go_back(self) -> bool:  # type: ignore[override]  # not of every algorithm
        return self.algorithm not in WHOLE_SCAN

    @property
    def patterns_of_a_batch(self) -> int | None:
        return None if self.algorithm in WHOLE_SCAN else self.batch

    @property
    def n_variations(self) -> int:
        return self.probe_variations

    def check(self, probe_size: int) -> None:
        if self.algorithm == "raar" and self.step_length is not None and self.step_length <= 0.5:
            raise ValueError(f"step_length: found {self.step_length}; RAAR's beta has to be above 0.5")
        if self.algorithm == "pie" and self.batch > 1:
            raise ValueError("batch: pty-chi's 'pie' goes wrong with a probe that moves in batches; say 1")
        if self.positions == "cross-correlation" and self.algorithm in ONE_CORRECTION:
            raise ValueError(f"positions: pty-chi's '{self.algorithm}' corrects them by 'gradient' alone")
        if self.positions and self.positions_start and self.algorithm == "autodiff":
            raise ValueError(
                "positions_start: pty-chi's 'autodiff' corrects them from the first epoch on; say 0"
            )
        if self.intensity and not self.probe_variations:
            raise ValueError("intensity: pty-chi finds it beside 'probe_variations' alone; say 1 of them")
        if self.intensity and self.probe_modes > 1:
            raise ValueError("intensity: pty-chi varies that of the first of 'probe_modes' alone; say 1")
        self._check_variations()

    def _check_variations(self) -> None:
        if not self.probe_variations:
            return
        if self.algorithm in NO_VARIATION:
            raise ValueError(
                f"probe_variations: with pty-chi's '{self.algorithm}' the probe cannot vary; say 0"
            )
        if self.patterns_of_a_batch == 1:
            raise ValueError(
                "probe_variations: pty-chi finds them in batches of two patterns or more; say 'batch'"
            )

    def told(self) -> Mapping[str, Any]:
        adam = self.algorithm == "autodiff"
        return {
            **super().told(),
            "step_length": self.step_length or DEFAULT_STEPS[self.algorithm],
            "positions_step": self.positions_step or (ADAMS_POSITIONS_STEP if adam else POSITIONS_STEP),
            "takes_all": self.algorithm in WHOLE_SCAN,
        }
