"""How a server joins those that share its database of PostgreSQL."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.runners.heartbeat import Heartbeat
from blemish.server.foundation import Foundation
from blemish.server.workers import LEASE
from blemish.service.membership import Membership, directory_id_of
from blemish.storage.errors import StorageError
from blemish.storage.rows.servers import ServerRow

logger: FilteringBoundLogger = structlog.get_logger(__name__)


@contextmanager
def joined(foundation: Foundation) -> Iterator[None]:
    """Be one of the servers of the database until the end of the context.

    Raises:
        StorageError: the database or the data directory cannot be written.
    """
    membership = _membership(foundation)
    membership.join()
    heartbeat = Heartbeat(membership.beat)
    heartbeat.start()
    try:
        yield
    finally:
        heartbeat.stop()
        try:
            membership.leave()
        except StorageError as error:
            logger.warning("the server could not sign off", reason=str(error))


def _membership(foundation: Foundation) -> Membership:
    settings, directory = foundation.settings, foundation.directory
    now = foundation.now()
    server = ServerRow(
        id=foundation.server_id,
        directory_id=directory_id_of(directory.server, staging=directory.staging),
        host=socket.gethostname(),
        address=f"{settings.host}:{settings.port}",
        version=metadata.version("blemish"),
        stores=f"buckets in {settings.s3_endpoint}",
        started_at=now,
        beat_at=now,
    )
    return Membership(foundation.database, server=server, clock=foundation.work_time, lease=LEASE)
