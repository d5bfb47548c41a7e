"""The files that an HDF5 file refers to: what is read from it lies in them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ptychosuite.problems.guard import seen
from ptychosuite.problems.guard_child import found_at, is_hdf5


class LinkedFile(NamedTuple):
    """A file that another refers to."""

    name: str  # as it is written there
    path: str  # where it is; "" where it is missing


def linked_files(path: str) -> tuple[LinkedFile, ...]:
    """All files that an HDF5 file and those that it refers to refer to, each once; of another file none.

    These are the targets of external links, the sources of virtual datasets, and the raw numbers of datasets
    that keep them outside. Of a file that cannot be gone over there are none.
    """
    if not is_hdf5(path):
        return ()
    found, places = [], {Path(path).resolve()}
    for owner, kind, name in seen(path).linked:
        place = found_at(kind, name, owner)
        if place and Path(place).resolve() in places:
            continue
        places |= {Path(place).resolve()} if place else set()
        found.append(LinkedFile(name, place))
    return tuple(dict.fromkeys(found))
