"""The certificate that the server shows: read from two files, and again when they are renewed.

A certificate is renewed every few months, on a server that runs for years. Whoever renews it writes
the two files anew; they are looked at every few seconds, and every connection that is made from
then on is greeted with the new one. One that cannot be used changes nothing.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding
from structlog.typing import FilteringBoundLogger

logger: FilteringBoundLogger = structlog.get_logger(__name__)

LOOK_S = 5.0
"""How often the files are looked at."""

SHORT_LIFE = timedelta(days=14)
"""From so long before its end on, a certificate is warned of."""

WARN_EVERY = timedelta(days=1)


class CertificateError(ValueError):
    """The files of `--tls-cert` and `--tls-key` cannot be used; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A certificate with its key, ready to be shown."""

    context: ssl.SSLContext = field(repr=False)
    #: DNS names and IP addresses that it is for, as it says them
    names: tuple[str, ...]
    begins_at: datetime
    expires_at: datetime
    #: PEM of those in the file that nobody else signed: what a client has to trust; or empty
    authorities: bytes = field(repr=False)

    def name_for(self, host: str) -> str:
        """Return the name under which clients are to look for a server that listens on `host`."""
        wildcard = f"*.{host.partition('.')[2]}"
        names = {name.lower() for name in self.names}
        if host.lower() in names or ("." in host and wildcard.lower() in names):
            return host
        return next((name for name in self.names if not name.startswith("*")), host)

    def trouble(self, now: datetime) -> str | None:
        """Say what is wrong with the time of the certificate; None while there is nothing."""
        if now < self.begins_at:
            return f"is valid only from {self.begins_at:%Y-%m-%d %H:%M} UTC on"
        if now >= self.expires_at:
            return f"expired on {self.expires_at:%Y-%m-%d %H:%M} UTC, and clients refuse it"
        if self.expires_at - now < SHORT_LIFE:
            return f"expires on {self.expires_at:%Y-%m-%d %H:%M} UTC"
        return None


def read_certificate(certificate: Path, key: Path) -> Certificate:
    """Read a certificate, with those that vouch for it after it, and its key; both are PEM.

    Raises:
        CertificateError: a file is missing, cannot be read or used, or one is not of the other.
    """
    data = _read(certificate, "--tls-cert")
    try:
        chain = x509.load_pem_x509_certificates(data)
    except ValueError:
        raise CertificateError(
            f"--tls-cert {certificate} holds no certificate that can be read; it must be a PEM "
            "file, with the server's certificate first."
        ) from None
    names = _names(chain[0])
    if not names:
        raise CertificateError(
            f"--tls-cert {certificate} names no server: no client accepts a certificate without "
            "a subject alternative name."
        )
    _read(key, "--tls-key")
    return Certificate(
        context=_context(certificate, key),
        names=names,
        begins_at=max(member.not_valid_before_utc for member in chain),
        expires_at=min(member.not_valid_after_utc for member in chain),
        authorities=b"".join(
            member.public_bytes(Encoding.PEM) for member in chain if _is_root(member)
        ),
    )


class RenewedCertificate:
    """Two files, and the certificate that they hold now."""

    def __init__(self, certificate: Path, key: Path, *, now: Callable[[], datetime]) -> None:
        """Read the files.

        Raises:
            CertificateError: what `read_certificate` raises.
        """
        self._files = (certificate, key)
        self._now = now
        self._last_state = self._state()
        self.current = read_certificate(*self._files)
        self._warned_at: datetime | None = None
        #: for a server: greets each connection with the certificate of the moment
        self.context = self.current.context
        self.context.sni_callback = self._greet

    def look(self) -> bool:
        """Read the files again if they changed, and tell whether the certificate is another."""
        self._warn()
        state = self._state()
        if state == self._last_state:
            return False
        self._last_state = state
        try:
            self.current = read_certificate(*self._files)
        except CertificateError as error:
            logger.error("certificate not renewed, the old one is used on", reason=str(error))
            return False
        logger.info("certificate renewed", expires_at=self.current.expires_at.isoformat())
        self._warned_at = None
        self._warn()
        return True

    @contextmanager
    def looked_at(self, *, renewed: Callable[[], None], every_s: float = LOOK_S) -> Iterator[None]:
        """Look at the files again and again until the context ends.

        Args:
            renewed: called after each renewal, on a thread of its own.
            every_s: how often.
        """
        stopping = threading.Event()

        def loop() -> None:
            while not stopping.wait(every_s):
                try:
                    if self.look():
                        renewed()
                except Exception:
                    logger.exception("the certificate could not be looked at")

        self._warn()
        thread = threading.Thread(target=loop, name="certificate", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()

    def _greet(self, connection: ssl.SSLObject, _name: str | None, _context: object) -> None:
        # called in every handshake, whether the client names a server or not
        connection.context = self.current.context

    def _warn(self) -> None:
        now = self._now()
        trouble = self.current.trouble(now)
        if trouble and (self._warned_at is None or now - self._warned_at >= WARN_EVERY):
            logger.warning("certificate in trouble", file=str(self._files[0]), trouble=trouble)
            self._warned_at = now

    def _state(self) -> list[tuple[int, ...] | None]:
        """Return what changes when a file does: also when a link leads to another one."""
        return [_state(path) for path in self._files]


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"{option} {path} cannot be read ({error.strerror}).") from None


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2

    def no_passphrase() -> str:
        raise CertificateError(
            f"--tls-key {key} is encrypted. The server starts with nobody there to type a "
            "passphrase: give it the key without one, in a file that it alone can read."
        )

    try:
        context.load_cert_chain(certificate, key, password=no_passphrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CertificateError(
                f"--tls-key {key} is not the key of --tls-cert {certificate}."
            ) from None
        raise CertificateError(
            f"--tls-key {key} and --tls-cert {certificate} cannot be used ({error.reason or error})"
            ": both must be PEM files, the key without a passphrase."
        ) from None
    return context


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = names.get_values_for_type(x509.IPAddress)
    return (*names.get_values_for_type(x509.DNSName), *map(str, addresses))


def _is_root(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
