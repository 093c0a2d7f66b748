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
from blemish.server.stores import encryption_of
from blemish.server.workers import LEASE
from blemish.service.access.access_keys import AccessKeys
from blemish.service.membership import DefaultKey, Membership, directory_id_of
from blemish.settings import Settings
from blemish.storage.directory_identity import DirectoryIdentity
from blemish.storage.encryption.keyring import DEFAULT, Keyring, new_key
from blemish.storage.errors import StorageError
from blemish.storage.rows.servers import ServerRow

logger: FilteringBoundLogger = structlog.get_logger(__name__)


@contextmanager
def joined(foundation: Foundation) -> Iterator[None]:
    """Be one of the servers of the database until the end of the context.

    Raises:
        ServersDifferError: another server has other stores.
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


def settle_default_key(foundation: Foundation, identity: DirectoryIdentity) -> None:
    """Check that this server has the default key of the others; the first server makes it.

    Raises:
        ServersDifferError: it has another one, or none.
        StorageError: the database or the data directory cannot be written.
    """
    keyring = Keyring(foundation.directory.keyring, staging=foundation.directory.staging)
    keys = AccessKeys(
        foundation.database,
        encryption=encryption_of(foundation.settings, keyring),
        now=foundation.now,
        random_bytes=foundation.random_bytes,
    )
    DefaultKey(foundation.database, keyring).settle(
        new_key(DEFAULT, random_bytes=foundation.random_bytes, now=foundation.now()),
        opens=(lambda key: not keys.is_lost(key)) if identity.is_new else None,
        forgets=identity.adopts,
    )


def _membership(foundation: Foundation) -> Membership:
    settings, directory = foundation.settings, foundation.directory
    now = foundation.now()
    server = ServerRow(
        id=foundation.server_id,
        directory_id=directory_id_of(directory.server, staging=directory.staging),
        host=socket.gethostname(),
        address=f"{settings.host}:{settings.port}",
        version=metadata.version("blemish"),
        stores=stores_text(settings),
        started_at=now,
        beat_at=now,
    )
    return Membership(foundation.database, server=server, clock=foundation.work_time, lease=LEASE)


def stores_text(settings: Settings) -> str:
    """Return where buckets and files are, as the message about two servers says it."""
    buckets = settings.s3_endpoint or "its data directory"
    return f"buckets in {buckets} and its files in {settings.files_url or 'its data directory'}"
