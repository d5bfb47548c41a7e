"""Temporary folders of this user: nobody else may look into them, or have put something there before."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from ptychosuite.errors import ClusterError


def temporary_of_user(name: str) -> Path:
    """The folder ``name`` that all processes of this user on this machine share, made where it is not there.

    Raises
    ------
    ClusterError
        Another user has made what is in its place, or may write to it.
    """
    folder = Path(tempfile.gettempdir()) / f"ptychosuite-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ClusterError(
            f"{folder} is open to other users, or another user's; remove it, or set TMPDIR to a folder of "
            "your own"
        )
    (folder / name).mkdir(exist_ok=True)
    return folder / name
