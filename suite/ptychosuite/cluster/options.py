"""How many workers a cluster gets, and when.

Encryption and identity by TLS certificates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from ptychosuite.registry.validation import SettingError

if TYPE_CHECKING:
    from distributed import Security


IDLE_CHECK = {"interval": "5s", "wait_count": 12}  # what has been idle for a minute is given back


@dataclass(frozen=True)
class Adapt:
    """Grow and shrink with the work that is left.

    Parameters
    ----------
    minimum, maximum
        Jobs of a batch system; workers of any other cluster.
    """

    maximum: Annotated[int, Ge(1)]
    minimum: Annotated[int, Ge(0)] = 0

    def __post_init__(self) -> None:
        if self.minimum > self.maximum:
            raise SettingError(("adapt",), f"found minimum {self.minimum} above maximum {self.maximum}")


@dataclass
class Demand:
    """How many workers a sweep could use now; the sweep keeps it up to date."""

    workers: int = 0


def adapt_to(cluster: Any, demand: Demand, **limits: Any) -> None:
    """Let Dask's adaptive scaling follow ``demand``: the runs that wait are ours, not the scheduler's."""
    from distributed.deploy import Adaptive

    class Following(Adaptive):  # type: ignore[misc]
        async def target(self) -> int:
            return demand.workers

    cluster.adapt(Adaptive=Following, **limits, **IDLE_CHECK)


@dataclass(frozen=True)
class TLS:
    """Certificates: scheduler, workers and client talk only to what the same authority has signed.

    Parameters
    ----------
    ca_file
        PEM file with the certificate of the authority.
    cert, key
        PEM files with the certificate and private key that scheduler, workers and client show.
    """

    ca_file: str
    cert: str
    key: str


def dask_security(tls: TLS | None) -> Security | None:
    """Dask's form of ``tls``; None leaves it to Dask's own configuration."""
    if tls is None:
        return None
    from distributed import Security

    roles = ("client", "scheduler", "worker")
    certificates = {f"tls_{role}_cert": tls.cert for role in roles}
    keys = {f"tls_{role}_key": tls.key for role in roles}
    return Security(require_encryption=True, tls_ca_file=tls.ca_file, **certificates, **keys)
