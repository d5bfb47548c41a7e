"""Where each pattern of a NeXus file was taken: the motors' values, each at the patterns that it belongs to.

Which motor is slow is said by the ``axes`` and ``NAME_indices`` of NXdata, by the older ``axis`` of the motor
or ``axes`` of the signal, or by a shape that fits in one way only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.formats.nexus_groups import groups_of, has_images, signal_of
from ptychosuite.problems.measured.formats.nexus_motors import Motor
from ptychosuite.problems.measured.pattern_stack import PatternStack
from ptychosuite.problems.measured.units import length_factor, read_numbers, unit_of

MOST_PATTERNS = 100_000_000  # of a scan that makes sense

Shape = tuple[int, ...]


def positions_of(motors: Sequence[Motor], shapes: Sequence[Shape], path: str) -> tuple[np.ndarray, str]:
    """Positions (N, 2) along rows and columns, and their unit, which is that of the first motor with one.

    ``shapes`` are those that the scan may have; the first into which all motors fit is taken.

    Raises
    ------
    DataFileError
        The motors fit into none of them, or in two ways; or one has a unit that is no length.
    """
    first = next((motor for motor in motors if unit_of(motor.array)), motors[0])
    for shape in shapes or _own_shapes(motors):
        if math.prod(shape) > MOST_PATTERNS:
            raise DataFileError(f"{path}: a raster of {shape} is no scan; the file is damaged")
        axes = [found for found in _axes(motors, shape) if found is not None]
        if len(axes) == len(motors):
            positions = np.zeros((math.prod(shape), 2))
            for motor, own in zip(motors, axes, strict=True):
                values = _spread(motor, own, shape) * _ratio(motor, first, path)
                positions += np.multiply.outer(values, motor.direction)
            return positions, unit_of(first.array)
    raise DataFileError(f"{path}: {_misfit(motors, shapes)}")


def _ratio(motor: Motor, first: Motor, path: str) -> float:
    """How many units of the ``first`` motor one of ``motor`` is; a word that both have may mean anything."""
    unit = unit_of(first.array)
    own = unit_of(motor.array) or unit
    if own == unit:
        return 1.0
    return length_factor(own, motor.name, path) / length_factor(unit, first.name, path)


def scan_shapes(stack: PatternStack | None, file: Any, entry: str) -> list[Shape]:
    """The shapes that the scan may have: that of the data, and those of plots with as many patterns."""
    found = []
    if stack is not None and len(stack.parts) == 1:
        part = stack.parts[0]
        found.append(tuple(int(n) for n in part.array.shape[: part.axes[1]]))
    for plot in groups_of(file, entry, "NXdata"):
        signal = signal_of(plot)
        if has_images(signal):
            found.append(tuple(int(n) for n in signal.shape[:-2]))
        elif stack is None and signal is not None:  # of counts, where the patterns are in another file
            found.append(tuple(int(n) for n in signal.shape))
    n = stack.n_patterns if stack is not None else None
    return [shape for shape in dict.fromkeys(found) if n in (None, math.prod(shape))]


def _misfit(motors: Sequence[Motor], shapes: Sequence[Shape]) -> str:
    sizes = [f"'{motor.name}' holds {motor.array.size} values" for motor in motors]
    sizes[1:] = [size.replace(" holds", "").replace(" values", "") for size in sizes[1:]]
    words = " and ".join(sizes)
    square = next((s for s in shapes if any(s.count(motor.array.size) > 1 for motor in motors)), None)
    if square:
        return (
            f"{words} for a raster of {' x '.join(map(str, square))}, and nothing says which is slow; "
            "give the raster: 'scan_step', and 'columns: column-row' where the columns are slow"
        )
    raster = f", or the axes of a raster of {' x '.join(map(str, shapes[0]))}" if shapes else ""
    return f"{words}; expected one of each for every pattern{raster}"


def _axes(motors: Sequence[Motor], shape: Shape) -> list[Shape | None]:
    """For each motor the axes of the scan that it fits, None where there is no way or more than one."""
    found = [_fitting(motor, shape) for motor in motors]
    for n, motor in enumerate(motors):
        if found[n] is None and motor.array.ndim == 1:  # what the others leave
            taken = {axis for axes in found if axes for axis in axes}
            free = [axis for axis, size in enumerate(shape) if size == motor.array.size and axis not in taken]
            found[n] = (free[0],) if len(free) == 1 else None
    return found


def _fitting(motor: Motor, shape: Shape) -> Shape | None:
    own, said = motor.array.shape, motor.axes or ()
    known = said and len(said) == len(own) == len(set(said)) and max(said) < len(shape)
    if known and own == tuple(shape[axis] for axis in said):
        return said
    values = tuple(size for size in own if size > 1)
    long = tuple(axis for axis, size in enumerate(shape) if size > 1)
    if values == tuple(shape[axis] for axis in long):
        return long
    if len(values) == 1 and values[0] == math.prod(shape):
        return tuple(range(len(shape)))
    fits = [axis for axis in long if values == (shape[axis],)]
    return (fits[0],) if len(fits) == 1 else None


def _spread(motor: Motor, axes: Shape, shape: Shape) -> np.ndarray:
    """The motor's value at each pattern (N,)."""
    values = read_numbers(motor.array, motor.array.file.filename)
    if values.size == math.prod(shape) and list(axes) == sorted(axes):
        return values.ravel()
    values = np.transpose(values if len(axes) == values.ndim else np.squeeze(values), np.argsort(axes))
    grid = values.reshape([size if axis in axes else 1 for axis, size in enumerate(shape)])
    return np.broadcast_to(grid, shape).ravel()


def _own_shapes(motors: Sequence[Motor]) -> list[Shape]:
    """The shapes that the motors by themselves may mean, where there are no patterns to belong to."""
    sizes = {motor.array.shape for motor in motors}
    if len(sizes) == 1:
        return list(sizes)
    said = {
        axis: size
        for motor in motors
        for axis, size in zip(motor.axes or (), motor.array.shape, strict=False)
    }
    return [tuple(said[axis] for axis in sorted(said))] if said and max(said) < len(said) else []
