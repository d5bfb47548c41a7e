"""A study expanded into its runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from suite.core.check import Tolerances
from suite.core.figures import Figure
from suite.core.run import RunSpec


@dataclass(frozen=True)
class Plan:
    """A study expanded."""

    name: str
    title: str
    runs: tuple[RunSpec, ...]
    run_ids: tuple[str, ...]  # of the runs, under the present code
    factors: Mapping[str, bool]  # dotted path of what varies, in the study's order -> is it a number?
    constants: Mapping[str, Any]  # dotted path -> value of all that does not
    figures: tuple[Figure, ...]
    tolerances: Tolerances  # of a check
    text: str
    overrides: tuple[str, ...]

    def remaining(self, done: Iterable[str]) -> tuple[RunSpec, ...]:
        """The runs whose ids are not in ``done``, in order."""
        known = set(done)
        return tuple(run for run, run_id in zip(self.runs, self.run_ids, strict=True) if run_id not in known)
