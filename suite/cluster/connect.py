"""Start or reach a Dask cluster of any kind."""

from __future__ import annotations

from contextlib import AbstractContextManager

from suite.cluster.connection import Connection
from suite.cluster.settings import cluster_settings


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
