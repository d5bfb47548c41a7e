"""No cluster: runs are carried out in this process, one after another.

Worker processes on this machine, one thread each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from annotated_types import Ge

from ptychosuite.cluster.connection import TLS, ClusterKind, Connection, at_most_one, dask_security
from ptychosuite.cluster.workers import (
    CPU,
    DASK_CONFIG,
    GPU,
    LOGS,
    LOOPBACK,
    binding,
    count,
    ctrl_c_held_back,
    dashboard_link,
    start_forkserver,
    usable_cores,
)
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
        Certificates for TLS.
    """

    host: str | None = None
    interface: str | None = None
    security: TLS | None = None

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
            with ctrl_c_held_back():
                cluster = stack.enter_context(self._start(workers))
                client = stack.enter_context(Client(cluster))
            description = f"{count(workers, 'local worker')}, one thread each"
            yield Connection(client, description, dashboard_link(client), frozenset({CPU}), workers)

    def _start(self, workers: int) -> Any:
        from distributed import LocalCluster

        try:
            return LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                resources={CPU: 1},
                dashboard_address=f"{LOOPBACK}:0",
                silence_logs=LOGS,
                security=dask_security(self.security),
                **binding(self.host, self.interface),
            )
        except (OSError, RuntimeError, TimeoutError, ValueError) as error:
            raise ClusterError(f"the local cluster did not start: {error}; try --cluster none") from error
