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

from ptychosuite.errors import StudyError, nearest

BUILT_IN: Mapping[str, Mapping[str, str]] = {
    "problems": {
        "file": "ptychosuite.problems.measured:MeasuredFile",
    },
    "solvers": {
        "epie": "ptychosuite.solvers.pie:EPIE",
        "rpie": "ptychosuite.solvers.pie:RPIE",
        "mpie": "ptychosuite.solvers.mpie:MPIE",
        "magpie": "ptychosuite.solvers.magpie:MAGPIE",
        "emagpie": "ptychosuite.solvers.emagpie:EMAGPIE",
        "lsqml": "ptychosuite.solvers.lsqml:LSQML",
        "lbfgs": "ptychosuite.solvers.lbfgs:LBFGS",
        "ptychi": "ptychosuite.solvers.peers.ptychi:PtyChi",
        "cdtools": "ptychosuite.solvers.peers.cdtools:CDTools",
    },
    "operators": {
        "network": "ptychosuite.fastforward.network:Trained",
        "identity": "ptychosuite.fastforward.controls:Identity",
        "extrapolation": "ptychosuite.fastforward.controls:Extrapolation",
        "probe-refit": "ptychosuite.fastforward.controls:ProbeRefit",
        "truth": "ptychosuite.fastforward.truth:Truth",
    },
    "objects": {
        "images": "ptychosuite.problems.objects:Images",
        "circuit": "ptychosuite.problems.objects:Circuit",
        "siemens-star": "ptychosuite.problems.objects:SiemensStar",
        "texture": "ptychosuite.problems.objects:Texture",
        "dead-leaves": "ptychosuite.problems.objects:DeadLeaves",
        "file": "ptychosuite.problems.files:ObjectFile",
    },
    "probes": {
        "fresnel-zone-plate": "ptychosuite.problems.probes:FresnelZonePlate",
        "gaussian": "ptychosuite.problems.probes:Gaussian",
        "disk": "ptychosuite.problems.probes:Disk",
        "lens": "ptychosuite.problems.probes:Lens",
        "file": "ptychosuite.problems.files:ProbeFile",
    },
    "scans": {
        "raster": "ptychosuite.problems.scans:Raster",
        "jittered-raster": "ptychosuite.problems.scans:JitteredRaster",
        "fermat-spiral": "ptychosuite.problems.scans:FermatSpiral",
        "file": "ptychosuite.problems.files:ScanFile",
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
