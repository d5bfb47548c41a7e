"""What tries are drawn from: ranges and choices of a study's section ``tune``, and the points in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptychosuite.registry.validation import Keys, SettingError, shown

DIGITS = 3  # of a value that is tried
NEAR = 0.02  # of a range, from its end: a value that lies so near is at the bound
EXPECTED = (
    "expected {uniform: [low, high]}, {loguniform: [low, high]} with low above 0, or a list of values to "
    "choose from"
)


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, evenly spread, or evenly in their logarithm."""

    low: float
    high: float
    is_logarithmic: bool

    def at(self, share: float) -> float:
        """The value at ``share`` of the way, with three digits, never beyond the ends."""
        low, high = self._scale(self.low), self._scale(self.high)
        value = low + share * (high - low)
        rounded = float(f"{math.exp(value) if self.is_logarithmic else value:.{DIGITS}g}")
        return min(max(rounded, self.low), self.high)

    def is_at_bound(self, value: Any) -> bool:
        """Whether a better value may lie beyond the end that ``value`` is near."""
        if isinstance(value, bool) or not isinstance(value, int | float) or value < self.low:
            return False
        low, high = self._scale(self.low), self._scale(self.high)
        share = (self._scale(value) - low) / (high - low)
        return share < NEAR or 1 - NEAR < share <= 1

    def _scale(self, value: float) -> float:
        return math.log(value) if self.is_logarithmic else value


@dataclass(frozen=True)
class Choices:
    """Some values, each as likely."""

    values: Sequence[Any]

    def at(self, share: float) -> Any:
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]

    def is_at_bound(self, value: Any) -> bool:
        """Never: nothing is said of what lies beyond."""
        return False


Space = Mapping[str, Range | Choices]
"""Dotted path of a setting -> what it is drawn from."""


def drawn_from(given: Any, path: Keys) -> Range | Choices:
    """What a study writes, checked.

    Raises
    ------
    SettingError
        It is no range and no list.
    """
    if isinstance(given, list) and given:
        return Choices(given)
    try:
        ((kind, ends),) = given.items()
        low, high = map(float, ends)
        is_logarithmic = {"uniform": False, "loguniform": True}[kind]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SettingError(path, f"found {shown(given)}; {EXPECTED}") from error
    if not math.isfinite(high - low) or low >= high or (is_logarithmic and low <= 0):
        raise SettingError(path, f"found {shown(given)}; {EXPECTED}")
    return Range(low, high, is_logarithmic)


def points(space: Space, number: int, seed: int) -> list[dict[str, Any]]:
    """So many different points of ``space``, or fewer where it has no more.

    Those of a scrambled Halton sequence (SciPy's), which fill the space more evenly than independent draws:
    the same for the same ``seed``, and the first ones of any longer list.
    """
    from scipy.stats.qmc import Halton  # takes longer to load than a plan to make

    sequence = Halton(len(space), scramble=True, rng=np.random.default_rng(seed))
    every_choice = all(isinstance(each, Choices) for each in space.values())
    most = math.prod(len(each.values) for each in space.values() if isinstance(each, Choices))
    wanted = min(number, most) if every_choice else number
    found: dict[str, dict[str, Any]] = {}
    for share in sequence.random(64 * number + 64):
        point = {path: each.at(float(x)) for (path, each), x in zip(space.items(), share, strict=True)}
        found.setdefault(repr(point), point)
        if len(found) >= wanted:
            break
    return list(found.values())[:wanted]
