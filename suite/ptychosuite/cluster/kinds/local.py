"""No cluster: runs are carried out in this process, one after another.

Worker processes on this machine, one thread each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge

from ptychosuite.cluster.connection import ClusterKind, Connection, at_most_one
from ptychosuite.cluster.security import Protection, security_here
from ptychosuite.cluster.workers import (
    CPU,
    DASK_CONFIG,
    GPU,
    LOGS,
    binding,
    ctrl_c_held_back,
    dashboard_link,
    scheduler_options,
    scheduler_pages,
    start_forkserver,
    usable_cores,
)
from ptychosuite.core.counting import count
from ptychosuite.errors import ClusterError


@dataclass(frozen=True)
class ThisProcess(ClusterKind):
    """This process, with the devices it sees."""

    on_this_machine: ClassVar[bool] = True

    @property
    def processes_here(self) -> int:
        return 1

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        yield Connection(None, "this process", offers=frozenset({CPU, GPU}))


@dataclass(frozen=True)
class WorkersHere(ClusterKind):
    """Base of the clusters of worker processes on this machine.

    Parameters
    ----------
    host, interface
        Where scheduler and workers listen, one or the other; by default on loopback.
    security
        Certificates for TLS; by default one that is made for this cluster. False, ``off`` in YAML, lets in
        whoever comes.
    dashboard
        Whether Dask's dashboard is there, on loopback, for every user of this machine to read.
    """

    host: str | None = None
    interface: str | None = None
    security: Protection = None
    dashboard: bool = False

    on_this_machine: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_most_one(host=self.host, interface=self.interface)


@dataclass(frozen=True)
class Local(WorkersHere):
    """Dask's LocalCluster.

    Parameters
    ----------
    workers
        By default one for each core this process may use.
    """

    workers: Annotated[int, Ge(1)] | None = None

    @property
    def processes_here(self) -> int:
        return self.workers or usable_cores()

    def prepare(self) -> None:
        start_forkserver()

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        import dask
        from distributed import Client

        self.prepare()
        workers = self.processes_here
        with dask.config.set(DASK_CONFIG), ExitStack() as stack:
            with ctrl_c_held_back(), dask.config.set(scheduler_pages(self.dashboard)):
                cluster = stack.enter_context(self._start(workers))
                client = stack.enter_context(Client(cluster))
            description = f"{count(workers, 'local worker')}, one thread each"
            link = dashboard_link(client, self.dashboard)
            yield Connection(client, description, link, frozenset({CPU}), workers)

    def _start(self, workers: int) -> Any:
        from distributed import LocalCluster

        try:
            return LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                resources={CPU: 1},
                scheduler_kwargs=scheduler_options(self.dashboard),
                silence_logs=LOGS,
                security=security_here(self.security),
                **binding(self.host, self.interface),
            )
        except (OSError, RuntimeError, TimeoutError, ValueError) as error:
            raise ClusterError(f"the local cluster did not start: {error}; try --cluster none") from error
