"""The files of a revision, out of the head's repository."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

from suite.errors import RevisionError


def commit_of(revision: str, repository: Path) -> str:
    """Full hash of the commit that ``revision`` means.

    Raises
    ------
    RevisionError
        ``repository`` is no git checkout, or knows no such revision.
    """
    if not (repository / ".git").exists():
        raise RevisionError(
            f"'{revision}' cannot be looked up: {repository}, where ptychosuite runs from, is no git "
            "checkout; run it from one, or name a release (ptychosuite==0.1.0) or an interpreter "
            "(/path/to/python)"
        )
    try:
        found = _git(repository, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode().strip()
        raise RevisionError(
            f"found no revision '{revision}' in {repository}; expected a commit, branch or tag (in a shallow "
            "clone after git fetch --unshallow), ptychosuite==VERSION, or the path of a Python interpreter"
            + (f"; git said: {said}" if said else "")
        ) from error
    return found.decode().strip()


def check_out(commit: str, repository: Path, target: Path) -> Path:
    """Put the files of ``commit`` into the folder ``target``, whole or not at all; once there they stay.

    They come from an archive, so that the repository and its list of worktrees are not touched.
    """
    if target.exists():
        return target
    archive = _git(repository, "archive", "--format=tar", commit)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        unpacked = Path(folder) / target.name
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(unpacked, filter="data")
        try:
            os.rename(unpacked, target)
        except OSError:
            if not target.exists():  # else another check was faster
                raise
    return target


def _git(repository: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(repository), *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=True).stdout
    except FileNotFoundError as error:
        raise RevisionError(
            "git is needed to look a revision up, and is not installed; install git"
        ) from error
