"""`blemish serve`: the server on a port, until a signal ends it."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn, Self

from uvicorn.config import Config

from blemish.logs import configure_logs
from blemish.server.announcement import announcement
from blemish.server.app import Server, running_server
from blemish.server.aws_files import AwsFiles, settle_first_key
from blemish.server.backbones import backbones_of
from blemish.server.connections import Connections, connection_limit
from blemish.server.console_port import ConsolePort
from blemish.server.front import Application
from blemish.server.http_protocol import IDLE_S, LimitedProtocol
from blemish.server.listener import BACKLOG, bind, bind_console, listen
from blemish.server.notify import tell_ready
from blemish.server.stores import check_s3
from blemish.server.web_server import WebServer
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory

if TYPE_CHECKING:
    from types import FrameType

    from blemish.server.tls import Certificate, RenewedCertificate

GRACE_S = 10
"""How long requests under way may take after the signal that ends the server."""

COLLECTED_AFTER = (50_000, 10, 6_000)
"""Thresholds of Python's own collections of garbage, which stop every request.

`WebServer` looks for garbage by itself, in short steps, and through all objects every minute to ten
minutes. These are for bursts between two steps.
"""


def run_server(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        AddressError: the address cannot be listened on.
        BackboneError: a backbone is not there.
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
    _check_before_writing(settings, directory)
    with directory.opened(f"{settings.host}:{settings.port}"), _Sockets(settings) as sockets:
        files = AwsFiles(directory.aws, staging=directory.staging)

        def endpoint(port: int = sockets.port) -> str:
            return _endpoint(settings.host, port, certificate.current if certificate else None)

        def write_config() -> None:
            files.write_config(
                endpoint=endpoint(),
                region=settings.region,
                authorities=certificate.current.authorities if certificate else b"",
            )

        with running_server(settings, directory) as server, ExitStack() as stack:
            if server.can_write:
                settle_first_key(server.keys, files)
                write_config()
            if certificate:
                stack.enter_context(certificate.looked_at(renewed=write_config))
            sockets.listen()
            web = WebServer(
                _web_config(sockets.application(server), certificate),
                connections=Connections(connection_limit()),
            )
            _on_signals(web.handle_exit)  # what is raised while a loop starts comes out as an error
            _announce(endpoint(), endpoint(sockets.console_port), files, settings)
            tell_ready(os.environ)
            gc.freeze()  # a look through all that stays would delay every request by 0.2 s
            gc.set_threshold(*COLLECTED_AFTER)
            gc.enable()
            web.run(sockets=sockets.all)


class _Sockets:
    """The port of the API, and the port of the console if it has its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._api = stack.enter_context(bind(self._settings))
            self._console = bind_console(self._settings)
            if self._console is not None:
                stack.enter_context(self._console)
            self._stack = stack.pop_all()
        self.port: int = self._api.getsockname()[1]
        self.console_port: int = (self._console or self._api).getsockname()[1]
        self.all = [self._api] if self._console is None else [self._api, self._console]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def listen(self) -> None:
        """Let clients connect."""
        listen(self._api, self._settings)
        if self._console is not None:
            listen(self._console, self._settings, is_console=True)

    def application(self, server: Server) -> Application:
        """Return what answers on all of them."""
        if self._console is None:
            return server.application
        return ConsolePort(server.application, port=self.console_port, api_port=self.port)


def _web_config(application: Application, certificate: RenewedCertificate | None) -> Config:
    return Config(
        application,
        loop="uvloop",
        http=LimitedProtocol,
        ws="websockets-sansio",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=GRACE_S,
        ssl_context_factory=(lambda *_: certificate.context) if certificate else None,
    )


def _certificate(settings: Settings) -> RenewedCertificate | None:
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    from blemish.server.tls import RenewedCertificate

    return RenewedCertificate(settings.tls_cert, settings.tls_key, now=lambda: datetime.now(UTC))


def _check_providers(settings: Settings) -> None:
    """Allow the providers that ONNX Runtime has; it always has the CPU.

    Raises:
        ValueError: it lacks one.
    """
    if settings.providers == ("cpu",):
        return
    from blemish.engine.graph.sessions import ProviderError, check_providers

    try:
        check_providers(settings.providers)
    except ProviderError as error:
        raise ValueError(f"BLEMISH_PROVIDERS={','.join(settings.providers)}: {error}.") from error


def _check_before_writing(settings: Settings, directory: DataDirectory) -> None:
    """Check the S3, and for a new directory the backbones, so that a refused start leaves nothing.

    Raises:
        BackboneError, StorageError: the server cannot start with these settings.
    """
    check_s3(settings)
    if not directory.was_served and (settings.backbone or settings.project_backbones):
        backbones_of(settings, directory)


def _on_signals(handler: Callable[[int, FrameType | None], object]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)


def _end(*_: object) -> NoReturn:
    """End in good order, before there is a server that could."""
    sys.exit(0)


def _endpoint(host: str, port: int, certificate: Certificate | None) -> str:
    """Return the URL for clients; with TLS, by a name that the certificate is for."""
    scheme = "https" if certificate else "http"
    name = certificate.name_for(host) if certificate else host
    return f"{scheme}://[{name}]:{port}" if ":" in name else f"{scheme}://{name}:{port}"


def _announce(endpoint: str, console_endpoint: str, files: AwsFiles, settings: Settings) -> None:
    text = announcement(
        endpoint,
        files,
        console_endpoint=console_endpoint,
        region=settings.region,
        serves_s3=settings.s3_endpoint is None,
        on_terminal=sys.stdout.isatty(),
        environment=os.environ,
    )
    print(text, flush=True)  # noqa: T201 - this is what the command prints
