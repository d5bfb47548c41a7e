"""What a run begins from, where its study says so: object and positions, on the host.

The probe to start from is given to the kind of problem, which may have to scale it to its counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Complex, Real

from ptychosuite.core.problem import Problem, split_positions
from ptychosuite.errors import DataFileError
from ptychosuite.problems.problem_kind import START_OBJECT, START_POSITIONS, ProblemKind, Rng
from ptychosuite.registry.lookup import build

Shape = tuple[int, int]


def with_starts(made: Problem, kind: ProblemKind, settings: Mapping[str, Any], rng: Rng) -> Problem:
    """``made`` with the object and the positions that ``settings`` of the problem give to start from.

    Raises
    ------
    DataFileError
        One of them is not to be had, or is not of the problem's shape.
    """
    shape = made.start_object.shape
    if settings.get(START_POSITIONS) is not None:
        positions, shape = given_positions(
            settings, shape, made.probe_size, made.n_positions, kind.knows_truth, rng
        )
        whole, shifts = split_positions(positions)
        made = replace(
            made,
            scan_positions_px=whole,
            subpixel_shifts_px=shifts,
            start_object=np.ones(shape, made.start_object.dtype),
            reference=made.reference and replace(made.reference, given_positions_px=positions),
        )
        if (whole < 0).any() or (whole > np.asarray(shape) - made.probe_size).any():
            made = made.at(positions)
    if settings.get(START_OBJECT) is not None:
        made = replace(made, start_object=start_object(settings[START_OBJECT], kind, shape))
    return made


def start_object(settings: Mapping[str, Any], kind: ProblemKind, shape: Shape) -> Complex[np.ndarray, "H W"]:
    """The object to start from.

    Raises
    ------
    DataFileError
        It is not to be had, or has another shape.
    """
    built = build("objects", settings)
    obj = kind.object_guess() if built.is_own_guess else built.make()
    if obj.shape != shape:
        raise DataFileError(
            f"the object to start from has {obj.shape[0]} x {obj.shape[1]} pixels; that of the problem has "
            f"{shape[0]} x {shape[1]}"
        )
    return np.asarray(obj)


def given_positions(
    settings: Mapping[str, Any], shape: Shape, probe_size: int, n_positions: int, is_fixed: bool, rng: Rng
) -> tuple[Real[np.ndarray, "N 2"], Shape]:
    """The positions in pixels that solvers are told, and the shape of the object that holds them.

    They are taken as they are given, in the frame of the problem's own; where that is outside of the object
    they are moved into it as one, and an object whose shape no truth has fixed is made larger. With an object
    to start from they stay in its frame, up to half a probe outside, where a run may have found them: patches
    are cut from the object, and the probe is shifted by the rest.

    ``settings`` are those of the problem.

    Raises
    ------
    DataFileError
        There are more or fewer than patterns, or they do not fit.
    """
    positions = build("scans", settings[START_POSITIONS]).given(shape, probe_size, rng("start positions"))
    if len(positions) != n_positions:
        raise DataFileError(
            f"found {len(positions)} positions to start from; there are {n_positions} patterns"
        )
    room = np.asarray(shape) - probe_size
    low, high = np.rint(positions.min(axis=0)), np.rint(positions.max(axis=0))  # fractions move the probe
    outside = max((-low).max(), (high - room).max())
    if settings.get(START_OBJECT) is not None and outside <= probe_size / 2:
        return positions, shape
    move = -np.minimum(low, 0)
    if is_fixed:
        move -= np.maximum(high + move - room, 0)
    if is_fixed and (low + move < 0).any():
        raise DataFileError(
            f"the positions to start from span {high[0] - low[0]:g} x {high[1] - low[1]:g} pixels; in the "
            f"object there is room for {room[0]} x {room[1]}"
        )
    rows, columns = np.maximum(shape, (high + move).astype(int) + probe_size).tolist()
    return positions + move, (rows, columns)
