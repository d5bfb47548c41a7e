"""The files a run reads: found and hashed when it is planned, later found again and checked."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from ptychosuite.core.runs import RunSpec
from ptychosuite.errors import DataFileError, UserError, nearest
from ptychosuite.problems.files import exists, file_sha256
from ptychosuite.problems.problem_kind import DEFAULT_KIND, STARTS
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.validation import Keys, SettingError, refuse_unknown, shown

VARIABLE = re.compile(r"\$\{(\w+)\}")  # an environment variable in a path


def resolved_files(cls: type[Any], settings: Mapping[str, Any], base: Path, path: Keys) -> dict[str, Any]:
    """Absolute paths and hashes of the files that ``settings`` of ``cls`` name."""
    resolved: dict[str, Any] = {}
    fields = [f.name for f in dataclasses.fields(cls)]
    for key in settings:
        if key.endswith("_sha256"):
            raise SettingError((*path, key), f"unknown key '{key}'; hashes of files are taken, not given")
        if f"{key}_sha256" in fields:
            resolved |= _resolved_file(key, settings[key], base, path, cls)
        elif key in cls.in_files and isinstance(settings[key], Mapping):
            resolved[key] = _resolved_array(settings[key], base, (*path, key))
    return resolved


def _resolved_array(place: Mapping[str, Any], base: Path, path: Keys) -> dict[str, str]:
    """An array of another file: the file's absolute path, its hash, and the array's name."""
    refuse_unknown(place, ["path", "key"], path)
    if "path" not in place:
        raise SettingError(path, "'path' is missing: which file?")
    for field, value in place.items():
        if not isinstance(value, str):
            raise SettingError((*path, field), f"found {shown(value)}; expected a text")
    file = _absolute(place["path"], base, (*path, "path"))
    return {"key": "", **place, "path": str(file), "path_sha256": _hash_of(file, (*path, "path"))}


def _resolved_file(field: str, value: Any, base: Path, path: Keys, cls: type[Any]) -> dict[str, str]:
    """Absolute path and hash of a file; the name of a bundled file or image stays as it is."""
    if not isinstance(value, str):
        raise SettingError((*path, field), f"found {shown(value)}; expected a path")
    bundled, images = cls.bundled_files, cls.bundled_images
    if value in images:
        return {}
    if value in bundled:
        return {f"{field}_sha256": _hash_of(bundled[value], (*path, field))}
    if bundled and not PurePath(value).suffix:
        message = f"found '{value}', neither a name nor a file with a suffix; {nearest(value, bundled)}"
        raise SettingError((*path, field), message)
    file = _absolute(value, base, (*path, field))
    if images and not file.exists():
        message = f"image '{value}' is neither a file ({file}) nor a bundled image; {nearest(value, images)}"
        raise SettingError((*path, field), message)
    return {field: str(file), f"{field}_sha256": _hash_of(file, (*path, field))}


def _absolute(value: str, base: Path, path: Keys) -> Path:
    return (base / with_variables(value, path)).expanduser().resolve()


def with_variables(value: str, path: Keys) -> str:
    """``value`` with what the environment variables in it stand for."""
    for name in VARIABLE.findall(value):
        if name not in os.environ:
            message = f"the environment variable {name} is not set; export {name}=FOLDER first"
            raise SettingError(path, message)
    return VARIABLE.sub(lambda match: os.environ[match[1]], value)


def _hash_of(file: Path, path: Keys) -> str:
    try:
        return file_sha256(str(file))
    except UserError as error:
        raise SettingError(path, str(error)) from error


def with_files_here(spec: RunSpec, data: Path | None = None) -> RunSpec:
    """``spec`` with the files it names where they are on this machine; its id stays the same.

    A file that is not at its path may lie in the folder ``data`` under its own name: the hash that the
    specification holds says whether it is the one.

    Raises
    ------
    DataFileError
        A file is gone, or holds something else than it did.
    """
    problem = _here(spec.problem, "problems", data)
    for part, group in registry.class_of("problems", problem.get("kind", DEFAULT_KIND)).parts.items():
        problem |= {part: _here(problem[part], group, data)} if part in problem else {}
    for start, group in STARTS.items():
        if problem.get(start) is not None:
            problem[start] = _here(problem[start], group, data)
    operator = None if spec.fast_forward is None else _here(spec.fast_forward, "operators", data)
    return replace(spec, problem=problem, fast_forward=operator)


def _here(settings: Mapping[str, Any], group: str, data: Path | None) -> dict[str, Any]:
    """``settings`` of a class with every file (what has a hash beside it) found or refused."""
    result = dict(settings)
    cls = registry.class_of(group, settings.get("kind", DEFAULT_KIND))
    bundled = cls.bundled_files
    for key, value in settings.items():
        sha256 = settings.get(f"{key}_sha256")
        if sha256 and value in bundled:
            _refuse_changed(bundled[value], sha256)
        elif sha256:
            result[key] = str(_file_here(Path(value), sha256, data))
        elif key in cls.in_files and isinstance(value, Mapping):
            result[key] = {**value, "path": str(_file_here(Path(value["path"]), value["path_sha256"], data))}
    return result


def _file_here(file: Path, sha256: str, data: Path | None) -> Path:
    if not exists(str(file)) and data is not None and exists(str(data / file.name)):
        file = data / file.name
    _refuse_changed(file, sha256)
    return file


def _refuse_changed(file: Path, sha256: str) -> None:
    if not exists(str(file)):
        raise DataFileError(
            f"{file} is gone; put it back, or name the folder that has {file.name} with --data"
        )
    found = file_sha256(str(file))
    if found != sha256:
        raise DataFileError(
            f"{file} has changed: found SHA-256 {found[:12]}..., expected {sha256[:12]}...; "
            "put back the file that was read then"
        )
