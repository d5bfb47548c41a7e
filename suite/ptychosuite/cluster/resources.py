"""Which run may go to which worker: runs ask for Dask resources that workers declare."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ptychosuite.backends.arrays import GPU_BACKENDS
from ptychosuite.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

GPU, CPU = "GPU", "CPU"


def resources_for(backend: str, offers: Collection[str]) -> dict[str, int]:
    """What a run asks of its worker.

    A GPU run asks for a GPU. A run on the CPU keeps off GPU workers where there are CPU workers beside them.

    Parameters
    ----------
    backend
        Backend of the run.
    offers
        Names of the resources that the cluster's workers declare.

    Raises
    ------
    ClusterError
        The run needs a GPU and no worker offers one.
    """
    if backend not in GPU_BACKENDS:
        return {CPU: 1} if CPU in offers and GPU in offers else {}
    if GPU not in offers:
        raise ClusterError(
            f"backend '{backend}' needs a GPU, and no worker of this cluster offers one; use --cluster cuda, "
            "'gpus: N' in the cluster file of a batch system, or workers started with --resources GPU=1"
        )
    return {GPU: 1}


def check_devices(backends: Collection[str], offers: Collection[str]) -> None:
    """Raise ClusterError, before anything runs, where a backend's device is missing."""
    for backend in sorted(backends):
        resources_for(backend, offers)


def may_have(backend: str, has: Collection[str], offers: Collection[str]) -> bool:
    """Whether a run may go to a worker that declares ``has``, in a cluster that declares ``offers``."""
    return all(name in has for name in resources_for(backend, offers))


def resources_by_worker(client: Client) -> dict[str, frozenset[str]]:
    """The workers that are up, by address, with the resources they declare.

    Raises
    ------
    OSError
        The scheduler does not answer.
    """
    workers = client.scheduler_info(n_workers=-1).get("workers")
    if workers is None:
        raise OSError("the scheduler does not answer")
    return {address: frozenset(worker["resources"]) for address, worker in workers.items()}


def offered(client: Client) -> frozenset[str]:
    """The resources declared by the workers that are up."""
    return frozenset(name for has in resources_by_worker(client).values() for name in has)
