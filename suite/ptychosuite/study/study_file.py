"""Read a study file, keeping the place of everything for error messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml.comments import CommentedMap

from ptychosuite.errors import StudyError, nearest
from ptychosuite.registry.yaml_text import parse, plain, position, read_text
from ptychosuite.study.schema import STUDY_FIELDS

STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Override:
    """One ``--set path=value``, or one line of an override file."""

    path: str
    value: Any
    source: str  # for error messages

    def __str__(self) -> str:
        return f"{self.path}={self.value}"


@dataclass(frozen=True)
class StudyFile:
    """A study as written: plain data, its text, and where each part stands."""

    path: Path
    text: str
    data: Mapping[str, Any]
    overrides: tuple[Override, ...] = ()
    tree: Any = field(default=None, repr=False)  # the same data with line numbers

    @property
    def name(self) -> str:
        return str(self.data["study"])

    @property
    def base(self) -> Path:
        """Folder that relative paths count from."""
        return self.path.parent.resolve()

    def where(self, keys: Sequence[str | int]) -> str:
        """``file:line:column`` of the deepest part of ``keys`` that the file holds."""
        line, column = position(self.tree, keys)
        return f"{self.path}:{line}:{column}"

    def error(self, keys: Sequence[str | int], message: str) -> StudyError:
        dotted = ".".join(str(key) for key in keys)
        return StudyError(
            f"{self.where(keys)}: {dotted}: {message}" if dotted else f"{self.where(keys)}: {message}"
        )


def load_study(path: str | Path, overrides: Sequence[Override] = ()) -> StudyFile:
    """Read ``path`` and check its outline; what the runs hold is checked by the plan.

    Raises
    ------
    StudyError
        Missing file, no YAML, unknown or missing top-level keys.
    """
    path = Path(path)
    text = read_text(path, "study file", StudyError)
    tree = parse(text, path, StudyError)
    if not isinstance(tree, CommentedMap):
        found = "the file is empty" if tree is None else f"found {tree!r}"
        raise StudyError(f"{path}:1:1: {found}; a study is a mapping that begins with 'study: NAME'")
    study = StudyFile(path, text, plain(tree), tuple(overrides), tree)
    for key in study.data:
        if key not in STUDY_FIELDS:
            raise study.error((key,), f"unknown key; {nearest(str(key), STUDY_FIELDS)}")
    if "study" not in study.data:
        raise study.error(
            (), "'study: NAME' is missing; the name is that of the results folder and the report"
        )
    title = study.data.get("title")
    if title is not None and not isinstance(title, str):
        raise study.error(("title",), f"found {title!r}; expected text")
    if not isinstance(study.data["study"], str) or not STUDY_NAME.fullmatch(study.name):
        message = f"found '{study.name}'; expected letters, digits, '.', '_' and '-', as in a file name"
        raise study.error(("study",), message)
    return study


def parse_override(text: str) -> Override:
    """Read ``path=value``; the value is YAML.

    Raises
    ------
    StudyError
        There is no '=' or the value is no YAML.
    """
    path, equals, value = text.partition("=")
    if not equals or not path.strip():
        raise StudyError(f"--set {text}: expected PATH=VALUE, as in --set problem.noise=0.1")
    return Override(path.strip(), plain(parse(value, Path(f"--set {text}"), StudyError)), f"--set {text}")


def load_overrides(path: str | Path) -> tuple[Override, ...]:
    """Read a file of overrides: a mapping of dotted paths to values.

    Relative file paths in it count from its own folder.
    """
    path = Path(path)
    tree = parse(read_text(path, "override file", StudyError), path, StudyError)
    if not isinstance(tree, CommentedMap):
        raise StudyError(f"{path}:1:1: overrides are a mapping of dotted paths to values")
    result = []
    for key in tree:
        line, column = position(tree, (key,))
        source = f"{path}:{line}:{column}"
        value = _absolute_files(plain(tree[key]), path.parent.resolve())
        result.append(Override(str(key), value, source))
    return tuple(result)


def _absolute_files(value: Any, base: Path) -> Any:
    """Resolve relative file names of an override file against its folder."""
    if isinstance(value, dict):
        return {key: _absolute_files(item, base) for key, item in value.items()}
    if isinstance(value, list):
        return [_absolute_files(item, base) for item in value]
    if isinstance(value, str) and "/" in value and not value.startswith("${"):
        return str(base / value)
    return value
