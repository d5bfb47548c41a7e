"""Where an array is inside a file: by the user's name, or by a format's usual ones."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import h5py

from ptychosuite.errors import DataFileError, nearest

MOST_NAMES, MOST_LEVELS = 10_000, 30  # objects and levels of groups of a file that makes sense


def pick(file: Any, given: str, usual: Sequence[str], what: str, path: str) -> str:
    """The name of a dataset: the user's, else the first of the ``usual`` ones that the file has, else "".

    Raises
    ------
    DataFileError
        The file has nothing of the user's name, or a group; or a link at one of these names leads nowhere.
    """
    for name in [given] if given else usual:
        if is_dataset(file, name):
            return name
        if trouble := trouble_at(file, name):
            raise DataFileError(f"{path}: '{name}' {trouble}, or name another array with '{what}'")
    if not given:
        return ""
    raise DataFileError(f"{path} has no array '{given}' for '{what}'; {nearest(given, dataset_names(file))}")


def require(file: Any, given: str, usual: Sequence[str], what: str, path: str) -> str:
    """As :func:`pick`, but the dataset has to be there.

    Raises
    ------
    DataFileError
        It is not.
    """
    name = pick(file, given, usual, what, path)
    if name:
        return name
    raise DataFileError(
        f"{path} has no {what} at '{usual[0]}'; name the array with '{what}', "
        f"it holds: {', '.join(dataset_names(file)[:20]) or 'no arrays'}"
    )


def is_dataset(file: Any, name: str) -> bool:
    """Whether ``name`` is an array of the file; a link to a file that is not here is none."""
    return isinstance(file.get(name), h5py.Dataset)


def broken_link(file: Any, name: str) -> str:
    """Where the link ``name`` leads, or the first one on the way to it, if nothing is there; else ""."""
    place = ""
    for part in name.strip("/").split("/"):
        place = f"{place}/{part}"
        link = file.get(place, getlink=True)
        if link is None:
            return ""
        if file.get(place) is None and not isinstance(link, h5py.HardLink):
            where = getattr(link, "filename", "")
            return f"'{link.path}' of {where}" if where else f"'{link.path}'"
    return ""


def trouble_at(file: Any, name: str) -> str:
    """Why there is no array at ``name`` although the file has that name, the end of a sentence; else ""."""
    if target := broken_link(file, name):
        return f"is a link to {target}, which is not there; put the linked file beside it"
    with suppress(KeyError, ValueError):
        if isinstance(file.get(name, getlink=True), h5py.HardLink) and file.get(name) is None:
            return "cannot be opened; the file is damaged: copy it again"
    return ""


def dataset_names(file: Any) -> list[str]:
    """The path of every array in an HDF5 file."""
    return [name for name, _ in datasets(file)]


def datasets(file: Any) -> Iterator[tuple[str, Any]]:
    """Path and array of every dataset in an HDF5 file, links followed, the first MOST_NAMES of them.

    A group is entered once on any way down, so that a link to a group above ends there.
    """
    return ((name, item) for name, item in members(file) if isinstance(item, h5py.Dataset))


def members(file: Any) -> Iterator[tuple[str, Any]]:
    """Path and object of all that is in an HDF5 file, None where it cannot be opened; see ``datasets``."""
    return itertools.islice(_below(file, "", frozenset({file.id})), MOST_NAMES)


def _below(group: Any, place: str, above: frozenset[Any]) -> Iterator[tuple[str, Any]]:
    for name in group:
        item = group.get(name)
        yield place + name, item
        if isinstance(item, h5py.Group) and item.id not in above and len(above) < MOST_LEVELS:
            yield from _below(item, f"{place}{name}/", above | {item.id})
