"""What runs were computed with, for those who want to compute them again.

::

    environments.json    each environment once: code, packages, machine, threads, and the runs it computed
    requirements.txt     its packages as pip reads them; requirements-2.txt, ... where runs had others
    installed.txt        all that is installed, where that agrees with what the runs recorded
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

from suite.core.run import RunRecord

PASSING = ("host", "process", "cores", "start", "end", "lane", "stack")  # no part of an environment


def write_environments(records: Sequence[RunRecord], folder: Path) -> None:
    """Write the environments of ``records`` to the new folder ``folder``."""
    folder.mkdir(parents=True)
    environments = _environments(records)
    _write(folder / "environments.json", json.dumps(environments, indent=1, sort_keys=True))
    for number, lock in enumerate(dict.fromkeys(map(_requirements, environments)), start=1):
        _write(folder / f"requirements{f'-{number}' if number > 1 else ''}.txt", lock)
    if all(map(_is_installed, environments)):
        installed = {f"{found.metadata['Name']}=={found.version}" for found in distributions()}
        _write(folder / "installed.txt", "\n".join(sorted(installed, key=str.lower)))


def _environments(records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        what = {name: value for name, value in record.provenance.items() if name not in PASSING}
        found.setdefault(json.dumps(what, sort_keys=True), {**what, "runs": []})["runs"].append(record.run_id)
    return list(found.values())


def _requirements(environment: Mapping[str, Any]) -> str:
    known = {name: environment.get(name) for name in ("python", "ptychosuite", "git_commit")}
    head = [f"# {name.replace('_', ' ')} {value}" for name, value in known.items() if value]
    packages = sorted(environment.get("packages", {}).items())
    return "\n".join([*head, *(f"{name}=={found}" for name, found in packages)])


def _is_installed(environment: Mapping[str, Any]) -> bool:
    """Whether this Python, with these packages, is what computed the runs."""
    try:
        here = {name: version(name) for name in environment.get("packages", {})}
    except PackageNotFoundError:
        return False
    return environment.get("python") == platform.python_version() and environment.get("packages") == here


def _write(file: Path, text: str) -> None:
    file.write_text(text + "\n", encoding="utf-8")
