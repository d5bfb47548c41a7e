"""The section ``train`` of a study."""

from __future__ import annotations

from suite.core.settings import SettingError, validate
from suite.core.training import Training
from suite.study.load import StudyFile


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
