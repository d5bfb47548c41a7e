"""The files that a study names: which they are, and by what their content is known again.

A path is absolute by the time it gets here, and its SHA-256 stands beside it: what a study measured is
identified by what the file held, not by where it lay.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import stat
from functools import lru_cache

from ptychosuite.errors import DataFileError
from ptychosuite.problems.linked_files import linked_files


def files_of(path: str) -> tuple[str, ...]:
    """The files that a path with wildcards stands for, scan_2 before scan_10; of one without, itself."""
    if os.path.exists(path) or not any(sign in path for sign in "*?["):
        return (path,)
    return tuple(sorted(glob.glob(path), key=_in_order))


def _in_order(path: str) -> list[tuple[int, str]]:
    """Numbers in a name by their value, whatever is between them by its letters."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path)]


def exists(path: str) -> bool:
    """Whether there is such a file, or any for its wildcards."""
    return any(os.path.exists(file) for file in files_of(path))


def file_sha256(path: str) -> str:
    """SHA-256 of a file; of several, which wildcards stand for, that of their hashes.

    An HDF5 file that refers to others (links, virtual datasets, raw numbers beside it) has the hash of its
    own and theirs, for what is read from it lies in them.

    Raises
    ------
    DataFileError
        A file is missing or unreadable, or there is none for the wildcards.
    """
    files = files_of(path)
    if not files:
        raise DataFileError(f"no file is called like {path}; check the path")
    found = [_with_linked(file, _sha256(file, stamp(file))) for file in files]
    return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()


def stamp(path: str) -> tuple[int, int, int]:
    """What changes when a file is written again: the key under which its content may be remembered.

    Raises
    ------
    DataFileError
        It is not there, or is no file.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise DataFileError(f"cannot read {path}: {error.strerror}; check the path") from error
    if stat.S_ISDIR(status.st_mode):
        raise DataFileError(f"cannot read {path}: it is a folder (directory); name a file")
    if not stat.S_ISREG(status.st_mode):
        raise DataFileError(f"cannot read {path}: it is a pipe or a device; name a file")
    return status.st_ino, status.st_mtime_ns, status.st_size


def check_unchanged(path: str, sha256: str) -> None:
    """Refuse a file that is no longer what was planned; an empty hash asks for nothing.

    Raises
    ------
    DataFileError
        It is another, or cannot be read.
    """
    if sha256 and file_sha256(path) != sha256:
        raise DataFileError(f"{path} has changed since the study was planned; plan and run it again")


def _with_linked(path: str, own: str) -> str:
    """The hash of a file, ``own`` where it refers to no others; one that is not there counts as missing."""
    linked = linked_files(path)
    if not linked:
        return own
    theirs = [
        (each.name, _sha256(each.path, stamp(each.path)) if each.path else "missing") for each in linked
    ]
    return hashlib.sha256(json.dumps([own, theirs]).encode()).hexdigest()


@lru_cache(maxsize=1024)
def _sha256(path: str, stamp: tuple[int, int, int]) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataFileError(f"cannot read {path}: {error.strerror}; check the path") from error
