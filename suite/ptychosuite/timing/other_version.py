"""The environment of a revision: the packages that it locks, in a folder of its own, built once.

The files of a revision, out of the head's repository.

What the head is timed against: a revision, a release, or the package of another interpreter.
"""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import ptychosuite
from ptychosuite.errors import RevisionError, TimingError

EXTRAS = {"fast": "ducc0", "gpu": "cupy", "peers": "ptychi"}  # what changes times -> its mark
READY = "ready"  # file in an environment that is complete
LAST_LINES = 8


def installed_extras() -> list[str]:
    """The optional dependencies of the head's environment: an other_version is given the same."""
    return [extra for extra, package in EXTRAS.items() if find_spec(package)]


def same_environment(checkout: Path, other: Path) -> bool:
    """Whether two checkouts ask for the same packages and lock them to the same versions."""
    return _asked_for(checkout) == _asked_for(other)


def locked_requirement(checkout: Path) -> list[str]:
    """Arguments of pip for the package in ``checkout`` with what it locks."""
    extras = installed_extras()
    package = f"{checkout}[{','.join(extras)}]" if extras else str(checkout)
    lock = checkout / "constraints.txt"
    return ["--constraint", str(lock), package] if lock.exists() else [package]


def build_environment(folder: Path, requirement: Sequence[str]) -> Path:
    """A virtual environment in ``folder`` with ``requirement`` (arguments of pip); its interpreter.

    One process builds while others wait. What a killed build left is removed by the next, once pip, which may
    outlive it, has ended too: pip holds the lock as well.

    Raises
    ------
    TimingError
        venv or pip failed.
    """
    python = folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / READY).exists():
            shutil.rmtree(folder, ignore_errors=True)
            _run([sys.executable, "-m", "venv", "--without-pip", str(folder)], lock.fileno())
            # this environment's pip fills the other, which then holds only what was asked for
            pip = [sys.executable, "-m", "pip", "--python", str(python)]
            _run([*pip, "install", "--quiet", *requirement], lock.fileno())
            (folder / READY).touch()
    return python


def _asked_for(checkout: Path) -> tuple[str, Any]:
    lock, project = checkout / "constraints.txt", checkout / "pyproject.toml"
    declared = tomllib.loads(project.read_text(encoding="utf-8"))["project"] if project.exists() else {}
    optional = declared.get("optional-dependencies", {})
    asked = [declared.get("dependencies"), *(optional.get(extra) for extra in EXTRAS)]
    return lock.read_text(encoding="utf-8") if lock.exists() else "", asked


def _run(command: Sequence[str], lock: int) -> None:
    output: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, pass_fds=[lock], **output)
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-LAST_LINES:])
        raise TimingError(
            f"the environment to compare with could not be built; {' '.join(command)} said:\n{last}"
        )


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


HEAD = Path(ptychosuite.__file__).resolve().parents[2]
RELEASE = "ptychosuite=="


@dataclass(frozen=True)
class Version:
    """An interpreter and the package that it is to import."""

    name: str  # for messages
    python: Path
    source: Path | None = None  # a checkout whose package it takes; None: as installed there
    origin: Mapping[str, Any] = field(default_factory=dict)  # for provenance

    @property
    def import_path(self) -> Path | None:
        """Folder of ``source`` that holds the package; it was at the top before it was called ptychosuite."""
        if self.source is None:
            return None
        inside = self.source / "suite"
        return inside if (inside / "ptychosuite").is_dir() else self.source


def head(source: Path = HEAD) -> Version:
    """The code that is running, with changes that are not committed."""
    return Version("the head", Path(sys.executable), source)


def other_version(against: str, source: Path = HEAD) -> Version:
    """Make ready what ``against`` names: an interpreter's path, ``ptychosuite==VERSION``, or a revision.

    What is built is built once and kept. A revision that asks for the packages of the head's checkout,
    ``source``, and locks the same versions, runs in the head's own environment.

    Raises
    ------
    RevisionError
        There is nothing of this name.
    TimingError
        Its environment cannot be built.
    """
    if against.startswith(RELEASE):
        return _release(against.removeprefix(RELEASE))
    if os.sep in against and os.access(against, os.X_OK) and Path(against).is_file():
        return Version(against, Path(against).absolute(), origin={"interpreter": against})
    commit = commit_of(against, source)
    folder = cache_folder() / "revisions" / commit
    checkout = check_out(commit, source, folder / "source")
    shared = same_environment(checkout, source)
    python = Path(sys.executable)
    if not shared:
        python = build_environment(folder / sys.implementation.cache_tag, locked_requirement(checkout))
    environment = "of the head: the same dependencies and lock" if shared else "its own, from its lock"
    return Version(
        against, python, checkout, {"revision": against, "commit": commit, "packages": environment}
    )


def cache_folder() -> Path:
    """Where checkouts and environments are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ptychosuite"


def _release(version: str) -> Version:
    if not version:
        raise RevisionError(f"found '{RELEASE}'; expected a version after it, as in {RELEASE}0.1.0")
    extras = installed_extras()
    requirement = f"ptychosuite[{','.join(extras)}]=={version}" if extras else f"{RELEASE}{version}"
    folder = cache_folder() / "releases" / version / sys.implementation.cache_tag
    python = build_environment(folder, [requirement])
    return Version(f"{RELEASE}{version}", python, origin={"release": version, "packages": "its own"})
