"""The environment of a revision: the packages that it locks, in a folder of its own, built once."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from suite.errors import DuelError

EXTRAS = {"fast": "ducc0", "gpu": "cupy", "peers": "ptychi"}  # what changes times -> its mark
READY = "ready"  # file in an environment that is complete
LAST_LINES = 8


def installed_extras() -> list[str]:
    """The optional dependencies of the head's environment: an opponent is given the same."""
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
    DuelError
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
        raise DuelError(
            f"the environment to compare with could not be built; {' '.join(command)} said:\n{last}"
        )
