from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from blemish.storage.backup.backup import Backup
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.database import Database
from blemish.storage.errors import DatabaseError, StoreWriteError
from blemish.storage.shared.adoption import share_files
from tests.unit.storage.directories import (
    OLD_NS,
    Served,
    back_up,
    killed_at,
    restored,
    rows_of,
    uploads_of,
)
from tests.unit.storage.samples import make_old_database
from tests.unit.storage.shared_folders import shared_folders


def add_line(served: Served, *, images: int) -> Path:
    """Add a line with images, and without records."""
    line = served.directory.lines / "press"
    (line / "images").mkdir(parents=True)
    (line / "line.toml").write_text("[model]")
    for number in range(images):
        (line / "images" / f"{number}.jpg").write_bytes(b"image")
    with closing(sqlite3.connect(line / "station.db")) as records, records:
        records.execute("CREATE TABLE images (file TEXT)")
    return line


def test_rows_and_their_files_come_back_and_secrets_do_not(served: Served, folder: Path) -> None:
    (served.directory.bundles / "of-nobody").mkdir()
    archive = back_up(served, folder / "backup.tar")

    directory = restored(archive, folder / "again")

    assert archive.stat().st_mode & 0o777 == 0o600
    assert rows_of(directory) == ["1-1"]
    assert sorted(path.name for path in directory.root.iterdir()) == [
        "blemish.db",
        "bundles",
        "identity",
        "kept",
        "serve.lock",
    ]
    assert [path.name for path in directory.bundles.iterdir()] == ["1-1"]
    assert b"hush-hush" not in archive.read_bytes()
    assert directory.database.stat().st_mode & 0o777 == 0o600
    assert directory.root.stat().st_mode & 0o777 == 0o700


def test_objects_come_along_where_they_are_asked_for(served: Served, folder: Path) -> None:
    (served.directory.buckets / "empty").mkdir()
    served.add_upload()
    without = back_up(served, folder / "without.tar")
    archive = back_up(served, folder / "with.tar", with_objects=True)

    directory = restored(archive, folder / "again")
    bare = restored(without, folder / "bare")

    image = directory.buckets / "images" / "a" / "1.jpg"
    assert image.read_bytes() == b"image"
    assert image.stat().st_mtime_ns == OLD_NS
    assert (directory.buckets / "empty").is_dir()
    assert uploads_of(directory) == {"part"}
    assert (directory.uploads / "part").read_bytes() == b"part"
    assert not bare.buckets.exists()
    assert uploads_of(bare) == set()


@pytest.mark.parametrize("with_objects", [False, True])
def test_lines_come_along_while_they_run(
    served: Served, folder: Path, *, with_objects: bool
) -> None:
    line = served.directory.lines / "press"
    (line / "images").mkdir(parents=True)
    (line / "line.toml").write_text("[model]")
    (line / "images" / "1.jpg").write_bytes(b"image")
    (line / "images" / ".2.jpg.unfinished").write_bytes(b"half an image")
    with closing(sqlite3.connect(line / "station.db")) as records:
        records.execute("PRAGMA journal_mode = WAL")
        with records:
            records.execute("CREATE TABLE images (file TEXT)")
            records.execute("INSERT INTO images VALUES ('1.jpg')")
        records.execute("INSERT INTO images VALUES ('not committed.jpg')")

        archive = back_up(served, folder / "backup.tar", with_objects=with_objects)

    again = restored(archive, folder / "again").lines / "press"
    assert (again / "line.toml").read_text() == "[model]"
    with closing(sqlite3.connect(again / "station.db")) as records:
        assert records.execute("SELECT file FROM images").fetchall() == [("1.jpg",)]
    images = [path.name for path in again.glob("images/*")]
    assert images == (["1.jpg"] if with_objects else [])
    assert [path.name for path in folder.glob("*.partial")] == []


def test_nobody_else_reads_the_copy_of_the_records_of_a_line(served: Served, folder: Path) -> None:
    add_line(served, images=0)
    copy, foreign = folder / "backup.tar.lines.partial", folder / "of-somebody"
    foreign.write_text("mine")
    copy.symlink_to(foreign)
    modes = set()

    def look(_: int) -> None:
        if copy.exists() and not copy.is_symlink():
            modes.add(copy.stat().st_mode & 0o777)

    umask = os.umask(0o022)
    try:
        back_up(served, folder / "backup.tar", progress=look)
    finally:
        os.umask(umask)

    assert modes == {0o600}
    assert foreign.read_text() == "mine"


def test_images_that_a_line_removes_meanwhile_are_left_out(
    served: Served, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = add_line(served, images=3) / "images"
    backup, look = Backup(served.directory, with_objects=True), os.stat

    def remove_after_look(path: Any, **options: Any) -> os.stat_result:
        found_now = look(path, **options)
        if isinstance(path, Path) and path.name == "0.jpg":
            path.unlink()
        return found_now

    def remove_the_next(_: int) -> None:
        if (images / "1.jpg").exists() and not (images / "0.jpg").exists():
            (images / "1.jpg").unlink()

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", remove_after_look)
        assert backup.size_bytes() > 0
    archive = back_up(served, folder / "backup.tar", with_objects=True, progress=remove_the_next)

    again = restored(archive, folder / "again").lines / "press" / "images"
    assert [path.name for path in again.iterdir()] == ["2.jpg"]


def test_models_that_come_and_go_meanwhile_are_there_whole_or_not_at_all(
    served: Served, folder: Path
) -> None:
    served.add_model()
    served.add_model()
    doings = {3: "1-1", 10: "3-1"}  # one is read then, and the other is not yet
    pieces = [0]

    def work_on(_: int) -> None:
        pieces[0] += 1
        if bundle := doings.pop(pieces[0], None):
            served.delete_model(bundle)
            served.add_model()

    archive = back_up(served, folder / "backup.tar", progress=work_on)

    assert doings == {}
    assert rows_of(restored(archive, folder / "again")) == ["2-1", "4-1", "5-1"]


def test_a_batch_that_runs_meanwhile_begins_anew_after_a_restore(
    served: Served, folder: Path
) -> None:
    segments = {served.add_segment()}

    def work_on(_: int) -> None:
        segments.add(served.add_segment())

    archive = back_up(served, folder / "backup.tar", progress=work_on)

    directory = restored(archive, folder / "again")
    assert rows_of(directory) == ["1-1"]
    assert segments.isdisjoint(path.name for path in directory.stored_files.iterdir())
    with (
        closing(Database.open_current(directory.database)) as database,
        database.reading() as rows,
    ):
        (job,) = rows.detection_jobs.unsettled()
        assert rows.detection_segments.of_job(job.id) == []


def test_files_that_several_servers_share_are_in_a_backup(served: Served, folder: Path) -> None:
    name, entries = "1-1", next(served.directory.stored_files.iterdir()).name
    shared = {
        kind: shared_folders(folder / "shared", "first", kind=kind) for kind in ("bundles", "kept")
    }
    local = back_up(served, folder / "local.tar")
    for kind, of_directory in (
        ("bundles", served.directory.bundles),
        ("kept", served.directory.stored_files),
    ):
        share_files(of_directory, shared[kind], staging=served.directory.staging)
    backup = Backup(served.directory, with_objects=False, shared=shared.values())

    backup.write(folder / "all.tar", version="1", now=datetime.now(UTC), progress=lambda _: None)

    one, other = (restored(path, folder / path.stem) for path in (local, folder / "all.tar"))
    assert rows_of(one) == rows_of(other) == [name]
    files = [path.relative_to(one.root) for path in sorted(one.bundles.rglob("*"))]
    assert files == [path.relative_to(other.root) for path in sorted(other.bundles.rglob("*"))]
    assert (other.stored_files / entries).read_bytes() == (one.stored_files / entries).read_bytes()


def test_the_size_that_is_told_is_about_what_is_written(served: Served, folder: Path) -> None:
    written = [0]

    def count(size: int) -> None:
        written[0] += size

    served.put_object("large", bytes(3_000_000))
    told = Backup(served.directory, with_objects=True).size_bytes()
    back_up(served, folder / "backup.tar", with_objects=True, progress=count)

    assert told == pytest.approx(written[0], rel=0.1)


def test_what_cannot_be_backed_up_leaves_nothing(served: Served, folder: Path) -> None:
    taken = folder / "taken.tar"
    taken.write_text("mine")
    nothing = DataDirectory(folder / "nothing")
    nothing.create()

    def fail(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(StoreWriteError, match=r"taken\.tar is there already"):
        back_up(served, taken)
    with pytest.raises(StoreWriteError, match=r"cannot be written \(No such file"):
        back_up(served, folder / "absent" / "backup.tar")
    with pytest.raises(DatabaseError, match="There is no database"):
        Backup(nothing, with_objects=False).size_bytes()
    with pytest.raises(KeyboardInterrupt):
        back_up(served, folder / "backup.tar", progress=fail)

    assert taken.read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir()) == ["data", "nothing", "taken.tar"]


def test_an_older_database_is_not_touched_by_a_backup(folder: Path) -> None:
    directory = DataDirectory(folder / "data")
    directory.create()
    make_old_database(directory.database, version="0001")

    with pytest.raises(DatabaseError, match=r"its schema is 0001.*Start the server once"):
        Backup(directory, with_objects=False).size_bytes()


@pytest.mark.parametrize("rename", [1, 2])
def test_a_backup_that_is_killed_has_no_name(served: Served, folder: Path, rename: int) -> None:
    archive = folder / "backup.tar"

    assert killed_at(rename, "backup", archive, served.directory.root)

    assert not archive.exists()
    back_up(served, archive)
    assert list(folder.glob("*.partial*")) == []
    assert rows_of(restored(archive, folder / "again")) == ["1-1"]
