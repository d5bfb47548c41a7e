"""Arrays of a file by their whole names, in any kind of container, and the numbers among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ptychosuite.errors import DataFileError, nearest
from ptychosuite.problems.measured.format import Places
from ptychosuite.problems.measured.raw import as_positions
from ptychosuite.problems.measured.source import NPY_MAGIC, Source
from ptychosuite.problems.measured.units import read_number


def from_matlab(source: Source) -> bool:
    """Whether a file with arrays is one of MATLAB's: versions 5 and 7.3 say so, and 4 is all that is left."""
    others = source.is_hdf5 or source.head.startswith((b"PK", NPY_MAGIC))
    return source.head.startswith(b"MATLAB") or not others


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


def rows_and_columns(arrays: Mapping[str, Any], y: str, x: str, path: str) -> np.ndarray:
    """Positions (N, 2) from an array along the rows and one along the columns.

    Raises
    ------
    DataFileError
        They are not of one length, or no real numbers.
    """
    rows, columns = np.ravel(values(arrays, y)), np.ravel(values(arrays, x))
    if len(rows) != len(columns):
        raise DataFileError(
            f"{path}: '{y}' holds {len(rows)} values and '{x}' {len(columns)}; expected one of each for "
            "every pattern"
        )
    return as_positions(np.stack([rows, columns], axis=1), f"{y}, {x}", path)


def values(arrays: Mapping[str, Any], name: str) -> np.ndarray:
    """All of an array of any shape, read."""
    return np.asarray(arrays[name][...])


def number(arrays: Mapping[str, Any], names: Sequence[str], path: str) -> float | None:
    """The first of the ``names`` that is there and not zero, which stands for what is not known."""
    for name in names:
        if name in arrays and np.size(values(arrays, name)) and np.any(values(arrays, name)):
            return read_number(arrays[name], path)
    return None
