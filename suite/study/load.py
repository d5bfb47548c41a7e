"""Read a study file, keeping the place of everything for error messages."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scalarstring import ScalarString

from suite.errors import StudyError, nearest
from suite.study.schema import STUDY_FIELDS

STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
SWITCHES = {"on": True, "yes": True, "off": False, "no": False}


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
        line, column = _position(self.tree, keys)
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
    text = _read(path)
    tree = _parse(text, path)
    if not isinstance(tree, CommentedMap):
        found = "the file is empty" if tree is None else f"found {tree!r}"
        raise StudyError(f"{path}:1:1: {found}; a study is a mapping that begins with 'study: NAME'")
    study = StudyFile(path, text, _plain(tree), tuple(overrides), tree)
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
    return Override(path.strip(), _plain(_parse(value, Path(f"--set {text}"))), f"--set {text}")


def load_overrides(path: str | Path) -> tuple[Override, ...]:
    """Read a file of overrides: a mapping of dotted paths to values.

    Relative file paths in it count from its own folder.
    """
    path = Path(path)
    tree = _parse(_read(path), path)
    if not isinstance(tree, CommentedMap):
        raise StudyError(f"{path}:1:1: overrides are a mapping of dotted paths to values")
    result = []
    for key in tree:
        line, column = _position(tree, (key,))
        source = f"{path}:{line}:{column}"
        value = _absolute_files(_plain(tree[key]), path.parent.resolve())
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


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: not a text file ({error.reason} at byte {error.start})") from error
    except OSError as error:
        siblings = [str(p) for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        close = difflib.get_close_matches(str(path), siblings, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise StudyError(f"cannot read the study file {path}: {error.strerror}{hint}") from error


def _parse(text: str, path: Path) -> Any:
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    try:
        return yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        problem = (error.problem or error.context or "not YAML").splitlines()[0]
        raise StudyError(f"{place}: not valid YAML: {problem}") from error
    except ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        raise StudyError(f"{path}:{line}:{column}: not valid YAML: {error.reason}") from error
    except (YAMLError, ValueError) as error:
        raise StudyError(f"{path}: not valid YAML: {error}") from error


def _plain(node: Any) -> Any:
    """The tree as plain Python data; bare on/off/yes/no become booleans, quoted ones stay text."""
    if isinstance(node, CommentedMap):
        return {_plain(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(item) for item in node]
    if isinstance(node, ScalarString):
        return str(node)
    if isinstance(node, str):
        return SWITCHES.get(node.lower(), node)
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, float):
        return float(node)
    if isinstance(node, int):
        return int(node)
    return str(node)  # dates and the like: no setting wants one


def _position(tree: Any, keys: Sequence[str | int]) -> tuple[int, int]:
    """Line and column, from 1, of the deepest part of ``keys`` in a round-trip tree."""
    line, column = 0, 0
    for key in keys:
        if isinstance(tree, CommentedMap) and key in tree:
            line, column = tree.lc.key(key)
            tree = tree[key]
        elif isinstance(tree, CommentedSeq) and isinstance(key, int) and key < len(tree):
            line, column = tree.lc.item(key)
            tree = tree[key]
        else:
            break
    return line + 1, column + 1
