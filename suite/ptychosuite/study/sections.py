"""The section ``check`` of a study.

The section ``train`` of a study.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from ptychosuite.core.plan import Dtype, Tolerances
from ptychosuite.fastforward.training import Training
from ptychosuite.registry.validation import SettingError, as_mapping, refuse_unknown, validate
from ptychosuite.study.study_file import StudyFile


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
