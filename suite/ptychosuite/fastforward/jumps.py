"""What an operator is shown for a jump, and what is recorded of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ptychosuite.backends.arrays import Array

UNKNOWN = float("nan")
RECORDED = ("step", "deviance_before", "deviance_inserted", "deviance_jumped", "deviance_plain")


@dataclass(frozen=True)
class Snapshot:
    """A reconstruction at one iteration."""

    object: Array  # (H, W) complex
    probe: Array  # (m, m) complex
    iteration: int


@dataclass(frozen=True)
class Jump:
    """What came of one application of the operator. Deviances are NaN where they were not computed."""

    iteration: int  # after which it was applied
    step: float = 0.0  # share of the proposed change that was accepted; 0 where it was rejected
    seconds_inference: float = 0.0
    seconds_look_ahead: float = 0.0  # refits, restart, compared iterations and their deviances
    deviance_before: float = UNKNOWN
    deviance_inserted: float = UNKNOWN  # after the jump and the refits; of the last step that was tried
    deviance_jumped: float = UNKNOWN  # the same, after the look-ahead
    deviance_plain: float = UNKNOWN  # of the solver that went on alone, where it had to
    reason: str = ""  # why it was rejected


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
    """What a run's message says of jumps that were rejected; empty where there are none."""
    return "".join(
        f"; jump after {jump.iteration} rejected: {jump.reason}" for jump in jumps if jump.step == 0
    )
