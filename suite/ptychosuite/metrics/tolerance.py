"""How far a metric may move from its baseline, or from one repetition of a run to the next.

Runs that begin identically to the last digit repeat almost exactly. Otherwise what follows the first
iterations has the room that rounding needs by then, which :mod:`ptychosuite.analysis.rounding` knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

EXACT = 1e-6  # relative, of whatever follows a beginning that is the same to the last digit


@dataclass(frozen=True)
class Change:
    """A change that is not spoken of: ``relative`` of the baseline's value, and ``absolute``."""

    relative: float
    absolute: float = 0.0

    def excess(self, before: float, now: float) -> float:
        """The change over what is allowed; above 1 it is too large."""
        change = abs(now - before)
        allowed = self.relative * abs(before) + self.absolute
        return change / allowed if allowed else float("inf") if change else 0.0


@dataclass(frozen=True)
class Tolerance:
    """What rounding alone may do to a metric.

    Parameters
    ----------
    like
        Whether it drifts as curves of misfits do, or as images and what is computed from their phases.
    floors
        By dtype, what rounding leaves where a run without noise has converged, relative to the value at the
        start where the baseline has its curve.
    """

    like: Literal["curves", "images"] = "curves"
    floors: Mapping[str, float] = field(default_factory=dict)

    def allowed(self, dtype: str, identical_start: bool, rounding: float, scale: float = 1.0) -> Change:
        """The change from a baseline that is not spoken of.

        Parameters
        ----------
        identical_start
            Whether the first iterations are the same to the last digit.
        rounding
            Relative change that rounding was seen to make by then.
        scale
            The value at the start.
        """
        relative = EXACT if identical_start else max(EXACT, rounding)
        return Change(relative, self.floors.get(dtype, 0.0) * scale)

    def repeated(self, rounding: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Relative tolerance of ``values`` in a repetition; ``rounding`` and the result have their shape."""
        return rounding


@dataclass(frozen=True)
class Count(Tolerance):
    """Of a number of iterations or passes: a threshold may fall between two."""

    relative: float = 0.1  # measured: 4 iterations of 39
    absolute: float = 4.0

    def allowed(self, dtype: str, identical_start: bool, rounding: float, scale: float = 1.0) -> Change:
        return Change(EXACT) if identical_start else Change(self.relative, self.absolute)

    def repeated(self, rounding: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.maximum(rounding, 1.0 / np.maximum(1.0, np.nan_to_num(values)))


@dataclass(frozen=True)
class Memory(Tolerance):
    """Of memory: the same change always, however the run began."""

    relative: float = 0.1
    absolute: float = 50e6

    def allowed(self, dtype: str, identical_start: bool, rounding: float, scale: float = 1.0) -> Change:
        return Change(self.relative, self.absolute)
