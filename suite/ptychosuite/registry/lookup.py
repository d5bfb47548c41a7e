"""Names used in study files, and the class behind each.

Every noun of a study (a solver, a metric, a figure, ...) is one class that says all about itself: its
settings are the fields of a frozen dataclass, and what its kind can do is a documented attribute or method
of the group's base class, with a default. A class is named as "module:attribute" and imported on first use,
so that reading a study loads only what the study uses.

Other packages add their own through entry-point groups called ``ptychosuite.solvers``,
``ptychosuite.metrics`` and so on, one for each of :data:`GROUPS`. A class need not derive from the base: one
that has what the group requires gets the base's defaults. A study may also name ``package.module:Class``
where a registered name stands.

What is wrong with a plug-in is told by :func:`faults` and to the study that asks for it; it disturbs nothing
else.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from ptychosuite.core.stages import parts_of
from ptychosuite.errors import StudyError, nearest

CLASS_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Group:
    """One kind of noun."""

    singular: str
    base: str  # "module:Class" with the defaults of what a class of this group can do
    required: tuple[str, ...]  # attributes that a class must bring itself
    built_in: Mapping[str, str]  # name -> "module:Class"
    key: str = "kind"  # the setting that names the class


GROUPS: Mapping[str, Group] = {
    "problems": Group(
        "problem",
        "ptychosuite.problems.problem_kind:ProblemKind",
        ("size", "make"),
        {
            "simulated": "ptychosuite.problems.simulated:Simulated",
            "file": "ptychosuite.problems.measured:MeasuredFile",
        },
    ),
    "formats": Group(
        "format",
        "ptychosuite.problems.measured.format:DataFormat",
        ("recognises", "read"),
        {
            "cxi": "ptychosuite.problems.measured.formats.cxi:CXI",
            "nexus": "ptychosuite.problems.measured.formats.nexus:NeXus",
            "ptyd": "ptychosuite.problems.measured.formats.ptyd:Ptyd",
            "nanomax": "ptychosuite.problems.measured.formats.nanomax:NanoMAX",
            "dectris": "ptychosuite.problems.measured.formats.dectris:Dectris",
            "gda": "ptychosuite.problems.measured.formats.gda:GDA",
            "hxn": "ptychosuite.problems.measured.formats.hxn:HXN",
            "nsls2": "ptychosuite.problems.measured.formats.nsls2:NSLS2",
            "ptyr": "ptychosuite.problems.measured.formats.ptyr:Ptyr",
            "ptychodus": "ptychosuite.problems.measured.formats.ptychodus:Ptychodus",
            "ptychoshelves": "ptychosuite.problems.measured.formats.ptychoshelves:PtychoShelves",
            "ptylab": "ptychosuite.problems.measured.formats.ptylab:PtyLab",
            "arrays": "ptychosuite.problems.measured.formats.plain_arrays:PlainArrays",
            "emd": "ptychosuite.problems.measured.formats.emd:EMD",
            "hyperspy": "ptychosuite.problems.measured.formats.hyperspy:HyperSpy",
            "microscopes": "ptychosuite.problems.measured.formats.microscopes:MicroscopeFile",
            "empad": "ptychosuite.problems.measured.formats.empad:EMPAD",
            "tiff": "ptychosuite.problems.measured.formats.tiff:TIFF",
        },
    ),
    "solvers": Group(
        "solver",
        "ptychosuite.solvers.solver:Solver",
        ("init", "step"),
        {
            "epie": "ptychosuite.solvers.pie:EPIE",
            "rpie": "ptychosuite.solvers.pie:RPIE",
            "mpie": "ptychosuite.solvers.mpie:MPIE",
            "magpie": "ptychosuite.solvers.magpie:MAGPIE",
            "emagpie": "ptychosuite.solvers.emagpie:EMAGPIE",
            "lsqml": "ptychosuite.solvers.lsqml:LSQML",
            "adam": "ptychosuite.solvers.adam:Adam",
            "lbfgs": "ptychosuite.solvers.lbfgs:LBFGS",
            "ptychi": "ptychosuite.solvers.peers.ptychi:PtyChi",
            "cdtools": "ptychosuite.solvers.peers.cdtools:CDTools",
            "ptylab": "ptychosuite.solvers.peers.ptylab:PtyLab",
            "staged": "ptychosuite.solvers.staged:Staged",
        },
        key="name",
    ),
    "operators": Group(
        "operator",
        "ptychosuite.fastforward.operator:Operator",
        ("advance",),
        {
            "network": "ptychosuite.fastforward.network:Trained",
            "identity": "ptychosuite.fastforward.operator:Identity",
            "extrapolation": "ptychosuite.fastforward.operator:Extrapolation",
            "probe-refit": "ptychosuite.fastforward.operator:ProbeRefit",
            "truth": "ptychosuite.fastforward.truth:Truth",
        },
    ),
    "metrics": Group(  # in the order in which tables and baselines have them
        "metric",
        "ptychosuite.metrics.metric:Metric",
        ("name", "value"),
        {
            "residual": "ptychosuite.metrics.of_data:Residual",
            "error": "ptychosuite.metrics.of_truth:MagnitudeError",
            "relative_error": "ptychosuite.metrics.of_truth:RelativeError",
            "poisson_nll": "ptychosuite.metrics.of_data:PoissonNLL",
            "poisson_deviance": "ptychosuite.metrics.of_data:PoissonDeviance",
            "held_out_deviance": "ptychosuite.metrics.of_data:HeldOutDeviance",
            "gradient_norm": "ptychosuite.metrics.of_data:GradientNorm",
            "phase_rmse_rad": "ptychosuite.metrics.of_truth:PhaseRMSE",
            "nmse": "ptychosuite.metrics.of_truth:NMSE",
            "frc_crossing": "ptychosuite.metrics.of_truth:FRCCrossing",
            "half_frc_crossing": "ptychosuite.metrics.of_truth:HalfFRCCrossing",
            "frc_area": "ptychosuite.metrics.of_truth:FRCArea",
            "half_frc_area": "ptychosuite.metrics.of_truth:HalfFRCArea",
            "frc_resolution_px": "ptychosuite.metrics.of_truth:FRCResolution",
            "half_frc_resolution_px": "ptychosuite.metrics.of_truth:HalfFRCResolution",
            "position_error_px": "ptychosuite.metrics.of_found:PositionError",
            "position_jitter_px": "ptychosuite.metrics.of_found:PositionJitter",
            "mode_overlap": "ptychosuite.metrics.of_found:ModeOverlap",
            "first_mode_share": "ptychosuite.metrics.of_found:FirstModeShare",
            "light_overlap": "ptychosuite.metrics.of_light:LightOverlap",
            "iterations": "ptychosuite.metrics.of_data:Iterations",
            "iterations_to_tol": "ptychosuite.metrics.of_data:IterationsToTol",
            "seconds_to_tol": "ptychosuite.metrics.of_data:SecondsToTol",
            "above_start": "ptychosuite.metrics.of_data:AboveStart",
            "data_passes": "ptychosuite.metrics.of_data:DataPasses",
            "seconds_per_iteration": "ptychosuite.metrics.of_data:SecondsPerIteration",
            "seconds": "ptychosuite.metrics.of_data:Seconds",
            "peak_host_bytes": "ptychosuite.metrics.of_data:PeakHostBytes",
            "peak_device_bytes": "ptychosuite.metrics.of_data:PeakDeviceBytes",
            "psnr_phase": "ptychosuite.metrics.of_truth:PhasePSNR",
            "ssim_phase": "ptychosuite.metrics.of_truth:PhaseSSIM",
            "normalised_misfit": "ptychosuite.metrics.of_data:NormalisedMisfit",
            "whole_phase_rmse_rad": "ptychosuite.metrics.of_truth:WholePhaseRMSE",
            "phase_artefact_rad": "ptychosuite.metrics.of_truth:PhaseArtefact",
            "expected_deviance": "ptychosuite.metrics.of_noise:ExpectedDeviance",
            "truth_deviance": "ptychosuite.metrics.of_noise:TruthDeviance",
        },
        key="name",
    ),
    "objects": Group(
        "object",
        "ptychosuite.problems.problem_kind:ObjectKind",
        ("make", "shape"),
        {
            "images": "ptychosuite.problems.objects:Images",
            "circuit": "ptychosuite.problems.objects:Circuit",
            "siemens-star": "ptychosuite.problems.objects:SiemensStar",
            "texture": "ptychosuite.problems.objects:Texture",
            "dead-leaves": "ptychosuite.problems.objects:DeadLeaves",
            "file": "ptychosuite.problems.from_files:ObjectFile",
            "run": "ptychosuite.warmstart.from_runs:RunObject",
            "guess": "ptychosuite.problems.objects:OwnGuess",
        },
    ),
    "probes": Group(
        "probe",
        "ptychosuite.problems.problem_kind:ProbeKind",
        ("make", "size"),
        {
            "fresnel-zone-plate": "ptychosuite.problems.probes:FresnelZonePlate",
            "gaussian": "ptychosuite.problems.probes:Gaussian",
            "disk": "ptychosuite.problems.probes:Disk",
            "lens": "ptychosuite.problems.probes:Lens",
            "file": "ptychosuite.problems.from_files:ProbeFile",
            "run": "ptychosuite.warmstart.from_runs:RunProbe",
        },
    ),
    "scans": Group(
        "scan",
        "ptychosuite.problems.problem_kind:ScanKind",
        ("positions",),
        {
            "raster": "ptychosuite.problems.scans:Raster",
            "jittered-raster": "ptychosuite.problems.scans:JitteredRaster",
            "fermat-spiral": "ptychosuite.problems.scans:FermatSpiral",
            "file": "ptychosuite.problems.from_files:ScanFile",
            "run": "ptychosuite.warmstart.from_runs:RunScan",
        },
    ),
    "figures": Group(
        "figure",
        "ptychosuite.reporting.figures.figure_kind:FigureKind",
        ("draw",),
        {
            "convergence": "ptychosuite.reporting.figures.convergence:ConvergenceFigure",
            "images": "ptychosuite.reporting.figures.images:ImagesFigure",
            "heatmap": "ptychosuite.reporting.figures.heatmap:HeatmapFigure",
            "setup": "ptychosuite.reporting.figures.setup:SetupFigure",
            "probe": "ptychosuite.reporting.figures.images:ProbeFigure",
            "rings": "ptychosuite.reporting.figures.rings:RingsFigure",
            "speed-up": "ptychosuite.reporting.figures.speed_up:SpeedUpFigure",
            "performance-profile": "ptychosuite.reporting.figures.performance_profile:ProfileFigure",
            "ranking": "ptychosuite.reporting.figures.ranking:RankingFigure",
            "positions": "ptychosuite.reporting.figures.positions_map:PositionsFigure",
            "modes": "ptychosuite.reporting.figures.modes_grid:ModesFigure",
            "position-misfit": "ptychosuite.reporting.figures.misfit_map:PositionMisfitFigure",
        },
    ),
}


@dataclass(frozen=True)
class Fault:
    """What is wrong with one entry of a plug-in."""

    group: str
    name: str
    package: str  # the distribution that brings it, with its version
    message: str


@cache
def plugins(group: str) -> tuple[EntryPoint, ...]:
    """What other packages bring to ``group``, in the order in which they are found."""
    return tuple(entry_points(group=f"ptychosuite.{group}"))


@cache
def names(group: str) -> Mapping[str, str]:
    """Every registered name of ``group`` with its class; ours come first, then the first plug-in's."""
    found = dict(GROUPS[group].built_in)
    for entry in plugins(group):
        found.setdefault(entry.name, entry.value)
    return found


@cache
def class_of(group: str, name: str) -> type[Any]:
    """The class registered as ``name``, or that at ``package.module:Class``; with the group's defaults.

    Raises
    ------
    StudyError
        No such name, its module cannot be imported, or the class is not what the group asks for.
    """
    known = names(group)
    if name not in known and not CLASS_PATH.fullmatch(name):
        raise StudyError(f"unknown {GROUPS[group].singular} '{name}'; {nearest(name, known)}")
    where = known.get(name, name)
    described = f"{GROUPS[group].singular} '{name}'"
    try:
        found = _imported(where)
    except Exception as error:  # another package's module may raise anything
        raise StudyError(
            f"{described} cannot be loaded from {where}: {type(error).__name__}: {error}"
        ) from error
    return completed(group, found, f"{described} ({where})")


def completed(group: str, found: Any, described: str) -> type[Any]:
    """``found`` as a class of ``group``, with the group's defaults.

    Raises
    ------
    StudyError
        It is not what the group asks for.
    """
    base = _imported(GROUPS[group].base)
    lack = _lack(GROUPS[group], found, base)
    if lack:
        raise StudyError(f"{described} {lack}; docs/plug-ins.md says what one has to be")
    return found if issubclass(found, base) else _completed(found, base)


def classes(group: str) -> dict[str, type[Any]]:
    """Name -> class of all that is registered and works."""
    found = {}
    for name in names(group):
        try:
            found[name] = class_of(group, name)
        except StudyError:  # a plug-in's fault: ``faults`` tells of it
            continue
    return found


def build(group: str, settings: Mapping[str, Any]) -> Any:
    """Make the object that ``settings`` (``kind`` or ``name`` plus its fields) describe."""
    fields = dict(settings)
    name = fields.pop(GROUPS[group].key)
    return class_of(group, name)(**fields)


def faults() -> list[Fault]:
    """What is wrong with the plug-ins that are installed: names that are taken, what cannot be loaded."""
    found = []
    for group in GROUPS:
        taken = dict.fromkeys(GROUPS[group].built_in, "ptychosuite itself")
        for entry in plugins(group):
            package = package_of(entry)
            if entry.name in taken:
                message = (
                    f"the name is taken by {taken[entry.name]}, which keeps it; say {entry.value} in a study"
                )
                found.append(Fault(group, entry.name, package, message))
                continue
            taken[entry.name] = package
            try:
                class_of(group, entry.name)
            except StudyError as error:
                found.append(Fault(group, entry.name, package, str(error)))
    return found


def package_of(entry: EntryPoint) -> str:
    """The distribution that brings ``entry``, with its version."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value.partition(":")[0]


def label_of(group: str, name: str) -> str:
    """How figures and tables call a class: its ``label``, or its name where it is not to be had here."""
    try:
        return str(class_of(group, name).label or name)
    except StudyError:
        return name


def solver_label(name: str) -> str:
    """How figures and tables call what tables have as ``solver``: "rPIE 20 + eMAGPIE" of stages."""
    told = ((label_of("solvers", stage), *rest) for stage, *rest in parts_of(name))
    return " + ".join(" ".join(words) for words in told)


def forget() -> None:
    """Look plug-ins up again."""
    for remembered in (plugins, names, class_of):
        remembered.cache_clear()


def _imported(where: str) -> type[Any]:
    module, _, attribute = where.partition(":")
    found: type[Any] = getattr(importlib.import_module(module), attribute)
    return found


def _completed(found: type[Any], base: type[Any]) -> type[Any]:
    """``found`` with the defaults of ``base``; where that is a dataclass, with its fields as well."""
    said: dict[str, Any] = {"__doc__": found.__doc__, "__module__": found.__module__}
    mixed: Any = type(found.__name__, (found, base), said)
    if not dataclasses.is_dataclass(base):
        return mixed
    # by keyword, so that a field without a default may stand behind the base's
    fields = {**base.__dataclass_fields__, **found.__dataclass_fields__}
    mixed.__dataclass_fields__ = {name: _by_keyword(field) for name, field in fields.items()}
    own = found.__dataclass_params__
    decorate = dataclasses.dataclass(
        frozen=True, repr=own.repr, eq=own.eq, order=own.order, unsafe_hash=own.unsafe_hash
    )
    return decorate(type(found.__name__, (mixed,), said))


def _by_keyword(field: Any) -> Any:
    field = copy(field)
    field.kw_only = True
    return field


def _lack(group: Group, found: Any, base: type[Any]) -> str:
    """What keeps ``found`` from being a noun of ``group``; empty where nothing does."""
    if not isinstance(found, type):
        return f"is no class but {type(found).__name__}"
    missing = [
        name
        for name in group.required
        if name not in _fields(found) and getattr(found, name, None) in (None, getattr(base, name, None))
    ]
    if missing:
        return f"has no '{missing[0]}'"
    parameters = getattr(found, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        return "is no frozen dataclass"
    if dataclasses.is_dataclass(base) and not (parameters.init or issubclass(found, base)):
        return f"has an __init__ of its own, which does not take the settings of every {group.singular}"
    return ""


def _fields(cls: type[Any]) -> list[str]:
    return [f.name for f in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else []
