"""Encryption and identity by TLS certificates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Security


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
