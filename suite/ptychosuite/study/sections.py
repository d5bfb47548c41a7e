"""The sections ``check`` and ``train`` of a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import make_dataclass
from functools import cache
from typing import Any, get_args

from ptychosuite.core.plan import FIRST_ITERATIONS, Dtype, Relative, Tolerances
from ptychosuite.fastforward.training import Training
from ptychosuite.metrics.metric import known_metrics
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
