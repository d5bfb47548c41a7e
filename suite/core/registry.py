"""Names used in study files, and the class behind each.

A class is named as "module:attribute" and imported on first use, so that reading a study loads only
what the study uses. Other packages add their own through entry-point groups called
``ptychosuite.solvers``, ``ptychosuite.operators``, ``ptychosuite.problems``, ``ptychosuite.objects``,
``ptychosuite.probes`` and ``ptychosuite.scans``.

Every entry is a frozen dataclass: its fields are the settings a study file may give.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from suite.errors import StudyError, nearest

BUILT_IN: Mapping[str, Mapping[str, str]] = {
    "problems": {
        "file": "suite.problems.measured:MeasuredFile",
    },
    "solvers": {
        "epie": "suite.solvers.pie:EPIE",
        "rpie": "suite.solvers.pie:RPIE",
        "mpie": "suite.solvers.mpie:MPIE",
        "magpie": "suite.solvers.magpie:MAGPIE",
        "emagpie": "suite.solvers.emagpie:EMAGPIE",
        "lsqml": "suite.solvers.lsqml:LSQML",
        "lbfgs": "suite.solvers.lbfgs:LBFGS",
        "ptychi": "suite.solvers.peers.ptychi:PtyChi",
        "cdtools": "suite.solvers.peers.cdtools:CDTools",
    },
    "operators": {
        "network": "suite.fastforward.trained:Trained",
        "identity": "suite.fastforward.controls:Identity",
        "extrapolation": "suite.fastforward.controls:Extrapolation",
        "probe-refit": "suite.fastforward.controls:ProbeRefit",
        "truth": "suite.fastforward.truth:Truth",
    },
    "objects": {
        "images": "suite.problems.objects:Images",
        "circuit": "suite.problems.objects:Circuit",
        "siemens-star": "suite.problems.objects:SiemensStar",
        "texture": "suite.problems.objects:Texture",
        "dead-leaves": "suite.problems.objects:DeadLeaves",
        "file": "suite.problems.files:ObjectFile",
    },
    "probes": {
        "fresnel-zone-plate": "suite.problems.probes:FresnelZonePlate",
        "gaussian": "suite.problems.probes:Gaussian",
        "disk": "suite.problems.probes:Disk",
        "lens": "suite.problems.probes:Lens",
        "file": "suite.problems.files:ProbeFile",
    },
    "scans": {
        "raster": "suite.problems.scans:Raster",
        "jittered-raster": "suite.problems.scans:JitteredRaster",
        "fermat-spiral": "suite.problems.scans:FermatSpiral",
        "file": "suite.problems.files:ScanFile",
    },
}


@cache
def names(group: str) -> Mapping[str, str]:
    """Every registered name of ``group`` with the class it stands for, ours before plug-ins."""
    plugins = {entry.name: entry.value for entry in entry_points(group=f"ptychosuite.{group}")}
    return {**plugins, **BUILT_IN[group]}


@cache
def settings_class(group: str, name: str) -> type[Any]:
    """The class registered as ``name``.

    Raises
    ------
    StudyError
        No such name, or its module cannot be imported.
    """
    known = names(group)
    if name not in known:
        raise StudyError(f"unknown {group.removesuffix('s')} '{name}'; {nearest(name, known)}")
    module, _, attribute = known[name].partition(":")
    try:
        loaded: type[Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise StudyError(
            f"{group.removesuffix('s')} '{name}' cannot be loaded from {known[name]}: {error}"
        ) from error
    return loaded


def build(group: str, settings: Mapping[str, Any]) -> Any:
    """Make the object that ``settings`` (``kind`` or ``name`` plus its fields) describe."""
    fields = dict(settings)
    name = fields.pop("name" if group == "solvers" else "kind")
    return settings_class(group, name)(**fields)
