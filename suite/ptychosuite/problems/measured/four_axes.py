"""A scan as electron microscopes keep it: one array of four axes, each with its step and a unit."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.pattern_stack import Part, PatternStack, single_stack
from ptychosuite.problems.measured.raw import Pair, Raw
from ptychosuite.problems.measured.units import factor

PER_LENGTH, ANGLE, LENGTH = "1/m", "rad", "m"
MOST_PATTERNS = 10**7  # of a file that makes sense
ANGULAR = re.compile("rad|deg|°")  # pint takes a bare number, or counts, for an angle


@dataclass(frozen=True)
class Axis:
    """The step from one number to the next along an axis of an array, and its unit, "" if unknown."""

    step: float
    unit: str

    def measured_in(self, wanted: str) -> float | None:
        """The step in metres, per metre or in radians; None where its unit is of another kind, or none."""
        word = re.sub(r"[\[\]{}_$]", "", self.unit).strip()  # [n_m^-1], as EMD spells it
        if not word or not math.isfinite(self.step) or not self.step:
            return None
        if wanted == ANGLE and not ANGULAR.search(word):
            return None
        try:
            return self.step * factor(word, wanted, "axis", "")
        except DataFileError:
            return None


UNKNOWN = Axis(1.0, "")


def stack_of(array: Any, axes: Sequence[Axis], name: str, path: str) -> PatternStack:
    """The patterns of (slow, fast, rows, columns), or of (rows, columns, slow, fast) where the units say so.

    Raises
    ------
    DataFileError
        The array holds no stack of real numbers.
    """
    stack = single_stack(array, name, path)
    if len(axes) != 4:
        return stack
    first, last = axes[:2], axes[2:]
    in_front = any(axis.measured_in(unit) for axis in first for unit in (PER_LENGTH, ANGLE))
    if in_front and all(axis.measured_in(LENGTH) for axis in last):
        return PatternStack((Part(array, (3, 0, 1), outer=2),), name)
    return stack


def take_scan(raw: Raw, stack: PatternStack, axes: Sequence[Axis], name: str, path: str) -> None:
    """Positions in metres of a raster whose steps are known; of another one none.

    Raises
    ------
    DataFileError
        The array declares more patterns than any microscope records.
    """
    part, shape = stack.parts[0], stack.scan_shape
    if shape is None or part.outer is None:
        return
    steps = [axes[axis].measured_in(LENGTH) for axis in (part.outer, part.axes[0])]
    if None in steps:
        return
    if math.prod(shape) > MOST_PATTERNS:
        raise DataFileError(
            f"{path}: '{name}' declares {shape[0]} x {shape[1]} patterns, which no file holds; it is damaged"
        )
    raw.positions = np.indices(shape).reshape(2, -1).T * np.array(steps, dtype=np.float64)
    raw.positions_unit, raw.source["positions"] = "m", f"{name}, steps of its axes"


def take_pixel(raw: Raw, stack: PatternStack, axes: Sequence[Axis], name: str) -> None:
    """The detector's pixel, be it a spatial frequency, an angle or a length."""
    part = stack.parts[0]
    whole = [UNKNOWN] * (len(part.array.shape) - len(axes)) + [
        *axes
    ]  # one pattern has no axis for its number
    rows, columns = (whole[axis] for axis in part.axes[1:])
    for unit, held in (
        (PER_LENGTH, "reciprocal_pixel_per_m"),
        (ANGLE, "angular_pixel_rad"),
        (LENGTH, "detector_pixel_m"),
    ):
        if pair := _pair(rows, columns, unit):
            setattr(raw, held, pair)
            raw.source["detector pixel"] = name
            return


def _pair(rows: Axis, columns: Axis, unit: str) -> Pair | None:
    height, width = rows.measured_in(unit), columns.measured_in(unit)
    return None if height is None or width is None else (abs(height), abs(width))
