"""The section ``check`` of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from suite.core.check import Dtype, Tolerances
from suite.core.settings import SettingError, as_mapping, refuse_unknown, validate
from suite.study.load import StudyFile


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
        for name, value in tolerance.items():
            if isinstance(value, Mapping):
                refuse_unknown(value, get_args(Dtype), (*path, name))
        found: Tolerances = validate(Tolerances, tolerance, path)
    except SettingError as error:
        raise study.error(error.path, error.message) from error
    return found
