"""Start or reach a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from suite.errors import ClusterError, nearest

if TYPE_CHECKING:
    from distributed import Client

KINDS = ("none", "local")
ONE_THREAD = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
}


@dataclass(frozen=True)
class Connection:
    """A cluster that is up; without one (``--cluster none``) the client is None."""

    client: Client | None
    description: str
    dashboard: str = ""


@contextmanager
def connect(kind: str, workers: int | None = None) -> Iterator[Connection]:
    """Connect to a cluster and take it down again at the end.

    Parameters
    ----------
    kind
        "none" (this process), "local" (worker processes on this machine, one thread each), or the address
        of a running scheduler, ``tcp://host:port`` or ``tls://host:port``.
    workers
        Number of local workers; by default one for each core this process may use.

    Raises
    ------
    ClusterError
        Unknown kind, or nothing answers.
    """
    check_kind(kind)
    if kind == "none":
        yield Connection(None, "this process")
    elif kind == "local":
        with _local(workers or usable_cores()) as connection:
            yield connection
    else:
        with _address(kind) as connection:
            yield connection


def check_kind(kind: str) -> None:
    """Raise ClusterError where ``kind`` is no kind of cluster."""
    if kind not in KINDS and not kind.startswith(("tcp://", "tls://")):
        raise ClusterError(
            f"unknown cluster '{kind}'; {nearest(kind, KINDS)}, or the address tcp://HOST:PORT"
        )


def usable_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _local(workers: int) -> Iterator[Connection]:
    import dask
    from distributed import Client, LocalCluster
    from distributed.utils import get_mp_context

    settings = {
        "distributed.nanny.pre-spawn-environ": ONE_THREAD,  # before NumPy is imported, or it is too late
        "distributed.scheduler.allowed-failures": 0,  # we look for the reason before we try again
        "distributed.deploy.lost-worker-timeout": "5s",  # then a worker is replaced
        "distributed.worker.multiprocessing-method": "forkserver",  # packages are imported once
        "distributed.worker.preload": ["suite.cluster.preload"],
        "distributed.worker.memory.target": False,  # nothing worth spilling stays on a worker
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,  # a worker that is full is ended, not left waiting
    }
    with dask.config.set(settings):
        get_mp_context().set_forkserver_preload(["distributed", "suite.cluster.work"])
        try:
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs="ERROR",
            )
        except (OSError, RuntimeError, TimeoutError) as error:
            raise ClusterError(f"the local cluster did not start: {error}; try --cluster none") from error
        with cluster, Client(cluster) as client:
            description = f"{workers} local worker{'s' if workers > 1 else ''}, one thread each"
            yield Connection(client, description, client.dashboard_link)


@contextmanager
def _address(address: str) -> Iterator[Connection]:
    from distributed import Client

    try:
        client = Client(address, timeout="10s")
    except (OSError, TimeoutError, ValueError) as error:
        raise ClusterError(f"no Dask scheduler answers at {address}: {error}") from error
    with client:
        count = len(client.scheduler_info(n_workers=-1)["workers"])
        yield Connection(client, f"{count} workers at {address}", client.dashboard_link)
