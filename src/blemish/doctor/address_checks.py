"""Checks of the address: a server that runs, the port, the certificate, and proxies."""

from __future__ import annotations

import errno
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from blemish.doctor.report import Finding, Level
from blemish.server.addresses import AddressError
from blemish.server.announcement import proxy_advice
from blemish.server.listener import CONSOLE_REMEDY, bind, bind_console
from blemish.server.tls import CertificateError, read_certificate
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory

PATIENCE_S = 5.0
_CERTIFICATE = "certificate"
_PORT = "port"
_SERVER = "server"
_RENEW = "Renew it; the server reads the new files without a restart."
_OUT_OF_TIME = (9, 10)
"""OpenSSL's codes for a certificate that is not yet valid, or no longer."""


def address_findings(
    settings: Settings,
    directory: DataDirectory,
    *,
    environment: Mapping[str, str],
    now: datetime,
) -> Iterator[Finding]:
    """Yield whether a server runs here or could, and whether clients reach it."""
    endpoint = running_endpoint(directory)
    if endpoint is None:
        message = f"No server runs on {directory.root}."
        yield Finding(topic=_SERVER, level=Level.NOTE, message=message)
        yield _port(settings)
    else:
        yield from server_findings(endpoint, authorities=directory.aws / "ca.pem")
    if settings.tls_cert and settings.tls_key:
        yield _certificate(settings.tls_cert, settings.tls_key, now)
    address = endpoint or f"http://{settings.host}:{settings.port}"
    if advice := proxy_advice(address, environment):
        yield Finding(
            topic="proxies",
            level=Level.WARNING,
            message=advice[0].partition(". ")[0] + ".",
            remedy=f"For clients, set: {advice[1]}",
        )


def running_endpoint(directory: DataDirectory, *, proc: Path = Path("/proc")) -> str | None:
    """Return the address of the server that runs on a data directory, without disturbing it.

    Taking the lock of the directory, even for a moment, could end a server that just starts.
    The kernel lists the locks that are held.
    """
    try:
        inode = directory.lock_file.stat().st_ino
        locks = (proc / "locks").read_text()
        config = (directory.aws / "config").read_text()
    except OSError:
        return None
    if not re.search(rf"FLOCK .*:{inode} ", locks):
        return None
    endpoint = re.search(r"endpoint_url = (\S+)", config)
    return endpoint[1] if endpoint else None


def server_findings(endpoint: str, *, authorities: Path) -> Iterator[Finding]:
    """Yield what a running server answers to /readyz, and whether clients accept its certificate.

    The address is that of the data directory, and the request holds no secret, so the server is
    asked whoever signed its certificate.

    Args:
        endpoint: address of the server.
        authorities: the certificates that clients are told to trust, if that file exists.
    """
    trust = ssl.create_default_context(cafile=str(authorities) if authorities.exists() else None)
    try:
        try:
            document = _readiness(endpoint, trust)
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ssl.SSLCertVerificationError):
                raise
            yield _refused_certificate(endpoint, error.reason)
            trust.check_hostname = False
            trust.verify_mode = ssl.CERT_NONE
            document = _readiness(endpoint, trust)
    except (OSError, ValueError) as error:
        yield Finding(
            topic=_SERVER,
            level=Level.PROBLEM,
            message=f"A server has the data directory, but {endpoint} does not answer: {error}",
            remedy="Look into its log. It may be starting; restart it if this does not change.",
        )
        return
    problems = {name: state for name, state in document.get("checks", {}).items() if state != "ok"}
    if document.get("ready"):
        message = f"A server runs at {endpoint} and is ready."
        yield Finding(topic=_SERVER, level=Level.OK, message=message)
    for name, state in problems.items() or [("ready", "no")] * (not document.get("ready")):
        yield Finding(
            topic=_SERVER,
            level=Level.PROBLEM,
            message=f"The server at {endpoint} is not ready: {name}: {state}",
            remedy="Look into its log: docs/guide/monitoring.md",
        )


def _readiness(endpoint: str, context: ssl.SSLContext) -> dict[str, Any]:
    """Return the document of /readyz, whatever its status."""
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(f"{endpoint}/readyz", timeout=PATIENCE_S) as answer:
            document: dict[str, Any] = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            document = json.loads(error.read() or b"{}")
    return document


def _refused_certificate(endpoint: str, error: ssl.SSLCertVerificationError) -> Finding:
    return Finding(
        topic=_CERTIFICATE,
        level=Level.WARNING,
        message=f"Clients with the config of this data directory refuse the certificate of "
        f"{endpoint}: {error.verify_message}.",
        remedy=_RENEW
        if error.verify_code in _OUT_OF_TIME
        else "If an authority of your own signed it, append the authority's root certificate to "
        "the file of --tls-cert, or set ca_bundle in the config of clients: docs/guide/serve.md",
    )


def _port(settings: Settings) -> Finding:
    address = f"{settings.host}:{settings.port}"
    try:
        with bind(settings):
            if console := bind_console(settings):
                console.close()
    except AddressError as error:
        cause = error.__cause__
        number = cause.errno if isinstance(cause, OSError) else None
        remedy = {
            errno.EADDRINUSE: "Stop the program that listens there, or use another --port.",
            errno.EACCES: "Use a port from 1024 on, or give the server CAP_NET_BIND_SERVICE.",
            errno.EADDRNOTAVAIL: "Use an address that this machine has; 0.0.0.0 takes all of them.",
        }.get(number or 0, "Use another --host or --port.")
        message = str(error)
        if message.endswith(CONSOLE_REMEDY):
            message, remedy = message.removesuffix(CONSOLE_REMEDY).rstrip(), CONSOLE_REMEDY
        return Finding(topic=_PORT, level=Level.PROBLEM, message=message, remedy=remedy)
    except ValueError as error:
        message, _, remedy = str(error).partition(". ")
        return Finding(
            topic=_PORT, level=Level.PROBLEM, message=f"{message.rstrip('.')}.", remedy=remedy
        )
    return Finding(topic=_PORT, level=Level.OK, message=f"{address} can be listened on.")


def _certificate(certificate: Path, key: Path, now: datetime) -> Finding:
    try:
        trouble = read_certificate(certificate, key).trouble(now)
    except CertificateError as error:
        return Finding(
            topic=_CERTIFICATE,
            level=Level.PROBLEM,
            message=str(error),
            remedy="Correct --tls-cert and --tls-key: docs/guide/serve.md",
        )
    if trouble:
        return Finding(
            topic=_CERTIFICATE,
            level=Level.WARNING,
            message=trouble,
            remedy=_RENEW,
        )
    return Finding(topic=_CERTIFICATE, level=Level.OK, message=f"{certificate} is valid.")
