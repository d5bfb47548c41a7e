"""What problems, objects, probes and scans are: the bases of the classes behind ``{kind: ...}``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Lt
from jaxtyping import Complex, Real

from ptychosuite.core.problem import Problem, Reference
from ptychosuite.core.runs import by_identity
from ptychosuite.errors import DataFileError, StudyError, UserError
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.validation import SettingError

MAX_SIZE = 2**14  # pixels on a side; more is a slip of the pen


class FileSettings:
    """Base of the nouns whose settings may name files.

    A setting ``x`` names a file where the class has a field ``x_sha256``: when a study is planned, its path
    becomes absolute and its hash is taken. ``in_files`` are settings that may be ``{path: FILE, key: NAME}``,
    an array of a file; their paths are treated likewise. ``bundled_files`` are files that come with the
    package, by the names that a study gives them; ``bundled_images`` are names that stand for an image
    without a file. ``reads_formats`` says that the file's own format decides how it is read. ``label`` is
    what figures call the class, its name by default.
    """

    label: ClassVar[str] = ""
    bundled_files: ClassVar[Mapping[str, Path]] = {}
    bundled_images: ClassVar[Sequence[str]] = ()
    in_files: ClassVar[Sequence[str]] = ()
    reads_formats: ClassVar[bool] = False

    @property
    def from_file(self) -> bool:
        """Whether a setting names a file."""
        fields: Any = dataclasses.fields(self)  # type: ignore[arg-type]  # the classes are dataclasses
        return any(f.name.endswith("_sha256") and getattr(self, f.name) for f in fields)


class ObjectKind(FileSettings):
    """Base of the objects: makes a complex transmission function.

    ``make`` and ``shape`` are all that an object has to bring; one of :class:`Square` has its shape.
    ``is_own_guess`` says that it stands for what the problem itself holds to start from.
    """

    is_own_guess: ClassVar[bool] = False

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns in pixels; of an object from a file it is read for them.

        Raises
        ------
        DataFileError
            The file is unreadable or unsuitable.
        """
        raise NotImplementedError

    def make(self) -> Complex[np.ndarray, "H W"]:
        """The object, complex128.

        Raises
        ------
        DataFileError
            A file is unreadable or unsuitable.
        """
        raise NotImplementedError


class Square(ObjectKind):
    """Base of the objects of ``size`` x ``size`` pixels."""

    size: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.size, self.size


class ProbeKind(FileSettings):
    """Base of the probes: makes a complex field, centred in its window. ``size`` is its pixels on a side.

    ``is_calibrated`` says that its power is that of the data already, and is kept.
    """

    is_calibrated: ClassVar[bool] = False

    size: int

    def make(self) -> Complex[np.ndarray, "m m"]:
        """The probe, complex128; of several modes the strongest, with the power of all.

        Raises
        ------
        DataFileError
            A file is unreadable or unsuitable, or no light is left.
        """
        raise NotImplementedError

    def modes(self) -> Complex[np.ndarray, "M m m"] | None:
        """All its mutually incoherent modes, complex128, strongest first; None where it is one.

        Raises
        ------
        DataFileError
            A file is unreadable or unsuitable.
        """
        return None


class ScanKind(FileSettings):
    """Base of the scans: lays out the positions of the patches' first corners."""

    def positions(
        self, object_shape: tuple[int, int], probe_size: int, rng: np.random.Generator
    ) -> Real[np.ndarray, "N 2"]:
        """Positions in pixels, (row, column), whole or fractional.

        Parameters
        ----------
        object_shape
            Rows and columns in pixels, in which all patches have to lie.
        probe_size
            Pixels on a side of a patch.
        rng
            Draws what is random.

        Raises
        ------
        UserError
            The settings cannot be, or a file is unreadable or unsuitable.
        """
        raise NotImplementedError

    def given(
        self, object_shape: tuple[int, int], probe_size: int, rng: np.random.Generator
    ) -> Real[np.ndarray, "N 2"]:
        """Positions in pixels that solvers are told, in the frame of the problem, wherever they lie.

        Parameters and errors are those of :meth:`positions`.
        """
        return self.positions(object_shape, probe_size, rng)


DEFAULT_KIND = "simulated"  # where a study does not say the kind
START_OBJECT, START_PROBE, START_POSITIONS = "start_object", "start_probe", "start_positions"
STARTS: Mapping[str, str] = {START_OBJECT: "objects", START_PROBE: "probes", START_POSITIONS: "scans"}
"""Settings of every problem, not of its kind: what to start from, with the group of each."""

HOLD_OUT = "hold_out"

Rng = Callable[[str], np.random.Generator]


@dataclass(frozen=True)
class OfEveryProblem:
    """Plain settings of every problem, not of its kind.

    Parameters
    ----------
    hold_out
        Share of the good detector pixels of each pattern, drawn at random with equal chances, that solvers
        do not see. How well they are predicted tells a better model from one that fits the noise: the metric
        ``held_out_deviance``. The counts stay what they are.
    """

    hold_out: Annotated[float, Ge(0), Lt(1)] = 0.0


OF_EVERY_PROBLEM = tuple(f.name for f in dataclasses.fields(OfEveryProblem))


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
    says goes over the field's default. ``groups`` names the settings that are groups of plain ones, with the
    frozen dataclasses that declare these: {"detector": Detector} for ``detector: {dark: 0.1}``, kept as a
    mapping; the defaults in a group are null, zero, off or empty, and do nothing. ``instead`` names settings
    that stand for another one, which is null where they are given: {"photons": "noise"}. ``knows_truth``
    says whether the true object is known, ``knows_probe`` whether the probe is the true one where the study
    gives none to start from. ``left_out`` has settings that are no part of a run where they have these
    values: ids from before there were such settings stay.
    """

    parts: ClassVar[Mapping[str, str]] = {}
    groups: ClassVar[Mapping[str, type[Any]]] = {}
    instead: ClassVar[Mapping[str, str]] = {}
    knows_truth: ClassVar[bool] = False
    knows_probe: ClassVar[bool] = False
    left_out: ClassVar[Mapping[str, Any]] = {}

    @property
    def truth_has(self) -> frozenset[str]:
        """What its truth has of all that a :class:`~ptychosuite.core.problem.Reference` may be without.

        Names of its fields, asked for when a study is planned; all of them where a kind does not say.
        """
        return frozenset(f.name for f in dataclasses.fields(Reference) if f.default is None)

    @property
    def object_pixel_m(self) -> float | None:
        """The pixel of object and probe in metres; None where it is not known."""
        return None

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

    def light(self) -> tuple[Complex[np.ndarray, "M m m"], Real[np.ndarray, "N 2"]] | None:
        """The modes of its probe and the positions of a scan like its own, to tell of when it is planned.

        None where only data say them.
        """
        return None

    def make(self, rng: Rng, dtype: str, start_probe: Complex[np.ndarray, "m m"] | None) -> Problem:
        """The problem in NumPy arrays, double precision where it matters; it is carried to the backend later.

        Parameters
        ----------
        rng
            Random generator for a named purpose ("scan", "data"): the same for runs of one problem and seed.
        dtype
            Real type of the amplitudes, for :class:`~ptychosuite.core.patterns.Patterns`.
        start_probe
            The study's probe to start from, if it gives one.

        Raises
        ------
        DataFileError
            A file is unreadable or unsuitable.
        """
        raise NotImplementedError

    def object_guess(self) -> Complex[np.ndarray, "H W"]:
        """The object that the problem itself holds to start from: ``start_object: guess``.

        Raises
        ------
        DataFileError
            It holds none.
        """
        raise DataFileError(f"a problem of the kind '{self.label}' holds no object to start from")


@by_identity
def kind_of(problem: Mapping[str, Any]) -> ProblemKind:
    """The kind behind a run's problem, with its settings."""
    settings = {"kind": DEFAULT_KIND, **problem}
    for setting in (*STARTS, *OF_EVERY_PROBLEM):
        settings.pop(setting, None)
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
