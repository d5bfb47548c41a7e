"""Certificates for the tests of TLS: an authority, and one that it has signed."""

from __future__ import annotations

import datetime
from pathlib import Path


def certificates(folder: Path, name: str = "suite") -> tuple[Path, Path, Path]:
    """Write PEM files of an authority's certificate, a signed certificate and its key; return their paths."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    authority_key, own_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    today = datetime.datetime.now(datetime.UTC)

    def named(text: str):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def signed(subject: str, public_key, is_authority: bool):
        return (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(named(f"{name} authority"))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - datetime.timedelta(hours=1))
            .not_valid_after(today + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .sign(authority_key, hashes.SHA256())
        )

    folder.mkdir(exist_ok=True)
    files = (folder / f"{name}-ca.pem", folder / f"{name}.pem", folder / f"{name}-key.pem")
    files[0].write_bytes(_pem(signed(f"{name} authority", authority_key.public_key(), True)))
    files[1].write_bytes(_pem(signed(name, own_key.public_key(), False)))
    files[2].write_bytes(_private_pem(own_key))
    files[2].chmod(0o600)
    return files


def _pem(certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _private_pem(key) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
