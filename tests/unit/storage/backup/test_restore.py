from __future__ import annotations

import secrets
import shutil
import sqlite3
import tarfile
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from blemish.storage.backup.archive import HEAD, SUMS
from blemish.storage.backup.restore import Restore, missing_keys
from blemish.storage.data_directory import DataDirectory, DirectoryBusyError
from blemish.storage.database.database import Database
from blemish.storage.encryption.keyring import Keyring, new_key
from blemish.storage.errors import BackupBrokenError, BackupError, RestoreUnfinishedError
from tests.unit.storage.directories import (
    Served,
    back_up,
    ignored,
    killed_at,
    restored,
    rows_of,
)
from tests.unit.storage.samples import NOW, make_old_database
from tests.unit.storage.sealing import new_encryption


def test_a_backup_of_an_older_version_is_brought_up_to_date_by_the_start(
    served: Served, folder: Path
) -> None:
    archive = back_up(served, folder / "backup.tar")
    older = served.directory.root.parent / "older.db"
    make_old_database(older, version="0002")
    files = folder / "files"
    with tarfile.open(archive) as tar:
        tar.extractall(files, filter="data")
    shutil.copy(older, files / "blemish.db")
    rewritten = folder / "rewritten.tar"
    rewrite(files, rewritten)

    directory = restored(rewritten, folder / "again")

    Database.open(directory.database).close()
    assert (directory.root / f"blemish.db.before-{newest(directory)}").exists()


def newest(directory: DataDirectory) -> str:
    with closing(sqlite3.connect(directory.database)) as connection:
        found: str = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    return found


def rewrite(files: Path, to: Path) -> None:
    """Pack what was unpacked, with right checksums, as a user with tools would."""
    names = [HEAD, *(n for n in tar_names(files) if n not in {HEAD, SUMS})]
    sums = "".join(f"{sha256((files / n).read_bytes()).hexdigest()}  {n}\n" for n in names)
    (files / SUMS).write_text(sums)
    with tarfile.open(to, "w") as tar:
        for name in [*names, SUMS]:
            tar.add(files / name, name)


def tar_names(files: Path) -> list[str]:
    return sorted(str(path.relative_to(files)) for path in files.rglob("*") if path.is_file())


def test_one_of_a_later_version_is_refused(served: Served, folder: Path) -> None:
    files = folder / "files"
    with tarfile.open(back_up(served, folder / "backup.tar")) as tar:
        tar.extractall(files, filter="data")
    with closing(sqlite3.connect(files / "blemish.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    rewrite(files, folder / "later.tar")

    with pytest.raises(BackupError, match="was made by a later version"):
        restored(folder / "later.tar", folder / "again")

    assert not (folder / "again").exists()


def test_a_folder_that_holds_anything_is_left_alone(served: Served, folder: Path) -> None:
    archive = back_up(served, folder / "backup.tar")
    other = folder / "other"
    other.mkdir()
    (other / "mine").write_text("mine")

    with pytest.raises(BackupError, match="other is not empty: 'mine' is in it"):
        restored(archive, other)
    with served.directory.lock("a server"), pytest.raises(DirectoryBusyError, match="a server"):
        restored(archive, served.directory.root)

    assert (other / "mine").read_text() == "mine"
    assert rows_of(served.directory) == ["1-1"]


def test_an_empty_folder_is_taken_and_is_empty_again_after_a_failure(
    served: Served, folder: Path
) -> None:
    archive = back_up(served, folder / "backup.tar")
    damaged = folder / "damaged.tar"
    damaged.write_bytes(archive.read_bytes().replace(b"bundle.json of 1", b"bundle.json of 2", 1))
    mount = folder / "mount"
    (mount / "lost+found").mkdir(parents=True)

    with pytest.raises(BackupBrokenError, match=r"bundles/1-1/bundle\.json is not what it was"):
        restored(damaged, mount)
    left = sorted(path.name for path in mount.iterdir())
    directory = restored(archive, mount)

    assert left == ["lost+found", "serve.lock"]
    assert rows_of(directory) == ["1-1"]


def test_empty_folders_of_a_server_are_taken_and_a_file_in_one_is_not(
    served: Served, folder: Path
) -> None:
    archive = back_up(served, folder / "backup.tar")
    other = DataDirectory(folder / "other")
    other.create()
    (other.keyring / "mine").touch()

    with pytest.raises(BackupError, match="other is not empty: 'keyring' is in it"):
        restored(archive, other.root)
    (other.keyring / "mine").unlink()
    directory = restored(archive, other.root)

    assert rows_of(directory) == ["1-1"]


@pytest.mark.parametrize("rename", [1, 2, 3, 4])
def test_a_restore_that_is_killed_is_never_served_and_can_be_begun_again(
    served: Served, folder: Path, rename: int
) -> None:
    archive = back_up(served, folder / "backup.tar", with_objects=True)
    root = folder / "again"

    assert killed_at(rename, "restore", archive, root)

    with pytest.raises(RestoreUnfinishedError, match="was cut off"):
        DataDirectory(root).create()
    directory = restored(archive, root)
    directory.create()
    assert rows_of(directory) == ["1-1"]
    assert not directory.restoring.exists()


def test_missing_keys_are_told_with_what_they_open(served: Served, folder: Path) -> None:
    keyring = Keyring(served.directory.keyring, staging=served.directory.staging)
    first, second = (
        new_key(alias, random_bytes=secrets.token_bytes, now=NOW) for alias in ("default", "other")
    )
    keyring.settle(first)
    encryption = new_encryption(keyring)
    sealed = encryption.seal_bytes(b"a graph", context={})
    (served.directory.bundles / "1-1" / "model.onnx").write_bytes(sealed)
    (served.directory.stored_files / "circuits-1.jsonl").write_bytes(sealed)
    secret = encryption.seal_text("secret", context={})
    with closing(sqlite3.connect(served.directory.database)) as connection, connection:
        connection.execute(
            "INSERT INTO access_keys (id, name, secret, created_at) VALUES (?, ?, ?, ?)",
            ("BLEM1", "line 4", secret, NOW.isoformat(" ")),
        )
    archive = back_up(served, folder / "backup.tar")
    run = Restore(archive, DataDirectory(folder / "again"), progress=ignored)

    with run.started():
        needed = run.sealed()
        run.carry_out(keys={})

    assert [(each.key.id, each.opens) for each in needed] == [
        (first.id, ("access key line 4", "model circuits/1"))
    ]
    assert missing_keys(needed, {f"{second.id}.json": b""}) == needed
    assert missing_keys(needed, {f"{first.id}.json": b""}) == []
