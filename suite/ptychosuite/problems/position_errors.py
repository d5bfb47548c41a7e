"""Where the probe truly is, against where the scan says that it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Len, Lt
from jaxtyping import Float, Int, Real

CUT = 4.0  # random errors are cut off at as many times their rms: a scan has to know how much room it needs


@dataclass(frozen=True)
class PositionErrors:
    """Errors of the scan: solvers are told what was asked for, the data come from the true positions.

    The mean error is taken out, as a common shift of all positions is not in the data.

    Parameters
    ----------
    random_px
        Rms of a random error along either axis, normally distributed.
    drift_px
        [rows, columns] by which the sample drifts from the first position to the last, evenly.
    backlash_px
        How much further along the columns every second line of the scan lies, as where the stage runs it
        backwards. A line ends where the scan goes back along the columns.
    rotation_deg
        Rotation of the true scan about its centre, from the columns' axis towards the rows'.
    scale
        Relative stretch of the true scan: 0.01 is 1 % larger than asked for.
    shear_deg
        Angle by which the rows' axis leans towards the columns'.
    """

    random_px: Annotated[float, Ge(0)] = 0.0
    drift_px: Annotated[Sequence[float], Len(2, 2)] = (0.0, 0.0)
    backlash_px: float = 0.0
    rotation_deg: float = 0.0
    scale: Annotated[float, Gt(-1)] = 0.0
    shear_deg: Annotated[float, Gt(-90), Lt(90)] = 0.0

    @property
    def reach_px(self) -> float:
        """Largest random error along either axis."""
        return CUT * self.random_px

    def regular(self, positions: Real[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
        """Errors in pixels that are not random, of positions in pixels in the order of the scan."""
        errors = np.multiply.outer(np.linspace(-0.5, 0.5, len(positions)), np.asarray(self.drift_px, float))
        errors[:, 1] += self.backlash_px * (line_numbers(positions) % 2)
        shear = np.array([[1, 0], [np.tan(np.deg2rad(self.shear_deg)), 1]])
        affine = (1 + self.scale) * rotation(self.rotation_deg) @ shear
        errors += (positions - positions.mean(axis=0)) @ (affine - np.eye(2)).T
        return errors - errors.mean(axis=0)

    def drawn(self, n_positions: int, rng: np.random.Generator) -> Float[np.ndarray, "{n_positions} 2"]:
        """Random errors in pixels."""
        return random_moves(self.random_px, n_positions, rng)


def rotation(angle_deg: float) -> Float[np.ndarray, "2 2"]:
    """The matrix that turns (row, column) from the columns' axis towards the rows'."""
    angle = np.deg2rad(angle_deg)
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def line_numbers(positions: Real[np.ndarray, "N 2"]) -> Int[np.ndarray, " N"]:
    """Of each position the number of its line, from 0: a new one begins where the scan goes back."""
    return np.concatenate([[0], np.cumsum(np.diff(positions[:, 1]) < 0)])


def random_moves(
    rms_px: float, n_positions: int, rng: np.random.Generator
) -> Float[np.ndarray, "{n_positions} 2"]:
    """Normally distributed moves in pixels about their mean, none beyond CUT times ``rms_px``."""
    moves = rng.normal(0, rms_px, (n_positions, 2))
    return np.clip(moves - moves.mean(axis=0), -CUT * rms_px, CUT * rms_px)
