"""What a caller means by a study: a file or data, with overrides, and the plan of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptychosuite.core.plan import Plan
from ptychosuite.errors import StudyError
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import (
    Override,
    StudyFile,
    load_overrides,
    load_study,
    parse_override,
    plain_data,
    study_of,
)

File = str | os.PathLike[str]
Study = File | Mapping[str, Any]
"""The path of a study file, or what one holds; relative paths in a dict count from the working directory."""

Settings = Mapping[str, Any] | Sequence[str]
"""Overrides: dotted paths with their values, or texts such as "problem.noise=0.1"."""


def read_study(study: Study, settings: Settings = (), override_file: File | None = None) -> StudyFile:
    """The study with the overrides of a file and of ``settings``, in this order.

    Raises
    ------
    StudyError
        It cannot be read, or its outline is wrong: with line and column of a file, or the dotted key of data.
    """
    overrides = [*(load_overrides(Path(override_file)) if override_file else ()), *_overrides(settings)]
    if isinstance(study, Mapping):
        return study_of(study, overrides)
    path = Path(study)
    if path.is_dir():
        raise StudyError(f"{path} is a folder; name a study file, as in studies/quickstart.yaml")
    return load_study(path, overrides)


def plan_of(study: Study, settings: Settings = (), override_file: File | None = None) -> Plan:
    """The runs of a study, checked."""
    return make_plan(read_study(study, settings, override_file))


def _overrides(settings: Settings) -> list[Override]:
    if isinstance(settings, Mapping):
        return [
            Override(path, plain_data(value, (path,)), f"settings: {path}={value!r}")
            for path, value in settings.items()
        ]
    texts = [settings] if isinstance(settings, str) else settings
    return [parse_override(text) for text in texts]
