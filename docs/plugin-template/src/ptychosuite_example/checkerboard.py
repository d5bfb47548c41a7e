"""A checkerboard, whose edges show what a solver resolves."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge
from ptychosuite.problems.problem_kind import Square


@dataclass(frozen=True)
class Checkerboard(Square):
    """Squares that shift the phase and let less light through, and empty ones.

    Parameters
    ----------
    size
        Pixels on a side.
    square
        Pixels on a side of a square.
    transmission
        Modulus in a full square.
    phase_shift
        Phase in a full square, in radians.
    """

    size: Annotated[int, Ge(8)] = 64
    square: Annotated[int, Ge(1)] = 8
    transmission: float = 0.8
    phase_shift: float = 1.0

    def make(self):
        row, column = np.indices(self.shape) // self.square
        return np.where((row + column) % 2, self.transmission * np.exp(1j * self.phase_shift), 1.0 + 0j)
