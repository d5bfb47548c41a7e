"""The motors of a NeXus file: which arrays they are, and which way each moves.

A motor's direction is its ``vector`` (base class NXtransformations), turned by the rotations that it stands
on (``depends_on``); without one it is told by its name. +y is along the rows, +x along the columns.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from scipy.spatial.transform import Rotation

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.formats.nexus_groups import (
    MOST_NUMBERS,
    groups_of,
    has_images,
    signal_of,
    text,
)
from ptychosuite.problems.measured.units import factor, unit_of

ROW, COLUMN = np.array([1.0, 0.0]), np.array([0.0, 1.0])
# x or y by itself (x, sample_x, x_value), after an s for stage (lab_sx), or as a capital (SampleX).
BY_NAME = re.compile(r"(?:^|[^A-Za-z]|s|(?<=[a-z])(?=[XY]))([xXyY])(?![a-z])")
# Endings of what a motor was told, or its encoder says, which count where there is no other reading.
SECOND_CHOICE, LAST_CHOICE = ("raw_value",), ("_set", "_demand", "target_value")
MOST_STEPS = 30  # of a chain of transformations that makes sense


@dataclass(frozen=True)
class Motor:
    """One array of positions along one direction of the scan."""

    array: Any
    direction: np.ndarray  # (2,) along rows and columns
    axes: tuple[int, ...] | None  # axes of the data that its own axes are, where the file says
    chain: tuple[str, ...] = ()  # what it stands on, by name

    @property
    def name(self) -> str:
        return str(self.array.name)

    @property
    def choice(self) -> int:
        """0 for a position that was read, more for a poorer source."""
        name = self.name.lower()
        return 2 if name.endswith(LAST_CHOICE) else int(name.endswith(SECOND_CHOICE))

    @property
    def row(self) -> bool:
        return bool(abs(self.direction[0]) > abs(self.direction[1]))


def find_motors(file: Any, entry: str, path: str) -> list[Motor]:
    """The motors of the scan, from the sample's transformations, else from NXdata, else from positioners.

    Raises
    ------
    DataFileError
        Several of them move the same way, and nothing says which is meant.
    """
    plots = list(groups_of(file, entry, "NXdata"))
    samples = [group.name for group in groups_of(file, entry, "NXsample")] or [f"{entry}/sample_1"]
    moved = [item for sample in samples for item in _transformations(file, sample)]
    positioners = (group for place in (*samples, entry) for group in groups_of(file, place, "NXpositioner"))
    for group in (moved, _in_plots(plots), _in_groups(positioners)):
        motors = [motor for item in group if (motor := _motor(item, plots, path))]
        if {motor.row for motor in motors} == {True, False}:
            return [chosen for row in (True, False) for chosen in _meant(motors, row, path)]
    return []


def named_motors(file: Any, entry: str, names: Sequence[str]) -> list[Motor]:
    """The two motors that the user names, rows first, whatever the file says of their directions."""
    plots = list(groups_of(file, entry, "NXdata"))
    return [
        Motor(file[name], direction, _said_axes(file[name], plots))
        for name, direction in zip(names, (ROW, COLUMN), strict=True)
    ]


def _transformations(file: Any, sample: str) -> Iterator[Any]:
    """What moves the sample: the chain of its ``depends_on``, else all that lies in its transformations."""
    group = file.get(sample)
    if not isinstance(group, h5py.Group):
        return
    start = group.get("depends_on")
    first = _depended(group, text(start[()])) if isinstance(start, h5py.Dataset) else None
    if first is not None:
        yield from (item for item in (first, *_chain(first)) if (item.size or 0) > 1)
        return
    places = [*groups_of(file, sample, "NXtransformations"), group.get("transformations")]
    for place in {item.name: item for item in places if isinstance(item, h5py.Group)}.values():
        yield from _arrays(place)


def _in_plots(plots: Sequence[Any]) -> Iterator[Any]:
    """Arrays of NXdata that are no signal, those of its axes first."""
    for plot in plots:
        axes = _words(plot.attrs.get("axes"))
        signal = signal_of(plot)
        pixels = len(signal.shape) - 2 if has_images(signal) else len(axes)  # the detector's
        items = [item for item in _arrays(plot) if item != signal and _base(item) not in axes[pixels:]]
        yield from sorted(items, key=lambda item: _base(item) not in axes)


def _in_groups(groups: Iterator[Any]) -> Iterator[Any]:
    return itertools.chain.from_iterable(_arrays(group) for group in groups)


def _arrays(group: Any) -> Iterator[Any]:
    """Arrays of numbers that change in a scan."""
    for item in group.values():
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "uif" and (item.size or 0) > 1:
            yield item


def _motor(item: Any, plots: Sequence[Any], path: str) -> Motor | None:
    """The array as a motor, if it moves the sample across the beam."""
    if text(item.attrs.get("transformation_type", "translation")) != "translation" or not _is_length(item):
        return None
    direction = _direction(item, path)
    if direction is None or not np.abs(direction).max() > 1e-6:
        return None
    return Motor(item, direction, _said_axes(item, plots), tuple(str(each.name) for each in _chain(item)))


def _is_length(item: Any) -> bool:
    """Whether the unit is one of length, or none; a word without a meaning may be one: refused later."""
    unit = unit_of(item)
    return not unit or not any(_converts(unit, other) for other in ("rad", "J", "s", "K", "V", "count"))


def _converts(unit: str, other: str) -> bool:
    try:
        return factor(unit, other, "", "") > 0
    except DataFileError:
        return False


def _direction(item: Any, path: str) -> np.ndarray | None:
    """(row, column) of one step: by the vector, in the frame of what it stands on; else by its name."""
    if "vector" in item.attrs:
        vector = _vector(item, path)
        for below in _chain(item):
            if text(below.attrs.get("transformation_type", "")) == "rotation":
                vector = _turn(below, path).apply(vector)
        return vector[1::-1].copy()
    group = item.parent
    own = text(group["name"][()]) if isinstance(group.get("name"), h5py.Dataset) else _base(group)
    for name in (_base(item), own):
        if (found := BY_NAME.search(name)) and "pixel" not in name:
            return (ROW if found[1] in "yY" else COLUMN).copy()
    return {"horizontal": COLUMN.copy(), "vertical": ROW.copy()}.get(own.lower())


def _turn(item: Any, path: str) -> Rotation:
    """The rotation that the sample had during the scan."""
    few = item.dtype.kind in "uif" and 0 < (item.size or 0) < MOST_NUMBERS
    angles = np.ravel(item[()]).astype(np.float64) if few else np.zeros(0)
    if not few or np.ptp(angles) > 1e-9:
        raise DataFileError(
            f"{path}: the scan's motors stand on '{item.name}', which has {item.size} angles; name the "
            "positions with 'positions'"
        )
    angle = angles[0] * factor(unit_of(item) or "deg", "rad", item.name, path)
    return Rotation.from_rotvec(_vector(item, path) * angle)


def _vector(item: Any, path: str) -> np.ndarray:
    """The direction or axis of a transformation, of length one."""
    given = np.ravel(item.attrs.get("vector", ()))
    vector = given.astype(np.float64) if given.dtype.kind in "uif" else np.zeros(0)
    if vector.size != 3 or not np.isfinite(vector).all() or not vector.any():
        raise DataFileError(f"{path}: the 'vector' of '{item.name}' is {given}; expected x, y, z")
    return np.asarray(vector / np.linalg.norm(vector))


def _chain(item: Any) -> Iterator[Any]:
    """What an array stands on, one after the other."""
    for _ in range(MOST_STEPS):
        below = _depended(item.parent, text(item.attrs.get("depends_on", ".")))
        if below is None:
            return
        yield below
        item = below


def _depended(group: Any, name: str) -> Any:
    item = group.get(name) if name.strip("./ ") else None
    return item if isinstance(item, h5py.Dataset) else None


def _meant(motors: Sequence[Motor], row: bool, path: str) -> list[Motor]:
    """The motor along rows (or columns), with those that stand on it or carry it."""
    same = [motor for motor in motors if motor.row == row]
    distinct = list({motor.array.id: motor for motor in reversed(same)}.values())[::-1]
    best = min(motor.choice for motor in distinct)
    read = [motor for motor in distinct if motor.choice == best]
    on_axes = [motor for motor in read if motor.axes is not None]
    first, *others = on_axes if len(on_axes) == 1 else read
    pairs = itertools.combinations((first, *others), 2)
    if all(one.name in other.chain or other.name in one.chain for one, other in pairs):
        return [first, *others]
    words = ", ".join(f"'{motor.name}'" for motor in (first, *others))
    raise DataFileError(
        f"{path}: {words} move the same way; name the two that count with 'positions', rows first: \"y, x\""
    )


def _said_axes(item: Any, plots: Sequence[Any]) -> tuple[int, ...] | None:
    """The axes of the data along which the motor moves, where one of the plots says it."""
    for plot in plots:
        name = next((key for key, member in plot.items() if member == item), _base(item))
        given = np.ravel(plot.attrs.get(f"{name}_indices", ()))
        if given.size and given.dtype.kind in "ui":
            return tuple(int(index) for index in given)
        axes = _words(plot.attrs.get("axes"))
        signal = signal_of(plot)
        if not axes and signal is not None:
            axes = _words(signal.attrs.get("axes"))
        if name in axes:
            return (axes.index(name),)
    numbers = re.findall(r"\d+", text(item.attrs.get("axis", "")))
    return tuple(int(number) - 1 for number in numbers) or None


def _words(value: Any) -> list[str]:
    """Names of axes: an array of strings, or one string with colons or commas."""
    if value is None:
        return []
    items = [text(item) for item in np.ravel(np.asarray(value, dtype=object))]
    return re.split(r"[:,]", items[0].strip("[] ")) if len(items) == 1 else items


def _base(item: Any) -> str:
    return str(item.name).rsplit("/", 1)[-1]
