"""Housekeeping: chores that bound the data of a server that runs for years.

Each chore removes data that is too old or too much. The start of the server removes what a crash
left; these chores remove files whose removal failed. The audit log bounds itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from blemish.domain.entities import ModelStatus, ObjectRef
from blemish.service.access.sessions import LIFETIME as SESSION_LIFETIME
from blemish.service.client_tokens import LIFETIME
from blemish.service.data_ages import Cutoff, plain_cutoff
from blemish.service.training.backbones import PARTIAL
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.database import Database
from blemish.storage.errors import StoreWriteError
from blemish.storage.files import remove_tree
from blemish.storage.objects.paths import ObjectPaths, lstat
from blemish.storage.objects.streams import STAGING, FileVersion
from blemish.storage.shared.folders import SharedFolders
from blemish.storage.shared.unnamed import remove_unnamed
from blemish.storage.trash import TRASH_AGE, move_to_trash, unnamed_files

logger: FilteringBoundLogger = structlog.get_logger(__name__)

REMAINS_AGE = timedelta(days=1)
"""Older files without a row are remains of failed work."""

COUNTS_AGE = timedelta(days=455)
"""15 months, as CloudWatch stores metrics. Source: its FAQ."""

THUMBNAIL_AGE = timedelta(days=30)
"""Older thumbnails are removed; drawing one takes milliseconds."""

LOG_BYTES = 64 * 1024 * 1024
"""Size of the write-ahead log, which grows while the database always has a reader."""

BATCH = 1_000
"""Rows that are read and deleted at once."""

_COPY = re.compile(r"blemish\.db\.before-(\d+)(\.partial)?")


class Housekeeping:
    """The chores. Each may fail and is repeated later."""

    def __init__(
        self,
        database: Database,
        *,
        directory: DataDirectory,
        upload_age: timedelta,
        database_copies: int,
        cutoff: Cutoff = plain_cutoff,
        shared: Iterable[SharedFolders] = (),
    ) -> None:
        self._database = database
        self._directory = directory
        self._upload_age = upload_age
        self._database_copies = database_copies
        self._cutoff = cutoff
        #: folders of files that rows name, in an S3
        self._shared = tuple(shared)
        self._objects = ObjectPaths(directory.buckets)

    def forget_client_tokens(self, now: datetime) -> None:
        """Delete expired client tokens."""
        with self._database.writing() as rows:
            count = rows.client_tokens.delete_before(self._cutoff(now, LIFETIME))
        _tell("client tokens forgotten", count)

    def forget_sessions(self, now: datetime) -> None:
        """Delete expired sessions."""
        with self._database.writing() as rows:
            count = rows.sessions.delete_before(
                self._cutoff(now, SESSION_LIFETIME) + SESSION_LIFETIME
            )
        _tell("sessions forgotten", count)

    def forget_detection_counts(self, now: datetime) -> None:
        """Delete old counts of detections."""
        with self._database.writing() as rows:
            count = rows.detection_counts.delete_before(self._cutoff(now, COUNTS_AGE))
        _tell("counts of detections forgotten", count)

    def give_up_uploads(self, now: datetime) -> None:
        """Abort multipart uploads without new parts for long."""
        before = self._cutoff(now, self._upload_age)
        with self._database.writing() as rows:
            rows.uploads.forget_completed(before=before)
            abandoned = rows.uploads.abandoned(before=before)
            files = [file for upload_id in abandoned for file in rows.uploads.delete(upload_id)]
        for file in files:
            (self._directory.uploads / file).unlink(missing_ok=True)
        _tell("abandoned uploads deleted", len(abandoned), files=len(files))

    def remove_remains(self, now: datetime) -> None:
        """Remove old unfinished files, and move old files without a row to the trash."""
        directory, before = self._directory, self._cutoff(now, REMAINS_AGE)
        staged = [
            path
            for folder in (
                directory.staging,
                directory.buckets / STAGING,
                directory.backbones / PARTIAL,
            )
            for path in _older(folder, before)
        ]
        attempts = [*_older(directory.attempts, before), *_older(directory.detection_jobs, before)]
        with self._database.reading() as rows:
            training = rows.models.with_status(ModelStatus.TRAINING)
            jobs = rows.detection_jobs.unsettled()
        held = {directory.attempts / f"{model.id}-{model.attempt}" for model in training}
        held |= {directory.detection_jobs / str(job.id) for job in jobs}
        # staged files are removed within their own file system
        remains = [(path, path.parent) for path in staged]
        remains += [(path, directory.staging) for path in attempts if path not in held]
        _tell("remains removed", sum(_remove(path, staging=staging) for path, staging in remains))
        unnamed = [
            path for path in unnamed_files(directory, self._database) if _is_older(path, before)
        ]
        move_to_trash(unnamed, directory, now=now)

    def remove_unnamed_shared(self, now: datetime) -> None:
        """Remove shared folders that no row has named for long."""
        for folders in self._shared:
            remove_unnamed(
                folders,
                self._stored_names,
                written_before=self._cutoff(now, REMAINS_AGE),
                marked_before=self._cutoff(now, TRASH_AGE),
            )

    def _stored_names(self) -> set[str]:
        with self._database.reading() as rows:
            return rows.stored_names()

    def empty_trash(self, now: datetime) -> None:
        """Delete what has been in the trash for long."""
        directory = self._directory
        old = _older(directory.trash, self._cutoff(now, TRASH_AGE))
        _tell("trash deleted", sum(_remove(path, staging=directory.staging) for path in old))

    def remove_thumbnails(self, now: datetime) -> None:
        """Remove old thumbnails, whose images may have changed."""
        before = self._cutoff(now, THUMBNAIL_AGE)
        folders = [folder for folder in self._directory.thumbnails.iterdir() if folder.is_dir()]
        old = [path for folder in folders for path in _older(folder, before)]
        for path in old:
            path.unlink(missing_ok=True)
        _tell("thumbnails removed", len(old))

    def forget_objects(self, now: datetime) -> None:
        """Delete metadata of contents that objects no longer have."""
        before = self._cutoff(now, REMAINS_AGE)  # a row is written before its file
        before_ns = int(before.timestamp()) * 10**9
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
        """Write the write-ahead log into the database if it is large."""
        self._database.shorten_log(LOG_BYTES)

    def _is_there(self, ref: ObjectRef, version: FileVersion) -> bool:
        """Return whether an object has this content, or its bucket is missing, as if unmounted."""
        if not self._objects.has_bucket(ref.bucket):
            return True
        try:
            status = lstat(self._objects.file(ref))
        except NotADirectoryError:
            return False
        return status is not None and FileVersion.of(status) == version


def _older(folder: Path, before: datetime) -> Iterator[Path]:
    """Yield the entries of a folder that were neither changed nor renamed since `before`."""
    if not folder.is_dir():
        return
    yield from (path for path in folder.iterdir() if _is_older(path, before))


def _is_older(path: Path, before: datetime) -> bool:
    status = lstat(path)
    return status is not None and max(status.st_mtime, status.st_ctime) < before.timestamp()


def _remove(path: Path, *, staging: Path) -> bool:
    """Remove a file or a folder; return whether that worked."""
    try:
        remove_tree(path, staging=staging)
    except StoreWriteError as error:
        logger.warning("remains cannot be removed", reason=str(error))
        return False
    return True


def _tell(event: str, count: int, **others: int) -> None:
    if count:
        logger.info(event, count=count, **others)
