"""`blemish serve`: the API on a port, until it is told to end."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn

import uvicorn

from blemish.engine.graph.sessions import ProviderError, check_providers
from blemish.logs import configure_logs
from blemish.server.addresses import AddressError, is_loopback, leads_to
from blemish.server.app import Server, running_server
from blemish.server.aws_files import PROFILE, AwsFiles, settle_first_key
from blemish.server.http_protocol import LimitedProtocol
from blemish.server.notify import tell_ready
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory

if TYPE_CHECKING:
    from types import FrameType

    from blemish.server.tls import Certificate, RenewedCertificate

GRACE_S = 10
"""How long requests under way may take once the server is told to end."""

CONSOLE = "/console"
"""Path of the pages for people."""

BACKLOG = 2048
"""Connections that wait to be accepted."""


INSECURE = (
    "{host}: other machines could read images, answers and data on their way. Give the server a "
    "certificate by --tls-cert and --tls-key; or --insecure, if something in front of it speaks "
    "TLS or the network is trusted. The default, 127.0.0.1, is reached from this machine alone."
)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        AddressError: the address cannot be listened on.
        CertificateError: the files of the certificate cannot be used.
        DirectoryBusyError: another process serves the data directory.
        OSError: a file cannot be read or written.
        StorageError: the data directory cannot be used.
        ValueError: the settings contradict each other.
    """
    _check_providers(settings)
    configure_logs(log_format=settings.log_format, level=settings.log_level)
    _on_signals(_end)
    certificate = _certificate(settings)
    directory = DataDirectory(settings.data_dir)
    directory.create()
    with directory.lock(f"{settings.host}:{settings.port}"), _bound(settings) as listener:
        _check_reach(listener, settings)
        files = AwsFiles(directory.aws, staging=directory.staging)
        port = listener.getsockname()[1]

        def tell_clients() -> None:
            current = certificate.current if certificate else None
            files.write_config(
                endpoint=_endpoint(settings.host, port, current),
                region=settings.region,
                authorities=current.authorities if current else b"",
            )

        with running_server(settings, directory) as server, ExitStack() as stack:
            settle_first_key(server.keys, files)
            tell_clients()
            if certificate:
                stack.enter_context(certificate.looked_at(renewed=tell_clients))
            with _named_in_errors(settings):
                listener.listen(BACKLOG)  # whoever comes from now on waits for uvicorn
            web = uvicorn.Server(_config(server, certificate))
            _on_signals(web.handle_exit)  # what is raised while a loop starts comes out as an error
            current = certificate.current if certificate else None
            _tell(_endpoint(settings.host, port, current), files, region=settings.region)
            tell_ready(os.environ)
            gc.freeze()  # to look through all that stays would hold every request up for 0.2 s
            web.run(sockets=[listener])


def _config(server: Server, certificate: RenewedCertificate | None) -> uvicorn.Config:
    return uvicorn.Config(
        server.application,
        loop="uvloop",
        http=LimitedProtocol,
        ws="websockets-sansio",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_S,
        ssl_context_factory=(lambda *_: certificate.context) if certificate else None,
    )


def _certificate(settings: Settings) -> RenewedCertificate | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    from blemish.server.tls import RenewedCertificate  # noqa: PLC0415 - not without TLS

    return RenewedCertificate(settings.tls_cert, settings.tls_key, now=lambda: datetime.now(UTC))


def _check_providers(settings: Settings) -> None:
    """Allow what ONNX Runtime has.

    Raises:
        ValueError: it lacks one.
    """
    try:
        check_providers(settings.providers)
    except ProviderError as error:
        raise ValueError(f"BLEMISH_PROVIDERS={','.join(settings.providers)}: {error}.") from error


def _check_reach(listener: socket.socket, settings: Settings) -> None:
    """Allow what is bound to be listened on.

    Raises:
        ValueError: others could read along, or the store of the buckets is this server itself.
    """
    if settings.s3_endpoint and leads_to(listener, settings.s3_endpoint):
        raise ValueError(f"BLEMISH_S3_ENDPOINT={settings.s3_endpoint} is this server's own.")
    protected = settings.tls_cert is not None or settings.insecure
    # what the name of a host stands for is seen in what was bound
    if not protected and not is_loopback(listener.getsockname()[0]):
        raise ValueError(INSECURE.format(host=settings.host))


def _on_signals(handler: Callable[[int, FrameType | None], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)


def _end(*_: object) -> NoReturn:
    """End in good order, before there is a server that could."""
    sys.exit(0)


def _bound(settings: Settings) -> socket.socket:
    """Take the address; nobody can connect before uvicorn listens on it."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # connections have it from here: one whose client lost its power ends some time
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    try:
        with _named_in_errors(settings):
            listener.bind((settings.host, settings.port))
    except BaseException:
        listener.close()
        raise
    return listener


@contextmanager
def _named_in_errors(settings: Settings) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AddressError(
            f"{settings.host}:{settings.port} cannot be listened on: {error.strerror}."
        ) from error


def _endpoint(host: str, port: int, certificate: Certificate | None) -> str:
    """Return the URL for clients; with TLS, by a name that the certificate is for."""
    scheme = "https" if certificate else "http"
    name = certificate.name_for(host) if certificate else host
    return f"{scheme}://[{name}]:{port}" if ":" in name else f"{scheme}://{name}:{port}"


def _tell(endpoint: str, files: AwsFiles, *, region: str) -> None:
    """Say where the server is and how a client gets in; the secret to a terminal alone."""
    lines = [f"Blemish listens on {endpoint}", f"Console: {endpoint}{CONSOLE}"]
    if not files.credentials.exists():  # restored, or gone with the first key
        lines += [f"AWS_CONFIG_FILE={files.config}", f"AWS_PROFILE={PROFILE}"]
    elif sys.stdout.isatty():
        pair = files.read_key()
        lines += [
            f"export AWS_ACCESS_KEY_ID={pair.id}",
            f"export AWS_SECRET_ACCESS_KEY={pair.secret}",
            f"export AWS_ACCESS_KEY_ID={pair.id}",
            f"export AWS_SECRET_ACCESS_KEY={pair.secret}",
            f"export AWS_DEFAULT_REGION={region}",
            f"export AWS_ENDPOINT_URL={endpoint}",
        ]
        if files.authorities.exists():
            lines.append(f"export AWS_CA_BUNDLE={files.authorities}")
    else:
        lines += [
            f"AWS_CONFIG_FILE={files.config}",
            f"AWS_SHARED_CREDENTIALS_FILE={files.credentials}",
            f"AWS_PROFILE={PROFILE}",
        ]
    print("\n".join(lines), flush=True)  # noqa: T201 - this is what the command prints
