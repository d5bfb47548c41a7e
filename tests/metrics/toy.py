"""A newcomer's metric: all that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class Likeness:
    """Cosine between the object and the truth over the scanned area."""

    name: ClassVar[str] = "likeness"
    label: ClassVar[str] = "likeness to the truth"
    better: ClassVar[str] = "higher"
    needs: ClassVar[str] = "truth"

    def value(self, evaluation):
        obj, truth = evaluation.scanned_object, evaluation.truth.scanned_object
        return abs(np.vdot(truth, obj)) / (np.linalg.norm(truth) * np.linalg.norm(obj))


@dataclass(frozen=True)
class Row:
    """A metric that calls itself like a column of the results."""

    name: ClassVar[str] = "row"

    def value(self, evaluation):
        return 0.0


@dataclass(frozen=True)
class Alpha(Row):
    """A metric that calls itself like a setting."""

    name: ClassVar[str] = "alpha"


@dataclass(frozen=True)
class Residual(Row):
    """A metric that calls itself like another one."""

    name: ClassVar[str] = "residual"


@dataclass(frozen=True)
class Nothing:
    """No metric."""
