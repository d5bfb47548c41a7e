"""What a study needs of the machine that is to carry it out, before any of its runs is checked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptychosuite.backends.arrays import backend
from ptychosuite.errors import BackendError, StudyError
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.other_python import python_of, version_there
from ptychosuite.study.expand import outlines
from ptychosuite.study.inputs import VARIABLE
from ptychosuite.study.study_file import StudyFile


@dataclass(frozen=True)
class Needs:
    """Of a study.

    Parameters
    ----------
    runs
        How many it writes.
    files
        Data files that are named by an environment variable, as the study writes them.
    packages
        Distributions that its solvers are those of.
    backends
        Names of the array backends.
    """

    runs: int
    files: tuple[str, ...]
    packages: tuple[str, ...]
    backends: tuple[str, ...]

    @classmethod
    def of(cls, study: StudyFile) -> Needs:
        """Raises StudyError where the study cannot be expanded."""
        runs = outlines(study)
        solvers = {name for fields in runs for name in _solvers(fields["solver"])}
        return cls(
            len(runs),
            _once(text for fields in runs for text in _texts(fields) if VARIABLE.search(text)),
            _once(package for name in solvers for package in _packages(name)),
            _once(str(fields["backend"]) for fields in runs),
        )

    @property
    def lacking(self) -> tuple[str, ...]:
        """Why it cannot be carried out here, a reason each; empty where nothing is known against it."""
        return (
            *filter(None, map(_lack_of_file, self.files)),
            *self._packages_lacking,
            *self._backends_lacking,
        )

    @property
    def _packages_lacking(self) -> Iterator[str]:
        for package in self.packages:
            if not version_there(python_of(package), package):
                yield f"the package {package} is not installed"

    @property
    def _backends_lacking(self) -> Iterator[str]:
        for name in self.backends:
            try:
                backend(name)
            except BackendError as error:
                yield str(error)


def _lack_of_file(written: str) -> str:
    unset = [name for name in VARIABLE.findall(written) if name not in os.environ]
    if unset:
        return f"the environment variable {unset[0]} is not set"
    file = Path(VARIABLE.sub(lambda match: os.environ[match[1]], written)).expanduser()
    return "" if file.exists() else f"there is no file {file}"


def _solvers(written: Any) -> Iterator[str]:
    """Names of the solvers of a run, as studies write them: a name, a mapping with one, or stages."""
    if isinstance(written, Mapping):
        yield str(written.get("name"))
    elif isinstance(written, Sequence) and not isinstance(written, str):
        for stage in written:
            yield from _solvers(stage)
    else:
        yield str(written)


def _packages(solver: str) -> tuple[str, ...]:
    try:
        found: tuple[str, ...] = registry.class_of("solvers", solver).packages
    except StudyError:  # told with its place when the study is planned
        return ()
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(texts)))
