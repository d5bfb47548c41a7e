"""Where solvers are told that the probe was, and how much room the object leaves for where it truly was."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Real

from ptychosuite.errors import StudyError
from ptychosuite.problems.position_errors import PositionErrors, rotation
from ptychosuite.problems.problem_kind import ScanKind


@dataclass(frozen=True)
class ScanLayout:
    """A scan inside an object, with a margin for its errors.

    Parameters
    ----------
    scan
        Lays out positions in what the margin leaves of the object.
    margin_px
        Pixels of the object that are left free on all sides.
    rotation_deg
        Angle by which the whole scan is turned about the object's centre.
    errors
        What the true positions have more.
    reach_px
        (rows, columns) by which random moves and motion go beyond that at most.
    """

    scan: ScanKind
    margin_px: int
    rotation_deg: float
    errors: PositionErrors
    reach_px: tuple[float, float]

    def given(
        self, shape: tuple[int, int], probe_size: int, rng: np.random.Generator
    ) -> Real[np.ndarray, "N 2"]:
        """Positions in pixels that solvers are told.

        Raises
        ------
        StudyError
            The margin leaves no room for the probe.
        """
        inner = shape[0] - 2 * self.margin_px, shape[1] - 2 * self.margin_px
        if min(inner) < probe_size:
            raise StudyError(
                f"a margin of {self.margin_px} leaves {inner[0]} x {inner[1]} pixels of the object, and the "
                f"probe has {probe_size} x {probe_size}; make the object larger"
            )
        positions = self.scan.positions(inner, probe_size, rng)
        if self.margin_px:
            positions = positions + self.margin_px
        if self.rotation_deg:
            centre = (np.asarray(shape) - probe_size) / 2
            positions = centre + (positions - centre) @ rotation(self.rotation_deg).T
        return positions

    def true(self, given: Real[np.ndarray, "N 2"], rng: np.random.Generator) -> Real[np.ndarray, "N 2"]:
        """Positions in pixels with their errors; ``given`` itself where there are none."""
        moves = self.errors.regular(given) + self.errors.drawn(len(given), rng)
        return given + moves if moves.any() else given

    def check(self, shape: tuple[int, int], probe_size: int) -> int:
        """The number of positions, where the true ones stay inside the object.

        Raises
        ------
        StudyError
            They do not; its text says which margin is enough.
        """
        given = self.given(shape, probe_size, np.random.default_rng(0))
        if self._has_room(given, shape, probe_size):
            return len(given)
        for margin in range(self.margin_px + 1, (min(shape) - probe_size) // 2 + 1):
            wider = replace(self, margin_px=margin)
            laid = wider.given(shape, probe_size, np.random.default_rng(0))
            if wider._has_room(laid, shape, probe_size):
                raise StudyError(
                    f"found {self.margin_px}; true positions may leave the object; say margin_px: {margin} "
                    f"for all runs ({len(laid)} of {len(given)} positions stay, more in a larger object)"
                )
        raise StudyError(
            f"found {self.margin_px}; the true positions leave the object, and no margin is enough; make the "
            "object larger, or the errors smaller"
        )

    def _has_room(self, given: np.ndarray, shape: tuple[int, int], probe_size: int) -> bool:
        true, reach = given + self.errors.regular(given), np.asarray(self.reach_px)
        room = np.asarray(shape) - probe_size
        return bool(
            (given >= 0).all()
            and (given <= room).all()
            and (true - reach >= 0).all()
            and (true + reach <= room).all()
        )


def refuse_outside(
    positions_px: Real[np.ndarray, "N 2"], shape: tuple[int, int], probe_size: int, margin_px: int
) -> None:
    """Refuse true positions that do not leave a patch, at the nearest whole pixel, in the object.

    Raises
    ------
    StudyError
        With the margin that would do for all seeds.
    """
    nearest = np.rint(positions_px)
    if (nearest < 0).any() or (nearest > np.asarray(shape) - probe_size).any():
        raise StudyError(
            f"with this seed a true position leaves the object; say margin_px: {margin_px + 2} for all runs"
        )
