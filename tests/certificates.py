"""Certificates for tests, signed by themselves or by an authority made for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

LIFE = timedelta(days=90)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self, *, passphrase: bytes | None = None) -> bytes:
        sealed = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed)


def made(
    *names: str,
    begins_at: datetime | None = None,
    life: timedelta = LIFE,
    by: Made | None = None,
    authority: bool = False,
) -> Made:
    """Make a certificate for DNS names and IP addresses, signed by itself unless `by` another."""
    key = ec.generate_private_key(ec.SECP256R1())
    begins_at = begins_at or datetime.now(UTC) - timedelta(hours=1)
    common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0] if names else "nobody")])
    signer = by.key if by else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(common)
        .issuer_name(by.certificate.subject if by else common)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins_at)
        .not_valid_after(begins_at + life)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if names and not authority:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general(name) for name in names]), critical=False
        )
    return Made(certificate=builder.sign(signer, hashes.SHA256()), key=key)


def write(folder: Path, found: Made, *, after: bytes = b"") -> tuple[Path, Path]:
    """Write server.pem and server.key, as who renews them does: aside, then in place."""
    files = (folder / "server.pem", folder / "server.key")
    for path, data in zip(files, (found.pem() + after, found.key_pem()), strict=True):
        aside = path.with_suffix(".new")
        aside.write_bytes(data)
        aside.replace(path)
    return files


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
