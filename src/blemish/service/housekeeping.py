"""What keeps the data of a server that runs for years from growing without end.

Each chore removes what nobody can ask for any more, by an age or a number. What a crash leaves
behind is removed at the start; here goes what could not be removed while it should have been. The
audit log keeps to its bounds itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.entities import ModelStatus, ObjectRef
from blemish.service.client_tokens import LIFETIME
from blemish.service.training.backbones import PARTIAL
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.database import Database
from blemish.storage.errors import StoreWriteError
from blemish.storage.files import remove_tree
from blemish.storage.objects.paths import ObjectPaths, lstat
from blemish.storage.objects.streams import STAGING, FileVersion

logger: FilteringBoundLogger = structlog.get_logger(__name__)

REMAINS_AGE = timedelta(days=1)
"""Nothing that is being worked on is so old: then it is left of something that failed."""

COUNTS_AGE = timedelta(days=455)
"""15 months, as long as metrics are kept by CloudWatch. Source: its FAQ."""

THUMBNAIL_AGE = timedelta(days=30)
"""A thumbnail that is older is removed: it takes milliseconds to make it anew."""

LOG_BYTES = 64 * 1024 * 1024
"""Of the database's write-ahead log, which grows for as long as there is always a reader."""

BATCH = 1_000
"""Rows that are looked at, and deleted, at once."""

_COPY = re.compile(r"blemish\.db\.before-(\d+)(\.partial)?")


class Housekeeping:
    """The chores, each of which may fail and be done again later."""

    def __init__(
        self,
        database: Database,
        *,
        directory: DataDirectory,
        upload_age: timedelta,
        database_copies: int,
    ) -> None:
        self._database = database
        self._directory = directory
        self._upload_age = upload_age
        self._database_copies = database_copies
        self._objects = ObjectPaths(directory.buckets)

    def forget_client_tokens(self, now: datetime) -> None:
        """Delete the tokens whose time is over: they are new again."""
        with self._database.writing() as rows:
            count = rows.client_tokens.delete_before(now - LIFETIME)
        _tell("client tokens forgotten", count)

    def forget_sessions(self, now: datetime) -> None:
        """Delete the sessions whose time is over."""
        with self._database.writing() as rows:
            count = rows.sessions.delete_before(now)
        _tell("sessions forgotten", count)

    def forget_detection_counts(self, now: datetime) -> None:
        """Delete the counts of detections that are too old for anyone to look at."""
        with self._database.writing() as rows:
            count = rows.detection_counts.delete_before(now - COUNTS_AGE)
        _tell("counts of detections forgotten", count)

    def give_up_uploads(self, now: datetime) -> None:
        """Abort the uploads in parts that nothing was added to for long."""
        with self._database.writing() as rows:
            abandoned = rows.uploads.abandoned(before=now - self._upload_age)
            files = [file for upload_id in abandoned for file in rows.uploads.delete(upload_id)]
        for file in files:
            (self._directory.uploads / file).unlink(missing_ok=True)
        _tell("abandoned uploads deleted", len(abandoned), files=len(files))

    def remove_remains(self, now: datetime) -> None:
        """Remove the files that no row speaks of and nobody works on, each that can be removed."""
        directory, before = self._directory, now - REMAINS_AGE
        staged = [
            path
            for folder in (
                directory.staging,
                directory.buckets / STAGING,
                directory.backbones / PARTIAL,
            )
            for path in _older(folder, before)
        ]
        files = [
            path for name in ("bundles", "kept") for path in _older(directory.root / name, before)
        ]
        uploaded = list(_older(directory.uploads, before))
        attempts = list(_older(directory.attempts, before))
        with self._database.reading() as rows:  # after the files: a name is written before its row
            names, parts = rows.stored_names(), rows.uploads.file_names()
            training = rows.models.with_status(ModelStatus.TRAINING)
        held = {f"{model.id}-{model.attempt}" for model in training}
        unnamed = [
            *(path for path in files if path.name not in names),
            *(path for path in uploaded if path.name not in parts),
            *(path for path in attempts if path.name not in held),
        ]
        # what is staged lies where it can be removed, on whatever file system that is
        remains = [(path, path.parent) for path in staged]
        remains += [(path, directory.staging) for path in unnamed]
        _tell("remains removed", sum(_remove(path, staging=staging) for path, staging in remains))

    def remove_thumbnails(self, now: datetime) -> None:
        """Remove old thumbnails, whose images may be gone or others by now."""
        before = now - THUMBNAIL_AGE
        folders = [folder for folder in self._directory.thumbnails.iterdir() if folder.is_dir()]
        old = [path for folder in folders for path in _older(folder, before)]
        for path in old:
            path.unlink(missing_ok=True)
        _tell("thumbnails removed", len(old))

    def forget_objects(self, now: datetime) -> None:
        """Forget what is remembered of contents of objects that are no longer there."""
        before_ns = int((now - REMAINS_AGE).timestamp()) * 10**9  # a row comes before its file
        after: tuple[str, str] | None = None
        count = 0
        while True:
            with self._database.reading() as rows:
                known = rows.object_metadata.page(after, before_ns=before_ns, limit=BATCH)
            gone = [version for version in known if not self._is_there(*version)]
            if gone:
                with self._database.writing() as rows:
                    for ref, version in gone:
                        rows.object_metadata.forget(ref, version)
            count += len(gone)
            if len(known) < BATCH:
                break
            after = (known[-1][0].bucket, known[-1][0].key)
        _tell("objects forgotten", count)

    def remove_copies(self, _now: datetime) -> None:
        """Remove all but the newest copies of the database from before a migration."""
        copies = {
            path: match
            for path in self._directory.root.iterdir()
            if (match := _COPY.fullmatch(path.name))
        }
        whole = sorted(
            (path for path in copies if not copies[path][2]), key=lambda p: int(copies[p][1])
        )
        doomed = [*whole[: -self._database_copies], *(path for path in copies if copies[path][2])]
        for path in doomed:
            path.unlink(missing_ok=True)
        _tell("copies of the database removed", len(doomed))

    def shorten_log(self, _now: datetime) -> None:
        """Bring the write-ahead log into the database, once it is large."""
        self._database.shorten_log(LOG_BYTES)

    def _is_there(self, ref: ObjectRef, version: FileVersion) -> bool:
        """Return whether an object has this content, or its bucket is away, as if not mounted."""
        if not self._objects.has_bucket(ref.bucket):
            return True
        try:
            status = lstat(self._objects.file(ref))
        except NotADirectoryError:
            return False
        return status is not None and FileVersion.of(status) == version


def _older(folder: Path, before: datetime) -> Iterator[Path]:
    """Yield what lies in a folder and was neither changed nor renamed since."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        status = lstat(path)
        if status and max(status.st_mtime, status.st_ctime) < before.timestamp():
            yield path


def _remove(path: Path, *, staging: Path) -> bool:
    """Remove a file or a folder; tell whether it could be done."""
    try:
        remove_tree(path, staging=staging)
    except StoreWriteError as error:
        logger.warning("remains cannot be removed", reason=str(error))
        return False
    return True


def _tell(event: str, count: int, **others: int) -> None:
    if count:
        logger.info(event, count=count, **others)
