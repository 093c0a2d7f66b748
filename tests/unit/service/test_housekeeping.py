from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blemish.domain.entities import AnsweredCall, ModelStatus, ObjectRef, Session
from blemish.service.housekeeping import Housekeeping
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.database import Database
from blemish.storage.objects.streams import FileVersion
from blemish.storage.rows.object_metadata import ObjectMetadata
from blemish.storage.rows.uploads import Part, Upload
from tests.unit.storage.samples import add_dataset, add_model, add_project, entry

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=2)
"""Two days from now: what was made by a test is two days old then."""


class Stored:
    """A data directory, and the chores over it."""

    def __init__(self, directory: DataDirectory, database: Database) -> None:
        self.directory = directory
        self.database = database
        self.housekeeping = Housekeeping(
            database, directory=directory, upload_age=timedelta(days=7), database_copies=2
        )

    def files(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.iterdir())

    def known(self) -> list[str]:
        with self.database.reading() as rows:
            found = rows.object_metadata.page(None, before_ns=2**62, limit=100_000)
        return [ref.key for ref, _ in found]


@pytest.fixture
def stored(folder: Path, empty_database: Path) -> Iterator[Stored]:
    directory = DataDirectory(folder / "data")
    directory.create()
    shutil.copy(empty_database, directory.database)
    with closing(Database.open(directory.database)) as database:
        yield Stored(directory, database)


def test_sessions_go_once_their_time_is_over(stored: Stored) -> None:
    with stored.database.writing() as rows:
        for hours in (-1, 1):
            rows.sessions.add(
                Session(
                    token_sha256=f"{hours}",
                    access_key_id="BLEMKEY",
                    expires_at=NOW + timedelta(hours=hours),
                )
            )

    stored.housekeeping.forget_sessions(NOW)

    with stored.database.reading() as rows:
        assert rows.sessions.find("-1") is None
        assert rows.sessions.find("1") is not None


def test_old_thumbnails_go(stored: Stored) -> None:
    folder = stored.directory.thumbnails / "ab"
    folder.mkdir()
    (folder / "made.jpg").write_bytes(b"a thumbnail")

    stored.housekeeping.remove_thumbnails(NOW + timedelta(days=29))
    young = stored.files(folder)
    stored.housekeeping.remove_thumbnails(NOW + timedelta(days=31))

    assert young == ["made.jpg"]
    assert stored.files(folder) == []


def test_client_tokens_go_once_their_time_is_over(stored: Stored) -> None:
    with stored.database.writing() as rows:
        for hours in (1, 7, 9):
            call = AnsweredCall(
                operation="CreateProject",
                token=f"{hours} h",
                parameters="",
                answer="{}",
                model_id=None,
                created_at=NOW - timedelta(hours=hours),
            )
            rows.client_tokens.put(call)

    stored.housekeeping.forget_client_tokens(NOW)

    with stored.database.reading() as rows:
        left = [h for h in (1, 7, 9) if rows.client_tokens.find("CreateProject", f"{h} h")]
    assert left == [1, 7]


def test_uploads_that_nothing_was_added_to_for_long_are_given_up(stored: Stored) -> None:
    for name, begun, added in [("fresh", 1, None), ("abandoned", 9, 8), ("slow", 30, 6)]:
        upload = Upload(
            id=name,
            ref=ObjectRef(bucket="images", key=name),
            headers={},
            metadata={},
            checksum_algorithm=None,
            checksum_type=None,
            created_at=NOW - timedelta(days=begun),
        )
        with stored.database.writing() as rows:
            rows.uploads.add(upload)
            if added:
                (stored.directory.uploads / name).write_bytes(b"part")
                part = Part(
                    number=1,
                    file=name,
                    size_bytes=4,
                    etag="x",
                    checksums={},
                    modified_at=NOW - timedelta(days=added),
                )
                rows.uploads.put_part(name, part)

    stored.housekeeping.give_up_uploads(NOW)

    assert stored.files(stored.directory.uploads) == ["slow"]
    with stored.database.reading() as rows:
        left = rows.uploads.page("images", prefix="", after_key="", after_id="", limit=10)
    assert [upload.id for upload in left] == ["fresh", "slow"]


def test_unfinished_files_go_after_a_day_and_files_without_a_row_to_the_trash(
    stored: Stored,
) -> None:
    directory = stored.directory
    with stored.database.writing() as rows:
        model = add_model(rows, add_project(rows))
        rows.models.claim(model.id, owner="us", now=NOW, lease_until=LATER)
    (directory.stored_files / model.entries).write_text("named")
    for folder in (directory.attempts, directory.bundles, directory.staging):
        (folder / "left").mkdir()
        (folder / "left" / "file").write_text("left")
    for folder in (directory.stored_files, directory.uploads, directory.staging):
        (folder / "left-file").write_text("left")
    (directory.attempts / f"{model.id}-1").mkdir()
    (directory.buckets / ".staging").mkdir()
    (directory.buckets / ".staging" / "left").write_text("left")
    (directory.buckets / "bucket").mkdir()
    (directory.buckets / "bucket" / "image").write_text("the user's")

    stored.housekeeping.remove_remains(datetime.now(UTC))
    early = [*directory.root.rglob("left*")]
    stored.housekeeping.remove_remains(LATER)

    assert len(early) == 7
    assert {str(path.relative_to(directory.root)) for path in directory.root.rglob("left*")} == {
        f"trash/{LATER:%Y%m%dT%H%M%SZ}/{name}"
        for name in ("bundles/left", "kept/left-file", "uploads/left-file")
    }
    assert stored.files(directory.stored_files) == [model.entries]
    assert stored.files(directory.attempts) == [f"{model.id}-1"]
    assert stored.files(directory.buckets / "bucket") == ["image"]


def test_the_trash_is_deleted_after_a_week(stored: Stored) -> None:
    trashed = stored.directory.trash / "20260101T000000Z" / "bundles"
    trashed.mkdir(parents=True)
    (trashed / "1-1").write_text("a bundle")

    stored.housekeeping.empty_trash(NOW + timedelta(days=6))
    early = stored.files(trashed)
    stored.housekeeping.empty_trash(NOW + timedelta(days=8))

    assert early == ["1-1"]
    assert stored.files(stored.directory.trash) == []


def move_to_another_disk(folder: Path, disk: Path) -> None:
    """Let a folder lie elsewhere, as if something were mounted there."""
    if disk.stat().st_dev == folder.stat().st_dev:
        pytest.skip("needs two file systems")
    folder.rmdir()
    folder.symlink_to(disk, target_is_directory=True)


def test_remains_of_buckets_on_another_disk_go_too(stored: Stored, tmp_path: Path) -> None:
    move_to_another_disk(stored.directory.buckets, tmp_path)
    (stored.directory.buckets / ".staging").mkdir()
    (stored.directory.buckets / ".staging" / "left").write_text("left")

    stored.housekeeping.remove_remains(LATER)

    assert stored.files(stored.directory.buckets / ".staging") == []


def test_remains_that_cannot_be_removed_hold_up_no_others(stored: Stored, tmp_path: Path) -> None:
    move_to_another_disk(stored.directory.stored_files, tmp_path)
    for folder in (stored.directory.stored_files, stored.directory.attempts):
        (folder / "left").write_text("left")

    stored.housekeeping.remove_remains(LATER)

    assert stored.files(stored.directory.stored_files) == ["left"]
    assert stored.files(stored.directory.attempts) == []


def test_a_fetch_that_was_cut_off_goes_when_it_is_a_day_old_and_no_backbone(
    stored: Stored,
) -> None:
    backbones = stored.directory.backbones
    for folder in (".partial", "resnet18"):
        (backbones / folder).mkdir()
        (backbones / folder / "file").write_text("weights")

    stored.housekeeping.remove_remains(datetime.now(UTC))
    early = stored.files(backbones / ".partial")
    stored.housekeeping.remove_remains(LATER)

    assert early == ["file"]
    assert stored.files(backbones / ".partial") == []
    assert stored.files(backbones / "resnet18") == ["file"]


def test_an_attempt_goes_once_its_model_is_trained(stored: Stored) -> None:
    with stored.database.writing() as rows:
        model = add_model(rows, add_project(rows), status=ModelStatus.TRAINED)
    (stored.directory.attempts / f"{model.id}-0").mkdir()

    stored.housekeeping.remove_remains(LATER)

    assert stored.files(stored.directory.attempts) == []


def put(stored: Stored, key: str, *, bucket: str = "images") -> Path:
    """Put an object with metadata."""
    ref = ObjectRef(bucket=bucket, key=key)
    path = stored.directory.buckets / bucket / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"image")
    with stored.database.writing() as rows:
        rows.object_metadata.put(ref, FileVersion.of(path.stat()), ObjectMetadata(etag="x"))
    return path


def test_objects_that_were_deleted_by_hand_are_forgotten(stored: Stored) -> None:
    put(stored, "a/kept")
    put(stored, "a/deleted").unlink()
    put(stored, "a/changed").write_bytes(b"another image")
    shutil.rmtree(put(stored, "gone/image").parent)
    shutil.rmtree(put(stored, "file/image").parent)
    (stored.directory.buckets / "images" / "file").write_text("a file now")
    shutil.rmtree(put(stored, "away", bucket="not-mounted").parent)

    stored.housekeeping.forget_objects(NOW)
    early = stored.known()
    stored.housekeeping.forget_objects(LATER)

    assert len(early) == 6  # whose files may be about to get their names
    assert stored.known() == ["a/kept", "away"]


def test_more_objects_than_are_looked_at_at_once_are_forgotten_too(stored: Stored) -> None:
    (stored.directory.buckets / "images").mkdir()
    with stored.database.writing() as rows:
        for number in range(2_500):
            ref = ObjectRef(bucket="images", key=f"{number:05}")
            version = FileVersion(size_bytes=1, modified_ns=number)
            rows.object_metadata.put(ref, version, ObjectMetadata(etag="x"))

    stored.housekeeping.forget_objects(NOW)

    assert stored.known() == []


def test_the_newest_copies_from_before_updates_stay(stored: Stored) -> None:
    for name in ("0004", "0011", "0009", "0012.partial"):
        (stored.directory.root / f"blemish.db.before-{name}").write_text("copy")
    (stored.directory.root / "blemish.db.before-lunch").write_text("the user's")

    stored.housekeeping.remove_copies(NOW)

    assert sorted(path.name for path in stored.directory.root.glob("*.before-*")) == [
        "blemish.db.before-0009",
        "blemish.db.before-0011",
        "blemish.db.before-lunch",
    ]


def test_the_log_of_the_database_is_bounded_also_while_there_is_always_a_reader(
    stored: Stored,
) -> None:
    log = stored.directory.root / "blemish.db-wal"
    with stored.database.writing() as rows:
        project = add_project(rows)
        dataset = add_dataset(rows, project)

    def write() -> None:
        for _ in range(4):
            with stored.database.writing() as rows:
                lines = (entry(str(i), line="x" * 10_000) for i in range(500))
                rows.entries.put(dataset.id, lines, now=NOW)

    with stored.database.reading() as first:
        first.projects.count()
        write()
        grown = log.stat().st_size
        refused = stored.database.shorten_log(1_000_000)
    shortened = stored.database.shorten_log(1_000_000)

    assert grown > 4_000_000
    assert not refused
    assert shortened
    assert log.stat().st_size == 0


def test_a_database_whose_rows_come_and_go_does_not_grow(stored: Stored) -> None:
    sizes = []
    with stored.database.writing() as rows:
        project = add_project(rows)
    for _ in range(6):
        with stored.database.writing() as rows:
            dataset = add_dataset(rows, project)
            rows.entries.put(dataset.id, (entry(str(i)) for i in range(5_000)), now=NOW)
        with stored.database.writing() as rows:
            rows.datasets.delete(dataset.id)
        stored.database.shorten_log(0)
        sizes.append(stored.directory.database.stat().st_size)

    assert sizes[-1] <= 1.1 * sizes[0]
