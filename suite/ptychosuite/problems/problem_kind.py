"""What a problem's kind is: the base of the classes behind ``problem: {kind: ...}``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ptychosuite.core.memo import by_identity
from ptychosuite.core.problem import Problem
from ptychosuite.errors import StudyError, UserError
from ptychosuite.problems.parts import FileSettings
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.validation import SettingError

DEFAULT_KIND = "simulated"  # where a study does not say the kind
START_PROBE = "start_probe"  # a setting of every problem, not of its kind: the probe to start from

Rng = Callable[[str], np.random.Generator]


@dataclass(frozen=True)
class Size:
    """How large a problem is, for checks and estimates."""

    object_shape: tuple[int, int]
    probe_size: int  # pixels of probe and patterns on a side
    n_positions: int


@dataclass(frozen=True)
class ProblemKind(FileSettings):
    """Base of the problems: diffraction data and a starting point, from settings in a frozen dataclass.

    ``size`` and ``make`` are all that a kind has to bring; everything else has a default here.

    ``parts`` names the settings that are nouns of their own, with their groups: {"probe": "probes"} for a
    setting ``probe: {kind: disk, ...}``, kept as a mapping and built with ``registry.build``; what the study
    says goes over the field's default. ``knows_truth`` says whether the true object is known, ``knows_probe``
    whether the probe is the true one where the study gives none to start from.
    """

    parts: ClassVar[Mapping[str, str]] = {}
    knows_truth: ClassVar[bool] = False
    knows_probe: ClassVar[bool] = False

    @property
    def counted(self) -> bool:
        """Whether the patterns are kept as whole counts, which take less memory."""
        return True

    def size(self) -> Size:
        """Sizes, without making the data; asked for when a study is planned.

        Raises
        ------
        SettingError
            The settings cannot be; its path counts from the problem.
        UserError
            A file is unreadable or unsuitable.
        """
        raise NotImplementedError

    def make(self, rng: Rng, dtype: str, start_probe: np.ndarray | None) -> Problem:
        """The problem in NumPy arrays, double precision where it matters; it is carried to the backend later.

        Parameters
        ----------
        rng
            Random generator for a named purpose ("scan", "data"): the same for runs of one problem and seed.
        dtype
            Real type of the amplitudes, for :class:`~ptychosuite.core.patterns.Patterns`.
        start_probe
            (m, m) complex: the study's probe to start from, if it gives one.

        Raises
        ------
        DataFileError
            A file is unreadable or unsuitable.
        """
        raise NotImplementedError


@by_identity
def kind_of(problem: Mapping[str, Any]) -> ProblemKind:
    """The kind behind a run's problem, with its settings."""
    settings = {"kind": DEFAULT_KIND, **problem}
    settings.pop(START_PROBE, None)
    kind: ProblemKind = registry.build("problems", settings)
    return kind


def readable(setting: str, group: str, settings: Mapping[str, Any]) -> Any:
    """The object or probe behind a ``setting``; made once where it comes from a file, to see that it can be.

    Raises
    ------
    SettingError
        It cannot; the path is the setting.
    """
    built = registry.build(group, settings)
    try:
        if built.from_file:
            built.make()
    except UserError as error:
        raise SettingError((setting,), str(error)) from error
    return built


def knows_probe(problem: Mapping[str, Any]) -> bool:
    """Whether a run of this problem has the true probe; a kind that is not installed here is not known to."""
    try:
        cls = registry.class_of("problems", problem.get("kind", DEFAULT_KIND))
    except StudyError:
        return False
    return cls.knows_probe and problem.get(START_PROBE) is None
