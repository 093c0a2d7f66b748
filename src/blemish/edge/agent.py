"""The agent process: a gRPC server over one socket, until a signal ends it."""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from blemish.edge.components import ComponentFolder, InstalledComponent
from blemish.edge.config import AgentConfig, AgentTls
from blemish.edge.errors import EdgeError
from blemish.edge.models import EdgeModels
from blemish.edge.service import EdgeService

MESSAGE_BYTES = 4096 * 4096 * 3 + 64 * 1024
"""The largest image, and what stands around it in a message."""

REFRESH_S = 1.0
"""How often the agent looks for new components; a call that names one looks at once."""

GRACE_S = 5.0
"""How long detections may go on after a signal."""

MOST_CALLS = 64
"""Calls at once; more are answered with RESOURCE_EXHAUSTED. Each may hold an image of 50 MB."""

FREED_BYTES = 32 * 1024 * 1024
"""Freed memory that the process keeps, and the largest block it keeps: glibc allows no more."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt. Source: malloc.h of glibc."""

_OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
)


def run_agent(config: AgentConfig) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        EdgeError: the socket cannot be used, or a file of TLS not be read.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    _keep_freed_memory()
    with _locked(config.socket):
        asyncio.run(_serve(config))


async def _serve(config: AgentConfig) -> None:
    models = EdgeModels(ComponentFolder(config.components), load=_load)
    server = grpc.aio.server(options=_OPTIONS, maximum_concurrent_rpcs=MOST_CALLS)
    server.add_generic_rpc_handlers((EdgeService(models).handler(),))
    _listen(server, config)
    await server.start()
    models.refresh()
    print(f"The edge agent listens on {config.socket}", flush=True)  # noqa: T201
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    watching = asyncio.create_task(_watch(models))
    await ended.wait()
    watching.cancel()
    await server.stop(GRACE_S)
    await models.close()


def _load(component: InstalledComponent) -> object:
    # imported here, in a thread: ONNX Runtime takes a third of a second
    from blemish.edge.detection import load_component  # noqa: PLC0415

    return load_component(component)


async def _watch(models: EdgeModels[object]) -> None:
    while True:
        await asyncio.sleep(REFRESH_S)
        try:
            models.refresh()
        except Exception:
            logging.getLogger(__name__).exception("the components cannot be looked at")


def _listen(server: grpc.aio.Server, config: AgentConfig) -> None:
    try:
        if config.is_tcp:
            assert config.tls is not None
            server.add_secure_port(config.socket, _credentials(config.tls))
        else:
            server.add_insecure_port(config.socket)
    except RuntimeError as error:
        raise EdgeError(f"The socket {config.socket} cannot be listened on: {error}.") from None


def _credentials(tls: AgentTls) -> grpc.ServerCredentials:
    try:
        key, certificate = tls.key.read_bytes(), tls.certificate.read_bytes()
        client_ca = tls.client_ca.read_bytes()
    except OSError as error:
        raise EdgeError(f"{error.filename} cannot be read: {error.strerror}.") from None
    return grpc.ssl_server_credentials(
        [(key, certificate)], root_certificates=client_ca, require_client_auth=True
    )


def _keep_freed_memory() -> None:
    """Have the C library keep what it frees, up to a few images.

    By default it returns blocks of an image's size to the kernel, and each detection fetches them
    again page by page: a twentieth of its time.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):  # of glibc alone
        library.mallopt(_M_MMAP_THRESHOLD, FREED_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, FREED_BYTES)


@contextmanager
def _locked(address: str) -> Iterator[None]:
    """Keep other agents from a socket in the file system, which gRPC would take from this one.

    The lock is an abstract socket: it needs no file, and ends with the process.

    Raises:
        EdgeError: another agent has the lock.
    """
    if not address.startswith("unix:"):
        yield
        return
    path = Path(address.removeprefix("unix:").removeprefix("//")).absolute()
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as lock:
        try:
            lock.bind(f"\0blemish-edge-{digest}")
        except OSError:
            raise EdgeError(f"Another agent listens on {address}.") from None
        yield
