"""A Dask scheduler that somebody else has started: by its address, or by its scheduler file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ptychosuite.cluster.connection import TLS, ClusterKind, Connection, dask_security
from ptychosuite.cluster.workers import count, offered
from ptychosuite.errors import ClusterError

ANSWER_S = 10.0


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
            workers = len(client.scheduler_info(n_workers=-1)["workers"])
            description = f"{count(workers, 'worker')} at {address}"
            yield Connection(client, description, client.dashboard_link, offered(client), workers)


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
