"""The GPUs of this machine, one worker each, and CPU workers beside them.

A worker may hold a pool of GPU memory for CuPy, through RMM. torch keeps its own: with another's it can
neither count memory nor record work (:mod:`ptychosuite.backends.recorded`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import takewhile
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from ptychosuite.cluster.connection import Connection
from ptychosuite.cluster.gpus import Gpu, gpus_here, names_a_gpu
from ptychosuite.cluster.kinds.local import WorkersHere
from ptychosuite.cluster.security import security_here
from ptychosuite.cluster.workers import (
    CPU,
    DASK_CONFIG,
    GPU,
    LOGS,
    PRELOAD,
    binding,
    ctrl_c_held_back,
    dashboard_link,
    scheduler_options,
    scheduler_pages,
    usable_cores,
)
from ptychosuite.core.counting import count
from ptychosuite.errors import ClusterError


def check_rmm() -> None:
    """Raise ClusterError where RMM is not installed."""
    if find_spec("rmm") is None:
        raise ClusterError(
            "a pool of GPU memory needs RMM, which is not installed; pip install 'ptychosuite[gpu]', "
            "or leave rmm_pool out of the cluster file"
        )


INSTALL = "pip install 'ptychosuite[gpu]'"


@dataclass(frozen=True)
class Cuda(WorkersHere):
    """dask-cuda's LocalCUDACluster with CPU workers added, so that a study may have runs of both kinds.

    Parameters
    ----------
    workers
        CPU workers; by default one for each core that the GPU workers leave.
    gpus
        The GPUs to use, by index or UUID ("GPU-...", of a part of a GPU "MIG-..."); by default all that
        CUDA_VISIBLE_DEVICES shows, or where it is not set all that are here, with the parts of divided ones.
    rmm_pool
        Part of each GPU's memory that is one pool for CuPy from the start, by RMM; it grows. By default
        (null) CuPy takes what it needs, as torch does.
    """

    workers: Annotated[int, Ge(0)] | None = None
    gpus: list[Gpu] | None = None
    rmm_pool: Annotated[float, Gt(0), Le(1)] | None = None

    @property
    def processes_here(self) -> int:
        return usable_cores() if self.workers is None else self.workers + len(self.gpus or [0])

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        import dask
        from distributed import Client

        gpus = self.gpus if self.gpus is not None else visible_gpus()
        workers = max(1, usable_cores() - len(gpus)) if self.workers is None else self.workers
        shared = self._shared_options()
        with dask.config.set(DASK_CONFIG), ExitStack() as stack:
            with ctrl_c_held_back(), dask.config.set(scheduler_pages(self.dashboard)):
                cluster = stack.enter_context(self._start(gpus, shared))
                client = stack.enter_context(Client(cluster))
            add_cpu_workers(cluster, workers, shared)
            client.wait_for_workers(len(gpus) + workers)
            description = f"{count(len(gpus), 'GPU worker')} and {count(workers, 'CPU worker')}"
            offers = frozenset({GPU, CPU} if workers else {GPU})
            link = dashboard_link(client, self.dashboard)
            yield Connection(client, description, link, offers, len(gpus) + workers)

    def _shared_options(self) -> dict[str, Any]:
        """What GPU workers and CPU workers have in common."""
        security = security_here(self.security)
        protocol = {"protocol": "tls://"} if security else {}
        return {**binding(self.host, self.interface), "security": security, **protocol, "preload": [PRELOAD]}

    def _start(self, gpus: list[Any], shared: dict[str, Any]) -> Any:
        cluster_class = _cuda_cluster_class()
        pool: dict[str, Any] = {}
        if self.rmm_pool is not None:
            check_rmm()
            pool = {"rmm_pool_size": self.rmm_pool, "rmm_allocator_external_lib_list": ["cupy"]}
        try:
            return cluster_class(
                CUDA_VISIBLE_DEVICES=gpus,
                threads_per_worker=1,
                resources={GPU: 1},
                memory_limit=None,  # together with the next: no spilling, which would disturb the times
                device_memory_limit=None,
                scheduler_kwargs=scheduler_options(self.dashboard),
                silence_logs=LOGS,
                **pool,
                **shared,
            )
        except Exception as error:  # NVML, CUDA and RMM each raise their own
            raise ClusterError(
                f"the GPU cluster did not start: {type(error).__name__}: {error}; see ptychosuite doctor"
            ) from error


def visible_gpus() -> list[Any]:
    """The GPUs this process may use, by index or UUID; of one that is divided, its parts.

    Raises
    ------
    ClusterError
        dask-cuda is missing, or there is no GPU.
    """
    _cuda_cluster_class()
    from dask_cuda.utils import parse_cuda_visible_device

    try:
        named = os.environ.get("CUDA_VISIBLE_DEVICES")
        found = gpus_here() if named is None else [*takewhile(names_a_gpu, named.split(","))]
    except Exception as error:  # NVML raises one class for each of its codes
        raise ClusterError(
            f"--cluster cuda found no GPU on this machine ({error}); use --cluster local, or a GPU's machine"
        ) from error
    if not found:
        raise ClusterError(
            "--cluster cuda found no GPU: there is none, or CUDA_VISIBLE_DEVICES hides them; "
            "use --cluster local"
        )
    return [parse_cuda_visible_device(gpu) for gpu in found]


def add_cpu_workers(cluster: Any, number: int, options: dict[str, Any]) -> None:
    """Add workers that see no GPU and offer the resource CPU to a cluster of GPU workers."""
    from distributed import Nanny

    options = {
        **options, "nthreads": 1, "resources": {CPU: 1}, "memory_limit": None, "dashboard": False,
        "env": {"CUDA_VISIBLE_DEVICES": ""}, "silence_logs": LOGS,
    }  # fmt: skip
    cluster.worker_spec.update({f"cpu-{i}": {"cls": Nanny, "options": options} for i in range(number)})
    cluster.scale(len(cluster.worker_spec))


def _cuda_cluster_class() -> type[Any]:
    try:
        from dask_cuda import LocalCUDACluster
    except ImportError as error:
        raise ClusterError(
            f"--cluster cuda needs dask-cuda, which cannot be imported ({error}); {INSTALL}, "
            "or use --cluster local"
        ) from error
    found: type[Any] = LocalCUDACluster
    return found
