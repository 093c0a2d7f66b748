"""Checks of what several servers share: the S3, the default key, and the servers themselves."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from blemish.doctor.report import Finding, Level
from blemish.domain.entities import ObjectRef
from blemish.server.joining import stores_text
from blemish.server.shared_files import files_bucket
from blemish.server.stores import s3_address_of
from blemish.server.workers import LEASE
from blemish.service.membership import key_digest
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.addresses import database_address
from blemish.storage.database.database import Database
from blemish.storage.encryption.keyring import DEFAULT, Keyring
from blemish.storage.errors import BucketMissingError, ObjectError, StorageError
from blemish.storage.objects.s3_store import S3ObjectStore
from blemish.storage.objects.store import ObjectStore

CONTENT = b"blemish doctor"
_KEYS = "keys"
_S3 = "s3"
_SERVERS = "servers"


def shared_findings(settings: Settings, directory: DataDirectory) -> Iterator[Finding]:
    """Yield what is wrong with the S3, and with the servers on the database of PostgreSQL."""
    if settings.s3_endpoint is not None:
        yield from _s3_findings(settings, directory)
    address = database_address(settings, directory)
    if isinstance(address, Path):
        return
    try:
        database = Database.open_current(address)
    except StorageError:  # the check of the data says why
        return
    with closing(database):
        keyring = Keyring(directory.keyring, staging=directory.staging)
        yield from default_key_findings(database, keyring)
        yield from server_row_findings(
            database, directory_id=_directory_id(directory), stores=stores_text(settings)
        )


def _directory_id(directory: DataDirectory) -> str | None:
    """Return the name of a data directory among the servers; None before the first start."""
    return directory.server.read_text().strip() if directory.server.exists() else None


def _s3_findings(settings: Settings, directory: DataDirectory) -> Iterator[Finding]:
    store = S3ObjectStore(s3_address_of(settings), retries=0)
    problem = store.problem()
    if problem is not None:
        remedy = "Check BLEMISH_S3_ENDPOINT, the credentials, and the S3: docs/guide/s3.md"
        yield Finding(topic=_S3, level=Level.PROBLEM, message=problem, remedy=remedy)
        return
    message = f"The S3 at {settings.s3_endpoint} answers."
    yield Finding(topic=_S3, level=Level.OK, message=message)
    if settings.files_url is not None:
        yield from s3_right_findings(store, probe_object(settings, directory))


def probe_object(settings: Settings, directory: DataDirectory) -> ObjectRef:
    """Return the object that the check of this server writes: always the same.

    So at most one stays where the credentials may write and not delete.
    """
    bucket, prefix = files_bucket(settings)
    name = _directory_id(directory) or socket.gethostname()
    return ObjectRef(bucket=bucket, key=f"{prefix}blemish-doctor/{name}")


def s3_right_findings(store: S3ObjectStore | ObjectStore, ref: ObjectRef) -> Iterator[Finding]:
    """Write, read, list and delete an object; yield what the S3 denies.

    Args:
        store: the S3.
        ref: an object that nothing else uses; a run that could not delete it may have left it.
    """
    is_written = False
    steps: list[tuple[str, Callable[[], object]]] = [
        ("s3:PutObject", lambda: store.write(ref, CONTENT)),
        ("s3:GetObject", lambda: store.read(ref, max_bytes=len(CONTENT))),
        ("s3:ListBucket", lambda: list(store.list(ref.bucket, ref.key))),
        ("s3:DeleteObject", lambda: store.delete(ref)),
    ]
    denied = []
    for right, step in steps:
        if right in {"s3:GetObject", "s3:DeleteObject"} and not is_written:
            continue
        try:
            step()
        except BucketMissingError as error:
            yield Finding(
                topic=_S3,
                level=Level.PROBLEM,
                message=str(error),
                remedy="Make it in that S3 first, or correct BLEMISH_FILES_URL: "
                "docs/guide/postgresql.md",
            )
            return
        except ObjectError as error:
            denied.append(right)
            left = (
                f" {ref} stays there until a run may delete it."
                if right == "s3:DeleteObject"
                else ""
            )
            yield Finding(
                topic=_S3,
                level=Level.PROBLEM,
                message=f"{error}{left}",
                remedy=f"Allow {right} there to the credentials: docs/guide/s3.md",
            )
        else:
            is_written = is_written or right == "s3:PutObject"
    if not denied:
        message = f"An object in the bucket {ref.bucket} was written, read, listed and deleted."
        yield Finding(topic=_S3, level=Level.OK, message=message)


def default_key_findings(database: Database, keyring: Keyring) -> Iterator[Finding]:
    """Yield whether this machine has the default key of the servers on a database."""
    with database.reading() as rows:
        known = rows.directory.default_key()
    key = keyring.find(DEFAULT)
    if known is None:
        message = "No server has used this database yet: the first one makes the default key."
        yield Finding(topic=_KEYS, level=Level.NOTE, message=message)
    elif key is not None and key_digest(key) == known:
        message = "The default key is that of the other servers on this database."
        yield Finding(topic=_KEYS, level=Level.OK, message=message)
    else:
        state = "another default key than" if key else "no default key, unlike"
        yield Finding(
            topic=_KEYS,
            level=Level.PROBLEM,
            message=f"{keyring.folder} has {state} the servers on this database.",
            remedy="Copy the files of `keyring/` from the data directory of a server that runs, "
            "and remove a default key that was made on this machine alone.",
        )


def server_row_findings(
    database: Database,
    *,
    directory_id: str | None,
    stores: str,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[Finding]:
    """Yield each server that shares a database, with when it was last heard of.

    Args:
        database: of the servers.
        directory_id: of the data directory of this machine; None before the first start.
        stores: where the settings have buckets and files.
        now: the time, where the database has no clock.
    """
    with database.reading() as rows:
        time, servers = rows.work.time(now()), rows.servers.all()
    if not servers:
        yield Finding(topic=_SERVERS, level=Level.NOTE, message="No server uses this database.")
    for server in servers:
        silent_s = max(0.0, (time - server.beat_at).total_seconds())
        own = " (this data directory)" if server.directory_id == directory_id else ""
        message = (
            f"{server.address} on {server.host}{own}, version {server.version}, last heard of "
            f"{silent_s:.0f} s ago, id {server.id}"
        )
        level, remedy = Level.OK, None
        if silent_s > LEASE.total_seconds():
            level = Level.WARNING
            remedy = "It is lost: others have its work. Start it again, or ignore this for a day."
        elif server.stores != stores:
            level = Level.PROBLEM
            message += f"; it has its {server.stores}, and these settings {stores}"
            remedy = "Set BLEMISH_S3_ENDPOINT and BLEMISH_FILES_URL to the same on all servers."
        yield Finding(topic=_SERVERS, level=level, message=message, remedy=remedy)
