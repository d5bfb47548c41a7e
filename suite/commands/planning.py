"""From a study file to its plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from suite.errors import StudyError

if TYPE_CHECKING:
    from suite.core.plan import Plan


def planned_study(study: Path, settings: Sequence[str], override_file: Path | None) -> Plan:
    """The plan of a study file with the overrides of ``--override`` and ``--set``, in this order."""
    from suite.study.load import load_overrides, load_study, parse_override
    from suite.study.plan import make_plan

    if study.is_dir():
        raise StudyError(f"{study} is a folder; name a study file, as in studies/quickstart.yaml")
    overrides = [*(load_overrides(override_file) if override_file else ()), *map(parse_override, settings)]
    return make_plan(load_study(study, overrides))
