"""Whether a word means a study, and which names begin so: asked for by the command line at every key."""

from __future__ import annotations

import os
from pathlib import Path

from ptychosuite.study.shipped import is_shipped, shipped_files


def is_study_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is such a file, or a study of this name comes with ptychosuite."""
    return Path(path).is_file() or is_shipped(Path(path))


def names_beginning(text: str) -> list[str]:
    """Names of the studies and overrides that come with ptychosuite and begin with ``text``."""
    return [name for name in shipped_files() if name.startswith(text)]
