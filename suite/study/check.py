"""The section ``check`` of a study."""

from __future__ import annotations

from suite.core.check import Tolerances
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
        found: Tolerances = validate(Tolerances, section.get("tolerance") or {}, ("check", "tolerance"))
    except SettingError as error:
        raise study.error(error.path, error.message) from error
    return found
