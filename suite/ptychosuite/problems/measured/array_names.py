"""Arrays of a file by their whole names, in any kind of container, and the numbers among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ptychosuite.errors import DataFileError, nearest
from ptychosuite.problems.measured.format import Places
from ptychosuite.problems.measured.units import read_number

MATLAB = b"MATLAB"  # how .mat files of version 5 and 7.3 begin


def named(arrays: Mapping[str, Any], places: Places, part: str, usual: Sequence[str]) -> str:
    """Name of the array of a ``part``: the user's, else the first of the ``usual`` ones, else "".

    Raises
    ------
    DataFileError
        The file has nothing of the user's name.
    """
    if not places.wants(part):
        return ""
    given = getattr(places, part).strip("/")
    if given and given not in arrays:
        raise DataFileError(
            f"{places.path} has no array '{given}' for '{part}'; {nearest(given, list(arrays))}"
        )
    return given or next((name for name in usual if name in arrays), "")


def values(arrays: Mapping[str, Any], name: str) -> np.ndarray:
    """All of an array, read."""
    return np.asarray(arrays[name][...])


def number(arrays: Mapping[str, Any], names: Sequence[str], path: str) -> float | None:
    """The first of the ``names`` that is there and not zero, which stands for what is not known."""
    for name in names:
        if name in arrays and np.size(values(arrays, name)) and np.any(values(arrays, name)):
            return read_number(arrays[name], path)
    return None
