"""What there is: nouns of a study with those of plug-ins, backends, and what is wrong with any of them."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from ptychosuite.api.planning import File, Study
from ptychosuite.api.results import store_of
from ptychosuite.backends.arrays import BACKENDS, backend
from ptychosuite.errors import BackendError, nearest
from ptychosuite.execute.provenance import environment
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.other_python import python_of, version_there
from ptychosuite.store.faults import faults as faults_of
from ptychosuite.store.read import inventory
from ptychosuite.study.json_schema import study_schema


def available(group: str) -> dict[str, dict[str, Any]]:
    """What a study may name of one group.

    Parameters
    ----------
    group
        "solvers", "operators", "objects", "probes", "scans", ...

    Returns
    -------
    Name -> its summary, and its settings with their defaults. Plug-ins that do not work are left out;
    :func:`doctor` names them.

    Raises
    ------
    ValueError
        There is no such group.
    """
    if group not in registry.GROUPS:
        raise ValueError(f"no group '{group}'; {nearest(group, registry.GROUPS)}")
    return {
        name: {"summary": (inspect.getdoc(cls) or "").split("\n")[0], "settings": _settings(cls)}
        for name, cls in registry.classes(group).items()
    }


def faults() -> list[dict[str, str]]:
    """What is wrong with the plug-ins that are installed: group, name, package with version, message."""
    return [dataclasses.asdict(fault) for fault in registry.faults()]


def doctor(study: Study | None = None, *, results: File = "results") -> dict[str, Any]:
    """What this machine and this installation can do, and what would help ("advice"), as plain data.

    Parameters
    ----------
    study
        A study or a results folder, every file of whose results is read: "results" says where they are, how
        many runs they have, and what is damaged or does not belong there.
    results
        Folder that holds a results folder for each study, or ``s3://bucket/prefix``.

    Raises
    ------
    UserError
        There are no results.
    """
    of_results = {} if study is None else {"results": _results(study, results)}
    backends = {}
    for name in BACKENDS:
        try:
            backends[name] = str(backend(name).device_description().get("gpu_model", "available"))
        except BackendError as error:
            backends[name] = f"not available: {error}"
    return {
        "backends": backends,
        "nouns": {group: _with_packages(group) for group in registry.GROUPS},
        "faults": faults(),
        "advice": _advice(),
        "environment": environment(),
        **of_results,
    }


def _advice() -> list[str]:
    """What would help here, and how to get it, a sentence each; empty where nothing is amiss."""
    said = [
        f"{fault.package} is at fault, as told above: mend it, or remove it" for fault in registry.faults()
    ]
    if find_spec("ducc0") is None:
        said.append(
            "transforms on the CPU are SciPy's; ducc0 (GPL) is 1.5 to 2.5 times as fast: "
            "pip install 'ptychosuite[fast]'"
        )
    missing = [name for name, package in _peers() if not version_there(python_of(package), package)]
    if missing:
        said.append(
            f"the solvers {', '.join(missing)} are other packages', which are not here: "
            "pip install 'ptychosuite[peers]', or name the Python that has them in PTYCHOSUITE_PEER_PYTHON"
        )
    return said


def _peers() -> list[tuple[str, str]]:
    """Each solver that is another package's, with its distribution."""
    classes = registry.classes("solvers").items()
    return [(name, package) for name, cls in classes for package in getattr(cls, "packages", ())]


def _results(study: Study, results: File) -> dict[str, Any]:
    """What the results of a study are, and what is wrong with them."""
    store = store_of(study, results)
    return {
        "folder": str(store.root),
        "runs": len(inventory(store).files),
        "damaged": {str(fault.file): fault.message for fault in faults_of(store)},
        "not writable": store.unwritable(),
    }


def schema() -> dict[str, Any]:
    """The JSON Schema of study files, for editors."""
    return study_schema()


def _settings(cls: Any) -> dict[str, Any]:
    settings = {}
    for field in dataclasses.fields(cls):
        if field.default_factory is not dataclasses.MISSING:
            settings[field.name] = field.default_factory()
        else:
            settings[field.name] = "required" if field.default is dataclasses.MISSING else field.default
    return settings | {name: _settings(inner) for name, inner in getattr(cls, "groups", {}).items()}


def _with_packages(group: str) -> Mapping[str, str]:
    """Name -> the package that brings it, empty for our own; only what works."""
    brought = {entry.name: registry.package_of(entry) for entry in reversed(registry.plugins(group))}
    built_in = registry.GROUPS[group].built_in
    return {name: "" if name in built_in else brought[name] for name in registry.classes(group)}
