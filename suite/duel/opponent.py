"""What the head is timed against: a revision, a release, or the ``suite`` of another interpreter."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import suite
from suite.duel.environment import build_environment, installed_extras, locked_requirement, same_environment
from suite.duel.revision import check_out, commit_of
from suite.errors import RevisionError

HEAD = Path(suite.__file__).resolve().parents[1]
RELEASE = "ptychosuite=="


@dataclass(frozen=True)
class Player:
    """An interpreter and the ``suite`` that it is to import."""

    name: str  # for messages
    python: Path
    source: Path | None = None  # folder with the package, put on its path; None: as installed there
    origin: Mapping[str, Any] = field(default_factory=dict)  # for provenance


def head(source: Path = HEAD) -> Player:
    """The code that is running, with changes that are not committed."""
    return Player("the head", Path(sys.executable), source)


def opponent(against: str, source: Path = HEAD) -> Player:
    """Make ready what ``against`` names: an interpreter's path, ``ptychosuite==VERSION``, or a revision.

    What is built is built once and kept. A revision that asks for the packages of the head's checkout,
    ``source``, and locks the same versions, runs in the head's own environment.

    Raises
    ------
    RevisionError
        There is nothing of this name.
    DuelError
        Its environment cannot be built.
    """
    if against.startswith(RELEASE):
        return _release(against.removeprefix(RELEASE))
    if os.sep in against and os.access(against, os.X_OK) and Path(against).is_file():
        return Player(against, Path(against).absolute(), origin={"interpreter": against})
    commit = commit_of(against, source)
    folder = cache_folder() / "revisions" / commit
    checkout = check_out(commit, source, folder / "source")
    shared = same_environment(checkout, source)
    python = Path(sys.executable)
    if not shared:
        python = build_environment(folder / sys.implementation.cache_tag, locked_requirement(checkout))
    environment = "of the head: the same dependencies and lock" if shared else "its own, from its lock"
    return Player(against, python, checkout, {"revision": against, "commit": commit, "packages": environment})


def cache_folder() -> Path:
    """Where checkouts and environments are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ptychosuite"


def _release(version: str) -> Player:
    if not version:
        raise RevisionError(f"found '{RELEASE}'; expected a version after it, as in {RELEASE}0.1.0")
    extras = installed_extras()
    requirement = f"ptychosuite[{','.join(extras)}]=={version}" if extras else f"{RELEASE}{version}"
    folder = cache_folder() / "releases" / version / sys.implementation.cache_tag
    python = build_environment(folder, [requirement])
    return Player(f"{RELEASE}{version}", python, origin={"release": version, "packages": "its own"})
