"""The data directory: its layout, and the lock that allows one server only.

DIR/                mode 0700
  blemish.db        rows
  aws/              AWS config and credentials files for clients
  buckets/          s3://bucket/key is the file buckets/bucket/key
  backbones/        a folder for each backbone that was fetched or imported
  bundles/          a folder for each trained model
  keyring/          a file for each key that seals bundles, stored files and secrets
  kept/             stored files: frozen entries of models, pending changes
  uploads/          parts of incomplete objects
  attempts/         files of running trainings
  detection-jobs/   results so far of running batches and trials
  cache/            copies of files that are in an S3 which several servers share
  audit/            the audit log
  lines/            a folder for each line: its settings, records and stored images
  restoring/        files of an unfinished restore
  trash/            files that no row names, by the time when they were moved here
  reserve           room that is given back for deletions when the disk is full
  identity          which database belongs to this folder
  server            the id of this folder among those of one PostgreSQL database
  serve.lock        the process that serves this folder
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from blemish.storage.errors import DataDirectoryError, RestoreUnfinishedError
from blemish.storage.files import keep_owner, make_own_folder, special_file


class DirectoryBusyError(Exception):
    """Another process serves this data directory; the message names it."""


class DataDirectory:
    """The folder of one server."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.database = self.root / "blemish.db"
        self.aws = self.root / "aws"
        self.backbones = self.root / "backbones"
        self.buckets = self.root / "buckets"
        self.bundles = self.root / "bundles"
        self.keyring = self.root / "keyring"
        self.stored_files = self.root / "kept"
        self.uploads = self.root / "uploads"
        self.attempts = self.root / "attempts"
        self.detection_jobs = self.root / "detection-jobs"
        self.audit = self.root / "audit"
        self.cache = self.root / "cache"
        self.lines = self.root / "lines"
        self.thumbnails = self.root / "thumbnails"
        self.staging = self.root / "staging"
        self.restoring = self.root / "restoring"
        self.trash = self.root / "trash"
        self.reserve = self.root / "reserve"
        self.identity = self.root / "identity"
        self.server = self.root / "server"
        self.lock_file = self.root / "serve.lock"

    @property
    def was_served(self) -> bool:
        """Whether a server has run on this directory before."""
        return self.database.exists() or self.identity.exists()

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that every server has."""
        return (
            self.aws,
            self.backbones,
            self.buckets,
            self.bundles,
            self.keyring,
            self.stored_files,
            self.uploads,
            self.attempts,
            self.detection_jobs,
            self.audit,
            self.thumbnails,
            self.staging,
            self.trash,
        )

    @contextmanager
    def opened(self, holder: str) -> Iterator[None]:
        """Create and lock the directory for a server.

        An exception before the first server has marked the directory removes what was created.

        Args:
            holder: see `lock`.

        Raises:
            DataDirectoryError, DirectoryBusyError, RestoreUnfinishedError: see `create` and `lock`.
        """
        missing = [path for path in (self.root, *self.folders, self.server) if not path.exists()]
        self.create()
        with self.lock(holder):
            try:
                yield
            except BaseException:
                if not self.was_served:
                    self._remove(missing)
                raise

    def create(self) -> None:
        """Create missing folders, readable by the owner alone.

        Raises:
            DataDirectoryError: they cannot be created, or a pipe or a device is among the files.
            RestoreUnfinishedError: a restore into it has not finished.
        """
        with self._named_in_errors():
            try:
                self._create()
            except OSError:
                if not self.was_served:
                    raise  # a server can start on a disk that only lets it read
            self._check_kinds()

    @contextmanager
    def lock(self, holder: str) -> Iterator[None]:
        """Lock the directory until the context or the process ends.

        Args:
            holder: text that names this process in the error of a second one.

        Raises:
            DataDirectoryError: it cannot be written.
            DirectoryBusyError: another process holds it.
        """
        with self._named_in_errors():
            file = self._opened_lock()
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DirectoryBusyError(
                    f"{self.root} is served already, by {self._holder()}. "
                    "Stop that server first, or use another folder."
                ) from None
            text = json.dumps({"pid": os.getpid(), "holder": holder}).encode()
            with suppress(OSError):  # only messages need it, and the disk may be full
                os.ftruncate(file, 0)
                os.write(file, text)
            try:
                yield
            finally:
                with suppress(OSError):
                    os.ftruncate(file, 0)
        finally:
            os.close(file)

    def _opened_lock(self) -> int:
        try:
            file = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError:
            return os.open(self.lock_file, os.O_RDONLY)  # the disk only lets us read
        keep_owner(file, self.root)
        return file

    def _check_kinds(self) -> None:
        """Refuse what would let the server wait without end when it opens it."""
        shallow = (self.root, self.aws, self.keyring, self.audit, self.stored_files, self.uploads)
        deep = (self.backbones, self.bundles)
        special = special_file([(folder, 0) for folder in shallow] + [(path, 2) for path in deep])
        if special is not None:
            raise DataDirectoryError(
                f"{special} is a pipe, a socket or a device, and no file of a server. Move it away."
            )

    def _create(self) -> None:
        if self.restoring.exists():
            raise RestoreUnfinishedError(
                f"A restore into {self.root} is under way, or was cut off. Wait for its end, or "
                "begin it again: `blemish restore` takes a folder that it left so."
            )
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.root.stat().st_mode & 0o777 != 0o700:
            self.root.chmod(0o700)
        for folder in self.folders:
            make_own_folder(folder)

    def _remove(self, created: Sequence[Path]) -> None:
        """Remove these folders, if they are empty, and the file that names this server."""
        if self.server in created:
            with suppress(OSError):
                self.server.unlink()
        for folder in created:
            if folder in self.folders:
                with suppress(OSError):
                    folder.rmdir()
        with suppress(OSError):
            if self.root in created and [*self.root.iterdir()] == [self.lock_file]:
                self.lock_file.unlink()
                self.root.rmdir()

    @contextmanager
    def _named_in_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataDirectoryError(
                f"{self.root} cannot be used as a data directory: {error.strerror}"
                + (f" ({error.filename})." if error.filename != str(self.root) else ".")
            ) from error

    def _holder(self) -> str:
        try:
            holder = json.loads(self.lock_file.read_text())
        except ValueError:
            return "a process that is just starting"
        return f"process {holder['pid']} ({holder['holder']})"
