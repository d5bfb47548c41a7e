"""What is known of a fast-forwarded run at one iteration, and what it records of its jumps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from suite.core.arrays import Array
from suite.fastforward.operator import Snapshot

UNKNOWN = float("nan")
RECORDED = ("step", "deviance_before", "deviance_inserted", "deviance_jumped", "deviance_plain")


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


@dataclass(frozen=True)
class Refocus:
    """What came of the search for the focus."""

    angle_rad: float = 0.0  # by which the pupil was bent at its root mean square radius; 0 where it stayed
    seconds: float = 0.0
    reason: str = ""  # why it failed


@dataclass(frozen=True)
class FastForwardState:
    """The solver's state, and what the next jumps need to know."""

    inner: Any  # the solver's own state
    iteration: int = 0
    past: tuple[Snapshot, ...] = ()  # earlier states that the next jump asks for
    ahead: tuple[Any, ...] = ()  # states of iterations that are computed already
    passes_beside: int = 0  # over the data, for what was tried
    jumps: tuple[Jump, ...] = ()
    refocus: Refocus | None = None

    def shot(self, ago: int) -> Snapshot | None:
        """The state so many iterations ago; None where it was not kept, or lies before the last jump."""
        return next((shot for shot in self.past if shot.iteration == self.iteration - ago), None)

    @property
    def object(self) -> Array:
        return self.inner.object

    @property
    def probe(self) -> Array:
        return self.inner.probe

    @property
    def data_passes(self) -> int:
        return int(self.inner.data_passes) + self.passes_beside


def jump_metrics(state: Any) -> dict[str, float]:
    """Figures of the jumps on the way to ``state``, by name; empty without a fast-forward."""
    if not isinstance(state, FastForwardState):
        return {}
    metrics = {
        "ff_jumps": float(len(state.jumps)),
        "ff_rejected": float(sum(jump.step == 0 for jump in state.jumps)),
        "ff_seconds_inference": sum(jump.seconds_inference for jump in state.jumps),
        "ff_seconds_look_ahead": sum(jump.seconds_look_ahead for jump in state.jumps),
    }
    if state.refocus:
        metrics |= {"ff_focus_rad": state.refocus.angle_rad, "ff_seconds_refocus": state.refocus.seconds}
    for number, jump in enumerate(state.jumps, start=1):
        metrics |= {f"ff_{name}_{number}": getattr(jump, name) for name in RECORDED}
    return metrics


def rejections(state: Any) -> str:
    """What a message says of jumps that were rejected; empty where there are none."""
    if not isinstance(state, FastForwardState):
        return ""
    texts = [
        f"; jump after {jump.iteration} rejected: {jump.reason}" for jump in state.jumps if jump.step == 0
    ]
    if state.refocus and state.refocus.reason:
        texts.insert(0, f"; search for the focus failed: {state.refocus.reason}")
    return "".join(texts)
