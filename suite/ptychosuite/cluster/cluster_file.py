"""From what stands after ``--cluster``, or in a cluster file, to the settings of one kind of cluster.

Start or reach a Dask cluster of any kind.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ptychosuite.cluster.connection import Adapt, ClusterKind, Connection
from ptychosuite.cluster.security import TLS
from ptychosuite.errors import ClusterError, nearest
from ptychosuite.registry.validation import SettingError, as_mapping, shown, validate
from ptychosuite.registry.yaml_text import parse, plain, position, read_text

KINDS: Mapping[str, str] = {
    "none": "ptychosuite.cluster.kinds.local:ThisProcess",
    "local": "ptychosuite.cluster.kinds.local:Local",
    "cuda": "ptychosuite.cluster.kinds.cuda:Cuda",
    "slurm": "ptychosuite.cluster.kinds.batch_systems:Slurm",
    "pbs": "ptychosuite.cluster.kinds.batch_systems:PBS",
    "lsf": "ptychosuite.cluster.kinds.batch_systems:LSF",
    "sge": "ptychosuite.cluster.kinds.batch_systems:SGE",
}
RUNNING = "ptychosuite.cluster.kinds.external:Running"
IMPORTABLE = "ptychosuite.cluster.kinds.external:Importable"
CLASS_PATH = re.compile(r"\w+(\.\w+)*:\w+")


def cluster_settings(cluster: str, workers: int | None = None) -> ClusterKind:
    """The settings behind ``--cluster CLUSTER --workers WORKERS``, checked; nothing is started.

    Raises
    ------
    ClusterError
        Unknown kind or key, a wrong value (with file, line and column), or a number of workers where the
        cluster sets its own.
    """
    if cluster.endswith((".yaml", ".yml")):
        kind = load_cluster(Path(cluster))
    else:
        try:
            kind = _check({"cluster": cluster}, Path())
        except SettingError as error:
            raise ClusterError(error.message) from error
    if workers is None or kind.cluster == "none":
        return kind
    if "workers" not in [f.name for f in dataclasses.fields(kind)]:
        raise ClusterError(f"--workers {workers}: {cluster} has the workers it has; leave --workers out")
    size: dict[str, Any] = {"workers": workers}
    try:
        return dataclasses.replace(kind, **size)
    except SettingError as error:
        raise ClusterError(f"--workers {workers}: {error.message}") from error


def load_cluster(path: Path) -> ClusterKind:
    """Read a cluster file: plain YAML data that begins with ``cluster: KIND``.

    Relative paths in it count from its own folder.

    Raises
    ------
    ClusterError
        With file, line and column, for anything that is no setting of that kind of cluster.
    """
    tree = parse(read_text(path, "cluster file", ClusterError), path, ClusterError)
    try:
        data = as_mapping(plain(tree), ())
        if "cluster" not in data:
            raise SettingError((), f"'cluster: KIND' is missing; {nearest('', KINDS)}")
        return _check(data, path.parent)
    except SettingError as error:
        line, column = position(tree, error.path)
        dotted = ".".join(map(str, error.path))
        place = f"{path}:{line}:{column}: {dotted}" if dotted else f"{path}:{line}:{column}"
        raise ClusterError(f"{place}: {error.message}") from error


def _check(data: dict[str, Any], base: Path) -> ClusterKind:
    if isinstance(data["cluster"], str) and data["cluster"].endswith(".json"):
        data = data | {"cluster": str(base / Path(data["cluster"]).expanduser())}
    if data.get("security") not in (None, False):  # in YAML, off is false
        data = data | {"security": _tls(data["security"], base)}
    if data.get("adapt") is not None:
        data = data | {"adapt": validate(Adapt, data["adapt"], ("adapt",))}
    kind: ClusterKind = validate(_kind_class(data["cluster"]), data, ())
    return kind


def _kind_class(cluster: Any) -> type[ClusterKind]:
    word = cluster if isinstance(cluster, str) else ""
    if word in KINDS:
        where = KINDS[word]
    elif word.startswith(("tcp://", "tls://")) or word.endswith(".json"):
        where = RUNNING
    elif CLASS_PATH.fullmatch(word):
        where = IMPORTABLE
    else:
        raise SettingError(
            ("cluster",),
            f"unknown cluster '{cluster}'; {nearest(word, KINDS)} (a cluster file FILE.yaml, a Dask "
            "scheduler file FILE.json, a class package.module:Class or an address tcp://HOST:PORT will do)",
        )
    module, _, name = where.partition(":")
    loaded: type[ClusterKind] = getattr(importlib.import_module(module), name)
    return loaded


def _tls(data: Any, base: Path) -> TLS:
    if not isinstance(data, Mapping):
        raise SettingError(
            ("security",), f"found {shown(data)}; expected {{ca_file: ..., cert: ..., key: ...}}, or off"
        )
    given: TLS = validate(TLS, data, ("security",))
    files = {name: base / Path(value).expanduser() for name, value in dataclasses.asdict(given).items()}
    for name, file in files.items():
        if not file.is_file():
            raise SettingError(("security", name), f"found {file}; expected a PEM file, and there is none")
    return TLS(**{name: str(file.resolve()) for name, file in files.items()})


def connect(cluster: str, workers: int | None = None) -> AbstractContextManager[Connection]:
    """Connect to a cluster and take it down again at the end.

    Parameters
    ----------
    cluster
        "none" (this process), "local" (worker processes on this machine), "cuda" (its GPUs), a batch system
        ("slurm", "pbs", "lsf", "sge"), a cluster file ``FILE.yaml``, a Dask scheduler file ``FILE.json``, a
        running scheduler's address ``tcp://host:port`` or ``tls://host:port``, or ``package.module:Class``.
    workers
        Number of CPU workers on this machine, or of all workers in a batch system's jobs.

    Raises
    ------
    ClusterError
        Unknown kind, wrong settings, or nothing answers.
    """
    return cluster_settings(cluster, workers).connect()
