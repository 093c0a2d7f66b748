"""Restoring a backup into an empty data directory.

Everything is written below `restoring/`, checked and synced before anything is moved into place;
the database comes last. No server starts while `restoring/` exists, so that an interrupted restore
is never mistaken for a complete one. It starts from the beginning.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from blemish.storage.backup.archive import ArchiveReader
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.addresses import DatabaseAddress
from blemish.storage.database.copies import access_key_secrets, files_of_models, forget_identity
from blemish.storage.database.database import Database, engine_of, rows_copied_from
from blemish.storage.directory_identity import ADOPT
from blemish.storage.encryption.encryption import text_key
from blemish.storage.encryption.sealed_header import LOCAL_PROVIDER, SealingKey, sealing_key
from blemish.storage.errors import (
    BackupBrokenError,
    BackupError,
    SchemaTooNewError,
    SealBrokenError,
)
from blemish.storage.files import clear_file_errors, sync_folder

DATABASE = "blemish.db"
IDENTITY = "identity"

FOLDERS = ("buckets", "bundles", "kept", "keyring", "lines", "uploads")
"""Folders that a restore moves into place before the database."""

NOTHING = frozenset({"lost+found", "serve.lock", "restoring"})
"""Entries that an empty data directory may have."""


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """The items of a backup that one key opens."""

    key: SealingKey
    #: models and access keys by their names, other files by their paths
    opens: tuple[str, ...]


class Restore:
    """Restores a backup into a data directory that nothing else uses."""

    def __init__(
        self,
        archive: Path,
        directory: DataDirectory,
        *,
        progress: Callable[[int], None],
        database: DatabaseAddress | None = None,
    ) -> None:
        self._archive = ArchiveReader(archive, progress=progress)
        self._path = archive
        self._directory = directory
        self._address = database or directory.database

    @contextmanager
    def started(self) -> Iterator[None]:
        """Lock the data directory; an exception within leaves it empty.

        Raises:
            BackupError: it is not empty, or the database is not.
            DatabaseError: the database cannot be reached.
            DirectoryBusyError: another process holds it.
            StoreWriteError: it cannot be written.
        """
        root, restoring = self._directory.root, self._directory.restoring
        is_new = not root.exists()
        self._check_address()
        with clear_file_errors(root):
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._directory.lock(f"a restore of {self._path}"):
            if restoring.exists():
                self._clear()
            if present := self._present():
                raise BackupError(
                    f"{root} is not empty: {present[0]!r:.100} is in it. A backup is restored into "
                    "an empty folder, or one that does not exist yet."
                )
            with clear_file_errors(root):
                restoring.mkdir(mode=0o700)
                sync_folder(root)
            try:
                yield
            except BaseException:
                self._clear()
                if is_new:
                    self._directory.lock_file.unlink(missing_ok=True)
                    with suppress(OSError):
                        root.rmdir()
                raise

    def sealed(self) -> list[Sealed]:
        """Return the keys that the backup needs. Nothing is verified yet.

        Raises:
            BackupBrokenError: it is no backup, incomplete or damaged.
            DatabaseError: its database cannot be read.
            StoreWriteError: the disk is too full for its database.
        """
        files: list[tuple[SealingKey, str]] = []
        for name, file in self._archive.heads():
            if name == DATABASE:
                return self._grouped(files, file)
            with suppress(ValueError):  # damaged: the checksum will show it
                if key := sealing_key(cast(BinaryIO, file)):
                    files.append((key, name))
        raise BackupBrokenError(f"{self._path} was cut off: its database is missing.")

    def _grouped(self, files: list[tuple[SealingKey, str]], database: IO[bytes]) -> list[Sealed]:
        """Return what each key opens: these files, and access keys."""
        copy = self._directory.restoring / "looked-at.db"
        try:
            with clear_file_errors(copy), copy.open("xb") as target:
                shutil.copyfileobj(database, target)
            models, secrets = files_of_models(copy), access_key_secrets(copy)
        finally:
            copy.unlink(missing_ok=True)
        items_of_key: dict[SealingKey, set[str]] = defaultdict(set)
        for key, path in files:
            name = path.split("/")[1]
            items_of_key[key].add(f"model {models[name]}" if name in models else path)
        for name, secret in secrets.items():
            with suppress(SealBrokenError):  # older versions did not seal them
                key = SealingKey(provider=LOCAL_PROVIDER, id=text_key(secret, name=name))
                items_of_key[key].add(f"access key {name}")
        return [
            Sealed(key=key, opens=tuple(sorted(items_of_key[key])))
            for key in sorted(items_of_key, key=lambda key: key.id)
        ]

    def carry_out(self, *, keys: Mapping[str, bytes]) -> None:
        """Move the backup into place.

        Args:
            keys: files of the keyring, by name.

        Raises:
            BackupBrokenError: it is incomplete or damaged; nothing was restored.
            DatabaseError: this version cannot use it.
            StoreWriteError: it cannot be written, `StoreFullError` if the disk is full.
        """
        restoring = self._directory.restoring
        with clear_file_errors(restoring):
            self._archive.extract(restoring)
            for name, data in keys.items():
                path = restoring / "keyring" / name
                path.parent.mkdir(mode=0o700, exist_ok=True)
                path.touch(mode=0o600)
                path.write_bytes(data)
            self._check(restoring / DATABASE)
            forget_identity(restoring / DATABASE)
            (restoring / IDENTITY).write_text(ADOPT)
            os.sync()  # one call for perhaps a million images
            with self._filled_database():
                for name in (*FOLDERS, IDENTITY):
                    if (restoring / name).exists():
                        (restoring / name).rename(self._directory.root / name)
                sync_folder(self._directory.root)
            shutil.rmtree(restoring)
            sync_folder(self._directory.root)

    def _present(self) -> list[str]:
        """Return what is in the data directory, without empty folders of a server."""
        return sorted(
            path.name
            for path in self._directory.root.iterdir()
            if path.name not in NOTHING
            and not (path in self._directory.folders and _is_empty_folder(path))
        )

    def _check_address(self) -> None:
        """Refuse a database of PostgreSQL that is not empty; a file is in the empty folder."""
        if isinstance(self._address, Path):
            return
        with closing(engine_of(self._address)) as engine:
            if engine.summary() is not None:
                raise BackupError(
                    f"{self._address} is not empty. A backup is restored into an empty one: drop "
                    "it and create it anew, or name another by BLEMISH_DATABASE_URL."
                )

    @contextmanager
    def _filled_database(self) -> Iterator[None]:
        """Put the rows into place at the end of the context."""
        file = self._directory.restoring / DATABASE
        if isinstance(self._address, Path):
            yield
            file.rename(self._directory.database)
            sync_folder(self._directory.root)
        else:
            with rows_copied_from(file, self._address):
                yield

    def _check(self, database: Path) -> None:
        try:
            Database.check(database)
        except SchemaTooNewError:
            raise BackupError(
                f"{self._path} was made by a later version of Blemish. Restore it with that."
            ) from None

    def _clear(self) -> None:
        """Remove everything that the restore has written."""
        root = self._directory.root
        for name in FOLDERS:
            shutil.rmtree(root / name, ignore_errors=True)
        (root / IDENTITY).unlink(missing_ok=True)
        (root / DATABASE).unlink(missing_ok=True)
        shutil.rmtree(self._directory.restoring)


def _is_empty_folder(path: Path) -> bool:
    """Return whether a folder of a backup can replace this path."""
    return (
        path.is_dir() and not path.is_symlink() and not path.is_mount() and not any(path.iterdir())
    )


def missing_keys(sealed: Sequence[Sealed], keys: Mapping[str, bytes]) -> list[Sealed]:
    """Return the items that `keys`, files of a keyring by name, do not open."""
    return [
        item
        for item in sealed
        if item.key.provider == LOCAL_PROVIDER and f"{item.key.id}.json" not in keys
    ]
