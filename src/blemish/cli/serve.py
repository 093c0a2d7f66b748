"""`blemish serve`: the API on a port, until it is told to end."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from typing import NoReturn

import uvicorn

from blemish.app import running_server
from blemish.cli.addresses import leads_to
from blemish.cli.aws_files import FIRST_KEY, PROFILE, AwsFiles
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory

GRACE_S = 10
"""How long requests under way may take once the server is told to end."""

BACKLOG = 2048
"""Connections that wait to be accepted."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        DirectoryBusyError: another process serves the data directory.
        OSError: the address cannot be listened on.
        StorageError: the data directory cannot be used.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    directory = DataDirectory(settings.data_dir)
    directory.create()
    with directory.lock(f"{settings.host}:{settings.port}"), _bound(settings) as listener:
        endpoint = _endpoint(settings.host, listener.getsockname()[1])
        if settings.s3_endpoint and leads_to(listener, settings.s3_endpoint):
            raise ValueError(f"BLEMISH_S3_ENDPOINT={settings.s3_endpoint} is this server's own.")
        files = AwsFiles(directory.aws, staging=directory.staging)
        with running_server(settings, directory) as server:
            if not server.access.has_key():
                server.access.add(files.settled_key(server.access.new_key(FIRST_KEY)))
            files.write_config(endpoint=endpoint, region=settings.region)
            _tell(endpoint, files, region=settings.region)
            config = uvicorn.Config(
                server.application,
                loop="uvloop",
                http="httptools",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                backlog=BACKLOG,
                timeout_graceful_shutdown=GRACE_S,
            )
            uvicorn.Server(config).run(sockets=[listener])


def _end(*_: object) -> NoReturn:
    """End in good order; uvicorn raises the signal again once its own end is done."""
    sys.exit(0)


def _bound(settings: Settings) -> socket.socket:
    """Take the address; nobody can connect before uvicorn listens on it."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except BaseException:
        listener.close()
        raise
    return listener


def _endpoint(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _tell(endpoint: str, files: AwsFiles, *, region: str) -> None:
    """Say where the server is and how a client gets in; the secret to a terminal alone."""
    lines = [f"Blemish listens on {endpoint}"]
    if sys.stdout.isatty():
        key_id, secret = files.read_key()
        lines += [
            f"export AWS_ACCESS_KEY_ID={key_id}",
            f"export AWS_SECRET_ACCESS_KEY={secret}",
            f"export AWS_DEFAULT_REGION={region}",
            f"export AWS_ENDPOINT_URL={endpoint}",
        ]
    else:
        lines += [
            f"AWS_CONFIG_FILE={files.config}",
            f"AWS_SHARED_CREDENTIALS_FILE={files.credentials}",
            f"AWS_PROFILE={PROFILE}",
        ]
    print("\n".join(lines), flush=True)  # noqa: T201 - this is what the command prints
