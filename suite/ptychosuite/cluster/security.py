"""Who may take part in a cluster: who has the user's certificates, throw-away ones, or whoever comes.

Whoever reaches a Dask scheduler, worker or nanny has it run code: on loopback, every user of the machine.
"""

from __future__ import annotations

import datetime
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ptychosuite.errors import ClusterError
from ptychosuite.store.place import process_has_ended, this_process

if TYPE_CHECKING:
    from distributed import Security

VALID = datetime.timedelta(days=365)
CLOCKS_APART = datetime.timedelta(days=1)  # between this machine and nodes, at most
KEY_FOLDERS = "tls-"


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


Protection = TLS | Literal[False] | None  # False: off; None: a certificate that is thrown away at the end


@dataclass(frozen=True)
class KeyPair:
    """A certificate that is its own authority, and its private key, as PEM text."""

    certificate: str
    key: str


def new_key_pair() -> KeyPair:
    """A new certificate; who has its key belongs to the cluster.

    It is made on an elliptic curve, within a millisecond; the RSA keys of Dask's own ``Security.temporary``
    take a hundred times as long.

    Raises
    ------
    ClusterError
        The package cryptography is missing.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise ClusterError(
            f"a cluster's certificates need cryptography, which cannot be imported ({error}); pip install "
            "cryptography, or write 'security: off' in a cluster file, where nobody else can reach the ports"
        ) from error
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ptychosuite")])
    today = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - CLOCKS_APART)
        .not_valid_after(today + VALID)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return KeyPair(certificate.public_bytes(pem).decode(), private.decode())


def dask_security(tls: TLS | None) -> Security | None:
    """Dask's form of ``tls``; None leaves it to Dask's own configuration."""
    return None if tls is None else _security(tls.ca_file, tls.cert, tls.key)


def security_here(protection: Protection) -> Security | None:
    """Dask's form of what protects a cluster on this machine; throw-away keys stay in memory.

    They reach workers through the pipe by which these are started.
    """
    if protection is False:
        return None
    if protection is not None:
        return dask_security(protection)
    made = new_key_pair()
    return _security(made.certificate, made.certificate, made.key)


@contextmanager
def security_elsewhere(protection: Protection, folder: Path) -> Iterator[Security | None]:
    """Dask's form of what protects a cluster of several machines.

    Throw-away keys lie below ``folder``, which all of them see, in one that only the user may enter; it is
    gone at the end.
    """
    if protection is not None:
        yield security_here(protection)
        return
    made = new_key_pair()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        own = Path(tempfile.mkdtemp(prefix=f"{KEY_FOLDERS}{this_process()}-", dir=folder))  # the user's
    except OSError as error:
        raise ClusterError(
            f"certificates for the nodes cannot be written below {folder}: {error.strerror}; name another "
            "shared folder as 'shared-temp-directory' in ~/.config/dask/jobqueue.yaml"
        ) from error
    try:
        certificate, key = own / "certificate.pem", own / "key.pem"
        certificate.write_text(made.certificate, encoding="ascii")
        key.touch(mode=0o600)
        key.write_text(made.key, encoding="ascii")
        yield dask_security(TLS(str(certificate), str(certificate), str(key)))
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    """Remove what is left of sweeps on this machine that were killed outright."""
    for old in folder.glob(f"{KEY_FOLDERS}*"):
        if process_has_ended(old.name, KEY_FOLDERS):
            shutil.rmtree(old, ignore_errors=True)


def _security(authority: str, certificate: str, key: str) -> Security:
    """One certificate for every role; each is a path or PEM text. Both sides of a connection must show it."""
    from distributed import Security

    roles = ("client", "scheduler", "worker")
    certificates = {f"tls_{role}_cert": certificate for role in roles}
    keys = {f"tls_{role}_key": key for role in roles}
    return Security(require_encryption=True, tls_ca_file=authority, **certificates, **keys)
