"""Studies that come with ptychosuite, and their names: "quickstart", "paper/levels".

An installed ptychosuite has them beside its code, a checkout in its folder ``studies``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ptychosuite.errors import StudyError, nearest

FOLDERS = (Path(__file__).parents[1] / "studies", Path(__file__).parents[3] / "studies")
SUFFIX = ".yaml"


@cache
def shipped_files() -> Mapping[str, Path]:
    """Name -> file of every study and every file of overrides."""
    folder = next((each for each in FOLDERS if each.is_dir()), FOLDERS[0])
    files = sorted(folder.rglob(f"*{SUFFIX}"))
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}


def is_shipped(path: Path) -> bool:
    """Whether ``path`` is the name of what comes with ptychosuite, and nothing else lies there."""
    return path.as_posix() in shipped_files() and not path.exists()


def located(path: Path) -> Path:
    """The file that a caller means: what lies at ``path``, or else what comes with ptychosuite by that name.

    Raises
    ------
    StudyError
        There is neither, and ``path`` is written as a name is, or as the path of such a file in a checkout.
    """
    name = path.as_posix()
    if is_shipped(path):
        return shipped_files()[name]
    if path.exists() or path.is_symlink():
        return path
    if not path.suffix:
        raise StudyError(
            f"'{name}' is neither a file nor the name of a study that comes with ptychosuite; "
            f"{_hint(name)}'ptychosuite studies' lists them"
        )
    in_checkout = path.with_suffix("").as_posix().removeprefix("studies/")
    if in_checkout in shipped_files():
        raise StudyError(
            f"there is no file {path} here; the one that comes with ptychosuite is called '{in_checkout}'"
        )
    return path


def _hint(name: str) -> str:
    meant = nearest(name, shipped_files())
    return f"{meant} " if meant.startswith("did you mean") else ""
