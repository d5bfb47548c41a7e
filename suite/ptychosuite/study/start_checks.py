"""What a problem is given to start from has to be of its shapes: told when the study is planned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ptychosuite.errors import UserError
from ptychosuite.problems.problem_kind import (
    START_OBJECT,
    START_POSITIONS,
    START_PROBE,
    ProblemKind,
    Size,
    kind_of,
    readable,
)
from ptychosuite.problems.starts import given_positions
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.validation import SettingError


def check_starts(problem: Mapping[str, Any], size: Size) -> None:
    """Refuse an object, a probe or positions to start from that a problem of ``size`` cannot have.

    Raises
    ------
    SettingError
        The path is the setting.
    """
    shape, kind = size.object_shape, kind_of(problem)
    if problem.get(START_PROBE) is not None:
        _check_probe(problem[START_PROBE], size.probe_size)
    if problem.get(START_POSITIONS) is not None:
        try:
            _, shape = given_positions(
                problem, shape, size.probe_size, size.n_positions, kind.knows_truth, _any_rng
            )
        except UserError as error:
            raise SettingError(("problem", START_POSITIONS), str(error)) from error
    if problem.get(START_OBJECT) is not None:
        _check_object(problem[START_OBJECT], kind, shape)


def _check_probe(settings: Mapping[str, Any], probe_size: int) -> None:
    started = _readable(START_PROBE, "probes", settings).size
    if started != probe_size:
        message = f"found {started} pixels on a side; the patterns have {probe_size}"
        raise SettingError(("problem", START_PROBE), message)


def _check_object(settings: Mapping[str, Any], kind: ProblemKind, shape: tuple[int, int]) -> None:
    cls = registry.class_of("objects", settings["kind"])
    if cls.is_own_guess:
        if type(kind).object_guess is ProblemKind.object_guess:
            message = (
                f"found '{settings['kind']}'; a problem of the kind '{kind.label}' holds no object itself"
            )
            raise SettingError(("problem", START_OBJECT), message)
        return  # whether the file has one is known when it is read
    found = _readable(START_OBJECT, "objects", settings).shape
    if tuple(found) != tuple(shape):
        message = (
            f"found {found[0]} x {found[1]} pixels; the object of this problem has {shape[0]} x {shape[1]}"
        )
        raise SettingError(("problem", START_OBJECT), message)


def _readable(setting: str, group: str, settings: Mapping[str, Any]) -> Any:
    try:
        return readable(setting, group, settings)
    except SettingError as error:
        raise SettingError(("problem", *error.path), error.message) from error


def _any_rng(purpose: str) -> np.random.Generator:
    return np.random.default_rng(0)
