"""Checks of the data directory: its owner, its disk, and what lies in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from blemish.doctor.report import Finding, Level
from blemish.engine.errors import BackboneError
from blemish.server.backbones import backbones_of
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.addresses import DatabaseAddress, database_address
from blemish.storage.database.database import Database, engine_of
from blemish.storage.encryption.keyring import Keyring
from blemish.storage.errors import StorageError

GIB = 2**30
LEAST_FREE = GIB
LOW_FREE = 5 * GIB
LOW_FREE_SHARE = 0.05

_OF_NETWORKS = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "ceph", "glusterfs")
_AHEAD = timedelta(minutes=5)
_TOPIC = "data"


def data_findings(
    settings: Settings, directory: DataDirectory, *, now: datetime, mounts: str
) -> Iterator[Finding]:
    """Yield what is wrong with the data directory, or with the folder it will be made in.

    Args:
        settings: which name the backbones.
        directory: of the server; it may not exist.
        now: the time.
        mounts: the text of /proc/self/mounts.
    """
    root = directory.root
    address = database_address(settings, directory)
    yield disk_finding(root, mounts=mounts)
    if not root.exists():
        yield _new_directory(root)
        if not isinstance(address, Path):
            yield _database(address)
        return
    access = _access(root)
    yield access
    if access.level is Level.PROBLEM:
        return
    if directory.restoring.exists():
        yield Finding(
            topic=_TOPIC,
            level=Level.PROBLEM,
            message=f"A restore into {root} has not finished.",
            remedy="Wait for its end, or run `blemish restore` again.",
        )
    if directory.database.exists() or not isinstance(address, Path):
        yield _database(address)
    if directory.database.exists():
        yield from _times(directory.database, now)
    if directory.was_served:
        yield from _keys(directory)
    yield _backbones(settings, directory)


def disk_finding(root: Path, *, mounts: str) -> Finding:
    """Return whether the disk of a folder has room, and keeps what is written."""
    existing = next(path for path in [root, *root.parents] if path.exists())
    numbers = os.statvfs(existing)
    free, size = numbers.f_bavail * numbers.f_frsize, numbers.f_blocks * numbers.f_frsize
    kind = file_system(existing.resolve(), mounts)
    message = f"{free / GIB:.1f} of {size / GIB:.1f} GiB free on {kind}"
    level, remedy = Level.OK, None
    if free < LEAST_FREE or (numbers.f_files and not numbers.f_favail):
        level, remedy = Level.PROBLEM, "Make room: the server refuses what it cannot write."
    elif free < LOW_FREE or free < LOW_FREE_SHARE * size:
        level, remedy = Level.WARNING, "Make room, or move the data directory to a larger disk."
    elif kind.startswith(_OF_NETWORKS):
        level = Level.WARNING
        remedy = "Use a disk of this machine: SQLite's log does not work on network file systems."
    elif kind in {"tmpfs", "ramfs"}:
        level, remedy = Level.WARNING, "Use a disk: what lies here is lost at the next boot."
    elif kind == "overlay":
        level = Level.WARNING
        remedy = "Mount a volume there: what lies in a container's own layer is lost with it."
    return Finding(topic="disk", level=level, message=message, remedy=remedy)


def file_system(path: Path, mounts: str) -> str:
    """Return the type of the file system that holds a path, by the text of /proc/self/mounts."""
    kinds = {}
    for line in mounts.splitlines():
        _, point, kind, *_ = line.split()
        kinds[Path(point.replace("\\040", " "))] = kind
    return next((kinds[parent] for parent in [path, *path.parents] if parent in kinds), "unknown")


def _new_directory(root: Path) -> Finding:
    parent = next(path for path in root.parents if path.exists())
    if os.access(parent, os.W_OK | os.X_OK):
        message = f"{root} does not exist yet; the server creates it."
        return Finding(topic=_TOPIC, level=Level.OK, message=message)
    return Finding(
        topic=_TOPIC,
        level=Level.PROBLEM,
        message=f"{root} does not exist, and {parent} cannot be written by this user.",
        remedy="Name another folder by --data-dir or BLEMISH_DATA_DIR, or create it for this user.",
    )


def _access(root: Path) -> Finding:
    status = root.stat()
    if not root.is_dir():
        message = f"{root} is no folder."
        remedy = "Name a folder by --data-dir or BLEMISH_DATA_DIR."
    elif os.statvfs(root).f_flag & os.ST_RDONLY:
        message = f"{root} is on a file system that is mounted read-only."
        remedy = "Mount it writable, or name another folder by --data-dir or BLEMISH_DATA_DIR."
    elif not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        message = f"{root} belongs to user {status.st_uid}, and user {os.geteuid()} may not use it."
        remedy = "Run this command as the user that runs the server."
    elif status.st_uid != os.geteuid():
        return Finding(
            topic=_TOPIC,
            level=Level.WARNING,
            message=f"{root} belongs to user {status.st_uid}, and this is user {os.geteuid()}.",
            remedy="Run commands as the user that runs the server: it cannot use files of another.",
        )
    else:
        mode = stat.S_IMODE(status.st_mode)
        message = f"{root}, mode {mode:04o}"
        if mode & 0o077:
            message += "; the next start makes it 0700"
        return Finding(topic=_TOPIC, level=Level.OK, message=message)
    return Finding(topic=_TOPIC, level=Level.PROBLEM, message=message, remedy=remedy)


def _database(address: DatabaseAddress) -> Finding:
    in_file = isinstance(address, Path)
    try:
        Database.check(address)
        with closing(engine_of(address)) as engine:
            size, version = engine.size_bytes(), engine.version
            if not in_file:
                engine.create()  # changes nothing: it checks version and encoding
            problem = None if in_file else engine.write_problem(is_writing=False)
    except StorageError as error:
        problem = str(error)
    if problem:
        remedy = (
            "Use the version that wrote it, or restore a backup: docs/guide/running.md"
            if in_file
            else "Check BLEMISH_DATABASE_URL and the server of the database: "
            "docs/guide/postgresql.md"
        )
        return Finding(topic=_TOPIC, level=Level.PROBLEM, message=problem, remedy=remedy)
    state = f"{address.name} is intact" if isinstance(address, Path) else f"{address}, {version},"
    message = f"{state} ({size / 2**20:.1f} MiB)."
    return Finding(topic=_TOPIC, level=Level.OK, message=message)


def _times(database: Path, now: datetime) -> Iterator[Finding]:
    """Yield a problem if the data are from the future: the clock was set back."""
    written_at = datetime.fromtimestamp(database.stat().st_mtime, UTC)
    if written_at > now + _AHEAD:
        yield Finding(
            topic="clock",
            level=Level.PROBLEM,
            message=f"The database was last written at {written_at:%Y-%m-%d %H:%M}, in the future.",
            remedy="Set the clock: clients' requests are refused while it is wrong.",
        )


def _keys(directory: DataDirectory) -> Iterator[Finding]:
    keyring = Keyring(directory.keyring, staging=directory.staging)
    for message in keyring.unreadable():
        yield Finding(
            topic="keys",
            level=Level.PROBLEM,
            message=message,
            remedy="Put its file back from a backup: models sealed under it cannot be opened.",
        )
    keys = keyring.held()
    if not keys:
        yield Finding(
            topic="keys",
            level=Level.PROBLEM,
            message=f"There is no key in {directory.keyring}.",
            remedy="Put the files back from a backup: models and secrets cannot be opened without.",
        )
    else:
        yield Finding(topic="keys", level=Level.OK, message=f"{len(keys)} in the keyring")


def _backbones(settings: Settings, directory: DataDirectory) -> Finding:
    try:
        backbones_of(settings, directory)
    except BackboneError as error:
        return Finding(
            topic="backbones",
            level=Level.PROBLEM,
            message=str(error),
            remedy="Correct the setting, or add the backbone: `blemish backbone list`.",
        )
    used = settings.backbone or "built-in"
    return Finding(topic="backbones", level=Level.OK, message=f"used by default: {used}")
