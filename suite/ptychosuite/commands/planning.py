"""From a study file to its plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ptychosuite.errors import StudyError

if TYPE_CHECKING:
    from ptychosuite.core.plan import Plan


def planned_study(study: Path, settings: Sequence[str], override_file: Path | None) -> Plan:
    """The plan of a study file with the overrides of ``--override`` and ``--set``, in this order."""
    from ptychosuite.study.expand import make_plan
    from ptychosuite.study.study_file import load_overrides, load_study, parse_override

    if study.is_dir():
        raise StudyError(f"{study} is a folder; name a study file, as in studies/quickstart.yaml")
    overrides = [*(load_overrides(override_file) if override_file else ()), *map(parse_override, settings)]
    return make_plan(load_study(study, overrides))
