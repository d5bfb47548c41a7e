"""Read a study, from a file or from plain data, keeping the place of everything for error messages.

Its sections ``check`` and ``train`` are checked here, what describes runs in
:mod:`ptychosuite.study.schema`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any, get_args

from ruamel.yaml.comments import CommentedMap

from ptychosuite.core.plan import FIRST_ITERATIONS, Dtype, Relative, Tolerances
from ptychosuite.errors import StudyError, nearest
from ptychosuite.fastforward.training_file import Training
from ptychosuite.metrics.metric import known_metrics
from ptychosuite.registry.validation import SettingError, as_mapping, refuse_unknown, shown, validate
from ptychosuite.registry.yaml_text import as_text, parse, plain, position, read_text, rounded
from ptychosuite.study.schema import STUDY_FIELDS

STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{,99}")

LONGEST_TITLE = 300
TUNE = "tune"  # the section that has settings found before the runs


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

    path: Path | None  # None where it was given as data
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
        return (self.path.parent if self.path else Path()).resolve()

    def error(self, keys: Sequence[str | int], message: str, dotted: str | None = None) -> StudyError:
        """Says where ``keys`` stand (file:line:column), what they are called (``dotted``), and ``message``.

        The place is that of the deepest part of ``keys`` that the file holds; plain data have none.
        """
        place = ""
        if self.path is not None:
            line, column = position(self.tree, keys)
            place = f"{self.path}:{line}:{column}"
        if dotted is None:
            dotted = ".".join(str(key) for key in keys)
        return StudyError(": ".join(filter(None, (place, dotted, message))))


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
        found = "the file is empty" if tree is None else f"found {shown(plain(tree))}"
        raise StudyError(f"{path}:1:1: {found}; a study is a mapping that begins with 'study: NAME'")
    return _checked(StudyFile(path, text, plain(tree), tuple(overrides), tree))


def study_of(data: Mapping[str, Any], overrides: Sequence[Override] = ()) -> StudyFile:
    """As :func:`load_study`, of a study given as data; relative paths count from the working directory.

    Tuples, ranges, arrays and paths may stand where a file has lists and text.
    """
    content = plain_data(data)
    return _checked(StudyFile(None, as_text(content), content, tuple(overrides)))


def _checked(study: StudyFile) -> StudyFile:
    """``study``, whose outline is as it should be."""
    for keys in _odd_keys(study.data):
        raise study.error(keys, f"found the key {shown(keys[-1])}; expected text")
    for key in study.data:
        if key not in STUDY_FIELDS:
            raise study.error((key,), f"unknown key; {nearest(key, STUDY_FIELDS)}")
    if "study" not in study.data:
        raise study.error(
            (), "'study: NAME' is missing; the name is that of the results folder and the report"
        )
    title = study.data.get("title")
    if title is not None and not isinstance(title, str):
        raise study.error(("title",), f"found {shown(title)}; expected text")
    if title is not None and len(title) > LONGEST_TITLE:
        message = f"found {len(title)} characters; expected at most {LONGEST_TITLE}"
        raise study.error(("title",), message)
    if not isinstance(study.data["study"], str) or not STUDY_NAME.fullmatch(study.name):
        name = study.name if len(study.name) <= 60 else study.name[:57] + "..."
        message = f"found '{name}'; expected at most 100 letters, digits, '.', '_' and '-', as in a file name"
        raise study.error(("study",), message)
    return study


def _odd_keys(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where keys stand that are no text: numbers, switches, null."""
    if isinstance(data, Mapping):
        yield from ((*path, key) for key in data if not isinstance(key, str))
    items = data.items() if isinstance(data, Mapping) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield from _odd_keys(value, (*path, key))


def plain_data(value: Any, path: Sequence[str] = ()) -> Any:
    """``value`` as a YAML file would hold it: mappings, lists, text, numbers and switches.

    Raises
    ------
    StudyError
        It holds something else.
    """
    if isinstance(value, Mapping):
        return {str(key): plain_data(item, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, str | bool | None):
        return plain(value)
    if isinstance(value, Real):
        return int(value) if isinstance(value, Integral) else rounded(float(value))
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Iterable):
        return [plain_data(item, path) for item in value]
    raise StudyError(f"{'.'.join(path)}: found {value!r}; expected text, a number, a list or a mapping")


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


def is_of_tuning(path: str) -> bool:
    """Whether an override is one of the section ``tune``, and of no run."""
    return path == TUNE or path.startswith(f"{TUNE}.")


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


def tolerances(study: StudyFile) -> Tolerances:
    """Check the section ``check`` of ``study``; what it does not say is left to the defaults.

    Raises
    ------
    StudyError
        It holds an unknown key or an impossible value.
    """
    try:
        section = as_mapping(study.data.get("check") or {}, ("check",))
        refuse_unknown(section, ("tolerance",), ("check",))
        path = ("check", "tolerance")
        tolerance = as_mapping(section.get("tolerance") or {}, path)
        if not tolerance:
            return Tolerances()
        for name, value in tolerance.items():
            if isinstance(value, Mapping):
                refuse_unknown(value, get_args(Dtype), (*path, name))
        checked = vars(validate(tolerance_fields(), tolerance, path))
    except SettingError as error:
        raise study.error(error.path, error.message) from error
    return Tolerances({name: wanted for name, wanted in checked.items() if wanted is not None})


def tolerance_fields() -> type[Any]:
    """A dataclass with a field for all that a check judges, the metrics that this study names among it."""
    judged = (metric.name for metric in known_metrics() if metric.is_judged and metric.in_baseline)
    return _fields((FIRST_ITERATIONS, *judged))


@cache
def _fields(names: tuple[str, ...]) -> type[Any]:
    return make_dataclass("Tolerances", [(name, Relative, None) for name in names], frozen=True)


def training_settings(study: StudyFile) -> Training:
    """Check the section ``train`` of ``study`` and fill in its defaults.

    Raises
    ------
    StudyError
        There is none, or it holds an unknown key or an impossible value.
    """
    if "train" not in study.data:
        raise study.error(
            (), "the section 'train' is missing; a study that trains has one, as in 'train: {epochs: 40}'"
        )
    try:
        settings: Training = validate(Training, study.data["train"] or {}, ("train",))
    except SettingError as error:
        raise study.error(error.path, error.message) from error
    return settings
