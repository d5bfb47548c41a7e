"""Clusters that others bring: a running Dask scheduler, or any cluster class that can be imported."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urljoin
from urllib.request import ProxyHandler, build_opener

from annotated_types import Ge

from ptychosuite.cluster.connection import Adapt, ClusterKind, Connection, Demand, adapt_to, at_most_one
from ptychosuite.cluster.security import TLS, dask_security
from ptychosuite.cluster.workers import DASK_CONFIG, offered, workers_up
from ptychosuite.core.counting import count
from ptychosuite.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client


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
            self._await_first_worker(client)
            workers = most or len(workers_up(client))
            description = f"{count(workers, 'worker')} of {self.cluster}"
            link = dashboard_that_answers(client)
            yield Connection(client, description, link, offered(client), workers, demand)

    def _await_first_worker(self, client: Client) -> None:
        """What the workers offer is known from the first one."""
        try:
            client.wait_for_workers(1, timeout=self.wait_for_workers_s)
        except TimeoutError as error:
            raise ClusterError(
                f"{self.cluster} has started no worker within {self.wait_for_workers_s:g} s; see what "
                "it says of them, or wait longer with --wait-for-workers"
            ) from error

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


ANSWER_S = 10.0
DASHBOARD_ANSWER_S = 1.0


def dashboard_that_answers(client: Client) -> str:
    """Address of the dashboard of somebody else's scheduler; empty where none is to be seen from here.

    Dask names a port even where nothing but its bare pages is behind it: without Bokeh, or switched off.
    An address that Dask's configuration makes another one of, behind a gateway, is left as it is.
    """
    link = str(client.dashboard_link)
    if not link.startswith("http://"):
        return link
    direct = build_opener(ProxyHandler({}))
    try:
        with direct.open(urljoin(link, "individual-plots.json"), timeout=DASHBOARD_ANSWER_S) as answer:
            return link if json.load(answer) else ""
    except (OSError, ValueError):
        return ""


@dataclass(frozen=True)
class Running(ClusterKind):
    """A running scheduler; it and its workers are left as they are.

    Parameters
    ----------
    cluster
        ``tcp://host:port``, ``tls://host:port``, or a file that ``dask scheduler --scheduler-file`` wrote.
    security
        Certificates for TLS; by default those of Dask's configuration.
    """

    security: TLS | None = None

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        from distributed import Client

        address = _address_in(Path(self.cluster)) if self.cluster.endswith(".json") else self.cluster
        try:
            client = Client(address, timeout=ANSWER_S, security=dask_security(self.security))
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterError(f"no Dask scheduler answers at {address}: {error}") from error
        except (TypeError, RuntimeError) as error:  # Dask's words for an address and certificates at odds
            raise ClusterError(
                f"{address} and the certificates do not go together: {error}; tls:// needs 'security: "
                "{ca_file: ..., cert: ..., key: ...}' in a cluster file, and tcp:// none"
            ) from error
        with client:
            workers = len(workers_up(client))
            description = f"{count(workers, 'worker')} at {address}"
            yield Connection(client, description, dashboard_that_answers(client), offered(client), workers)


def _address_in(file: Path) -> str:
    """The address in a Dask scheduler file: JSON, of which nothing else is read."""
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["address"])
    except OSError as error:
        raise ClusterError(
            f"cannot read the scheduler file {file}: {error.strerror}; start the scheduler with: "
            f"dask scheduler --scheduler-file {file}"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterError(f"{file} is no Dask scheduler file: expected JSON with an 'address'") from error
