"""Any cluster class that can be imported: Kubernetes, cloud providers, a site's own."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Ge

from ptychosuite.cluster.connection import (
    TLS,
    Adapt,
    ClusterKind,
    Connection,
    Demand,
    adapt_to,
    at_most_one,
    dask_security,
)
from ptychosuite.cluster.workers import DASK_CONFIG, count, offered
from ptychosuite.errors import ClusterError


@dataclass(frozen=True)
class Importable(ClusterKind):
    """A subclass of Dask's ``Cluster``.

    Parameters
    ----------
    cluster
        ``package.module:Class``.
    options
        Its keyword arguments.
    workers, adapt
        Scale to so many workers, or between two numbers of them, at least one; by default the class decides.
    security
        Certificates for TLS, as the class's argument ``security``.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    workers: Annotated[int, Ge(1)] | None = None
    adapt: Adapt | None = None
    security: TLS | None = None

    def __post_init__(self) -> None:
        at_most_one(workers=self.workers, adapt=self.adapt)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        import dask
        from distributed import Client

        with dask.config.set(DASK_CONFIG), self._start() as cluster, Client(cluster) as client:
            demand = Demand()
            most = self._scale(cluster, demand)
            client.wait_for_workers(1)  # what the workers offer is known from the first one
            workers = most or len(client.scheduler_info(n_workers=-1)["workers"])
            description = f"{count(workers, 'worker')} of {self.cluster}"
            yield Connection(client, description, client.dashboard_link, offered(client), workers, demand)

    def _start(self) -> Any:
        cluster_class = _cluster_class(self.cluster)
        security = dask_security(self.security)
        options = {**self.options, "security": security} if security else self.options
        try:
            return cluster_class(**options)
        except Exception as error:  # other people's class: it may raise anything
            raise ClusterError(f"{self.cluster} did not start: {type(error).__name__}: {error}") from error

    def _scale(self, cluster: Any, demand: Demand) -> int | None:
        """Ask for workers; the number there will be at most, None where the class decides."""
        if self.adapt is None:
            if self.workers is not None:
                cluster.scale(self.workers)
            return self.workers
        at_least = max(1, self.adapt.minimum)
        cluster.scale(at_least)
        adapt_to(cluster, demand, minimum=at_least, maximum=self.adapt.maximum)
        return self.adapt.maximum


def _cluster_class(path: str) -> type[Any]:
    from distributed.deploy import Cluster

    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ClusterError(f"cluster class {path} cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Cluster)):
        raise ClusterError(f"{path} is no Dask cluster; expected a subclass of distributed.deploy.Cluster")
    return found
