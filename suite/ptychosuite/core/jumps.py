"""Jumps of a fast-forward: when and how guarded (Schedule), what an operator is shown, what is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from annotated_types import Ge
from jaxtyping import Complex

from ptychosuite.backends.arrays import Array


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
        Keep a jump only where, ``look_ahead`` iterations later, the likelihood is surely better than that of
        the solver alone after as many iterations, and try none where the likelihood has stopped improving.
        Judged on all patterns, the solver alone is not run where the likelihood improves faster than before.
    look_ahead
        Iterations that are compared.
    judged_on
        Patterns in the middle of the scan on which a jump is judged, where the scan has four times as many or
        more; null for all. The iterations that are compared are then done there alone.
    """

    memory: ClassVar[int] = 10  # iterations between the two states that an operator is shown

    warm_up: Annotated[int, Ge(1)] = 13
    jumps: Annotated[int, Ge(1)] = 2
    spacing: Annotated[int, Ge(1)] = 12
    refits: Annotated[int, Ge(0)] = 0
    safeguard: bool = True
    look_ahead: Annotated[int, Ge(1)] = 10
    judged_on: Annotated[int, Ge(2)] | None = 25

    @property
    def jumps_after(self) -> range:
        """Numbers of iterations after which the operator is applied."""
        return range(self.warm_up, self.warm_up + self.jumps * self.spacing, self.spacing)

    def check(self, iterations: int) -> None:
        """Refuse a schedule for which a run of so many ``iterations`` is too short.

        Raises
        ------
        ValueError
            Its text begins with the field's name.
        """
        compared = self.look_ahead if self.safeguard else 1
        if self.jumps > 1 and compared > self.spacing:
            raise ValueError(f"spacing: found {self.spacing}; expected at least the look_ahead, {compared}")
        end = self.jumps_after[-1] + compared
        if end > iterations:
            raise ValueError(
                f"warm_up: the last jump, after iteration {self.jumps_after[-1]}, is judged at {end}, and "
                f"the run ends at {iterations}; raise stop.iterations, or lower warm_up, jumps or look_ahead"
            )


LONG = 4  # times the patterns that are judged on: a scan of so many is judged in its middle


def judged_patterns(judged_on: int | None, n_patterns: int) -> int:
    """How many of the patterns of a scan a jump is judged on."""
    return n_patterns if judged_on is None or n_patterns < LONG * judged_on else judged_on


UNKNOWN = float("nan")
RECORDED = ("step", "deviance_before", "deviance_inserted", "deviance_jumped", "deviance_plain")


@dataclass(frozen=True)
class Snapshot:
    """A reconstruction at one iteration."""

    object: Complex[Array, "H W"]
    probe: Complex[Array, "m m"]
    iteration: int


@dataclass(frozen=True)
class Jump:
    """What came of one application of the operator.

    Deviances are of the patterns on which it was judged; NaN where they were not computed.
    """

    iteration: int  # after which it was applied
    step: float = 0.0  # share of the proposed change that was accepted; 0 where it was rejected
    seconds_inference: float = 0.0
    seconds_look_ahead: float = 0.0  # refits, restart, compared iterations and their deviances
    deviance_before: float = UNKNOWN
    deviance_inserted: float = UNKNOWN  # after the jump and the refits; of the last step that was tried
    deviance_jumped: float = UNKNOWN  # the same, after the look-ahead
    deviance_plain: float = UNKNOWN  # of the solver that went on alone, where it had to
    reason: str = ""  # why it was rejected
    asked: bool = True  # whether the operator was asked: it is not where there is nothing to carry ahead


def figures_of(jumps: Sequence[Jump]) -> dict[str, float]:
    """Metrics of a run with these jumps, by name."""
    figures = {
        "ff_jumps": float(len(jumps)),
        "ff_rejected": float(sum(jump.step == 0 for jump in jumps)),
        "ff_seconds_inference": sum(jump.seconds_inference for jump in jumps),
        "ff_seconds_look_ahead": sum(jump.seconds_look_ahead for jump in jumps),
    }
    for number, jump in enumerate(jumps, start=1):
        figures |= {f"ff_{name}_{number}": getattr(jump, name) for name in RECORDED}
    return figures


def rejections_of(jumps: Sequence[Jump]) -> str:
    """What a run's message says of jumps that were rejected or not tried; empty where there are none."""
    return "".join(
        f"; jump after {jump.iteration} {'rejected' if jump.asked else 'not tried'}: {jump.reason}"
        for jump in jumps
        if jump.step == 0
    )
