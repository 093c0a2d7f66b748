"""The socket that the server listens on."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from blemish.server.addresses import AddressError, is_loopback, leads_to
from blemish.settings import Settings

BACKLOG = 2048
"""Connections that may wait to be accepted."""

DEAD_AFTER_S = 120
"""How long sent data may stay without an answer, or a client's buffer without room."""

ANY_PORT = 0
LAST_PORT = 65_535

CONSOLE_REMEDY = (
    "This is the port of the console: set BLEMISH_CONSOLE_PORT to a free port, or to 0 to have the "
    "console on the port of the API."
)

INSECURE = (
    "{host}: other machines could read images and answers on the network. Give the server a "
    "certificate with --tls-cert and --tls-key. Use --insecure if a proxy in front of it speaks "
    "TLS, or if the network is trusted. The default, 127.0.0.1, is open to this machine alone."
)


def bind(settings: Settings) -> socket.socket:
    """Bind the address of the settings; nobody can connect until `listen` is called.

    Raises:
        AddressError: the address cannot be bound.
        ValueError: other machines could read what is sent, or the S3 of the settings is this
            server itself.
    """
    listener = _bound(settings, settings.port, "")
    try:
        _check_address(listener, settings)
    except BaseException:
        listener.close()
        raise
    return listener


def _end_dead_connections(listener: socket.socket) -> None:
    """Let the system end connections whose client is gone; they inherit this from the listener."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
    options["TCP_USER_TIMEOUT"] = DEAD_AFTER_S * 1_000
    for name, value in options.items():
        if hasattr(socket, name):  # Linux has all of them
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def bind_console(settings: Settings) -> socket.socket | None:
    """Bind the port of the console as `bind` does; None if it shares the port of the API.

    Raises:
        AddressError: the port cannot be bound.
    """
    port = settings.console_port
    if port is None:
        port = settings.port + 1 if settings.port else ANY_PORT
    elif port in (0, settings.port):
        return None
    if port > LAST_PORT:
        raise AddressError(f"No port comes after {settings.port} for the console. {CONSOLE_REMEDY}")
    return _bound(settings, port, CONSOLE_REMEDY)


def listen(listener: socket.socket, settings: Settings, *, is_console: bool = False) -> None:
    """Let clients connect; they wait until something accepts them.

    Raises:
        AddressError: another program listens there.
    """
    port = listener.getsockname()[1]
    with _address_errors(settings, port, CONSOLE_REMEDY if is_console else ""):
        listener.listen(BACKLOG)


def _bound(settings: Settings, port: int, remedy: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _end_dead_connections(listener)
    try:
        with _address_errors(settings, port, remedy):
            listener.bind((settings.host, port))
    except BaseException:
        listener.close()
        raise
    return listener


def _check_address(listener: socket.socket, settings: Settings) -> None:
    if settings.s3_endpoint and leads_to(listener, settings.s3_endpoint):
        raise ValueError(f"BLEMISH_S3_ENDPOINT={settings.s3_endpoint} is this server's own.")
    protected = settings.tls_cert is not None or settings.insecure
    # the bound address shows what the name of a host stands for
    if not protected and not is_loopback(listener.getsockname()[0]):
        raise ValueError(INSECURE.format(host=settings.host))


@contextmanager
def _address_errors(settings: Settings, port: int, remedy: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise AddressError(
            f"{settings.host}:{port} cannot be listened on: {error.strerror}. {remedy}".rstrip()
        ) from error
