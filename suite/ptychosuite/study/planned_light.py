"""How far the light of planned scans overlaps, which ``overlap``, that of probe arrays, does not tell."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ptychosuite.core.runs import RunSpec
from ptychosuite.errors import UserError
from ptychosuite.metrics.light import light_overlap, step_px
from ptychosuite.problems.problem_kind import kind_of

MOST_PROBLEMS = 12  # whose probes are made
MOST_PIXELS = 4_000_000  # of all these probes: some tenths of a second

Span = tuple[float, float]  # the least and the most


@dataclass(frozen=True)
class PlannedLight:
    """Linear overlaps, 1 - step / diameter, of neighbouring positions."""

    light: Span
    arrays: Span
    seen: int  # problems that were looked at
    problems: int

    @classmethod
    def of(cls, specs: Iterable[RunSpec]) -> PlannedLight | None:
        """That of some of the simulated problems of ``specs``, spread over all; None where there are none."""
        shared = {id(spec.problem): spec.problem for spec in specs}.values()  # by many runs each
        problems = list({json.dumps(problem, sort_keys=True): problem for problem in shared}.values())
        found = list(_overlaps(problems[:: math.ceil(len(problems) / MOST_PROBLEMS) or 1]))
        if not found:
            return None
        light, arrays = ((min(each), max(each)) for each in zip(*found, strict=True))
        return cls(light, arrays, len(found), len(problems))

    def __str__(self) -> str:
        some = f", in {self.seen} of {self.problems} problems" if self.seen < self.problems else ""
        return (
            f"the light of neighbouring positions overlaps by {_percent(self.light)} "
            f"(the probe arrays by {_percent(self.arrays)}){some}"
        )


def _overlaps(problems: Iterable[Mapping[str, Any]]) -> Iterator[tuple[float, float]]:
    """Of the light and of the arrays, of each problem that says them."""
    pixels = 0
    for problem in problems:
        made = None
        with suppress(UserError):  # what cannot be made is told by the run
            made = kind_of(problem).light() if pixels < MOST_PIXELS else None
        if made is None:
            continue
        modes, positions = made
        pixels += modes.size
        overlaps = light_overlap(modes, positions), max(0.0, 1 - step_px(positions) / modes.shape[-1])
        if all(map(math.isfinite, overlaps)):
            yield overlaps


def _percent(span: Span) -> str:
    least, most = (f"{100 * value:.0f}" for value in span)
    return f"{least} %" if least == most else f"{least} to {most} %"
