"""The files a run reads: whether they are still what they were, and where else they may lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ptychosuite.core.runs import RunSpec
from ptychosuite.errors import DataFileError
from ptychosuite.problems.files import file_sha256
from ptychosuite.registry import lookup as registry


def with_files_here(spec: RunSpec, data: Path | None = None) -> RunSpec:
    """``spec`` with the files it names where they are on this machine; its id stays the same.

    A file that is not at its path may lie in the folder ``data`` under its own name: the hash that the
    specification holds says whether it is the one.

    Raises
    ------
    DataFileError
        A file is gone, or holds something else than it did.
    """
    operator = spec.fast_forward
    if operator is not None:
        cls = registry.class_of("operators", operator["kind"])
        operator = _here(operator, data, cls.bundled_files)
    return replace(spec, problem=_here(spec.problem, data), fast_forward=operator)


def _here(
    settings: Mapping[str, Any], data: Path | None, bundled: Mapping[str, Path] | None = None
) -> dict[str, Any]:
    """``settings`` with every file (what has a hash beside it) found or refused."""
    result = dict(settings)
    for key, value in settings.items():
        sha256 = settings.get(f"{key}_sha256")
        if isinstance(value, Mapping):
            result[key] = _here(value, data)
        elif sha256 and bundled and value in bundled:
            _refuse_changed(bundled[value], sha256)
        elif sha256:
            result[key] = str(_file_here(Path(value), sha256, data))
    return result


def _file_here(file: Path, sha256: str, data: Path | None) -> Path:
    if not file.exists() and data is not None and (data / file.name).exists():
        file = data / file.name
    _refuse_changed(file, sha256)
    return file


def _refuse_changed(file: Path, sha256: str) -> None:
    if not file.exists():
        raise DataFileError(
            f"{file} is gone; put it back, or name the folder that has {file.name} with --data"
        )
    found = file_sha256(str(file))
    if found != sha256:
        raise DataFileError(
            f"{file} has changed: found SHA-256 {found[:12]}..., expected {sha256[:12]}...; "
            "put back the file that was read then"
        )
