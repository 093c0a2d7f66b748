"""Rows of objects' metadata and of uploads in parts."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from blemish.domain.entities import ObjectRef
from blemish.storage.database.database import Database
from blemish.storage.objects.streams import FileVersion
from blemish.storage.rows.object_metadata import ObjectMetadata
from blemish.storage.rows.uploads import Part, Upload
from tests.unit.storage.samples import BUCKET, NOW, make_old_database

REF = ObjectRef(bucket=BUCKET, key="a/b")
OLD, NEW, OTHER = (FileVersion(size_bytes=2**40, modified_ns=1_800 * 10**15 + n) for n in range(3))
FULL = ObjectMetadata(
    etag="0" * 32,
    headers={"ContentType": "text/plain"},
    metadata={"line": "4 ü"},
    checksums={"CRC32": "AAAAAA=="},
)


def upload(upload_id: str, key: str = "a/b", bucket: str = BUCKET) -> Upload:
    return Upload(
        id=upload_id,
        ref=ObjectRef(bucket=bucket, key=key),
        headers={"ContentType": "text/plain"},
        metadata={"line": "4"},
        checksum_algorithm="CRC32",
        checksum_type="COMPOSITE",
        created_at=NOW,
    )


def part(number: int, file: str) -> Part:
    return Part(
        number=number,
        file=file,
        size_bytes=6_000_000_000,
        etag="0" * 32,
        checksums={"CRC32": "AAAAAA=="},
        modified_at=NOW,
    )


def test_metadata_are_those_of_one_content(database: Database) -> None:
    plain = ObjectMetadata(etag="1" * 32)
    with database.writing() as rows:
        rows.object_metadata.put(REF, OLD, FULL)
        rows.object_metadata.put(REF, NEW, plain)

    with database.reading() as rows:
        assert rows.object_metadata.find(REF, OLD) == FULL
        assert rows.object_metadata.find(REF, NEW) == plain
        assert rows.object_metadata.find(REF, OTHER) is None
        assert rows.object_metadata.find_all(BUCKET, [REF.key, "c"]) == {
            (REF.key, OLD): FULL,
            (REF.key, NEW): plain,
        }


def test_metadata_are_replaced_and_forgotten(database: Database) -> None:
    other = ObjectRef(bucket=BUCKET, key="a/c")
    with database.writing() as rows:
        for version in (OLD, NEW, OTHER):
            rows.object_metadata.put(REF, version, ObjectMetadata(etag="1"))
        rows.object_metadata.put(other, OLD, FULL)
        rows.object_metadata.put(REF, NEW, FULL)
        rows.object_metadata.forget_others(REF, {NEW, None})

    with database.writing() as rows:
        found = [rows.object_metadata.find(REF, version) for version in (OLD, NEW, OTHER)]
        rows.object_metadata.delete(REF)
        gone = rows.object_metadata.find(REF, NEW)
        kept = rows.object_metadata.find(other, OLD)
        rows.object_metadata.delete_bucket(BUCKET)
        assert rows.object_metadata.find(other, OLD) is None
    assert found == [None, FULL, None]
    assert gone is None
    assert kept == FULL


def test_an_upload_belongs_to_its_object(database: Database) -> None:
    with database.writing() as rows:
        rows.uploads.add(upload("one"))

    with database.reading() as rows:
        assert rows.uploads.find(REF, "one") == upload("one")
        assert rows.uploads.find(ObjectRef(bucket=BUCKET, key="A/b"), "one") is None
        assert rows.uploads.find(REF, "two") is None


def test_a_part_takes_the_place_of_one_with_its_number(database: Database) -> None:
    with database.writing() as rows:
        rows.uploads.add(upload("one"))
        assert rows.uploads.put_part("one", part(2, "first")) is None
        assert rows.uploads.put_part("one", part(1, "second")) is None
        assert rows.uploads.put_part("one", part(2, "third")) == "first"

    with database.writing() as rows:
        assert rows.uploads.parts("one") == [part(1, "second"), part(2, "third")]
        assert rows.uploads.parts("one", after=1, limit=1) == [part(2, "third")]
        assert rows.uploads.file_names() == {"second", "third"}
        assert sorted(rows.uploads.delete("one")) == ["second", "third"]
        assert rows.uploads.find(REF, "one") is None
        assert rows.uploads.file_names() == set()


def test_uploads_are_paged_by_key_and_id(database: Database) -> None:
    with database.writing() as rows:
        for upload_id, key in (("3", "a"), ("1", "a"), ("2", "a%b"), ("4", "B"), ("5", "b")):
            rows.uploads.add(upload(upload_id, key))
        rows.uploads.add(upload("6", "a", "another"))

    def page(prefix: str = "", key: str = "", upload_id: str = "", limit: int = 9) -> list[str]:
        with database.reading() as rows:
            found = rows.uploads.page(
                BUCKET, prefix=prefix, after_key=key, after_id=upload_id, limit=limit
            )
        return [each.id for each in found]

    assert page() == ["4", "1", "3", "2", "5"]
    assert page(limit=2) == ["4", "1"]
    assert page(key="a", upload_id="1") == ["3", "2", "5"]
    assert page(key="a") == ["2", "5"]
    assert page(prefix="a") == ["1", "3", "2"]
    assert page(prefix="a%") == ["2"]


def test_a_bucket_takes_its_uploads_along(database: Database) -> None:
    with database.writing() as rows:
        rows.uploads.add(upload("one"))
        rows.uploads.put_part("one", part(1, "file"))
        rows.uploads.add(upload("two", bucket="another"))

        assert rows.uploads.delete_bucket(BUCKET) == ["file"]
        assert rows.uploads.find(REF, "one") is None
        assert rows.uploads.find(upload("two", bucket="another").ref, "two")


def test_a_database_of_the_time_before_objects_had_rows_keeps_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "blemish.db"
    make_old_database(path, version="0001")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO projects (name, created_at) VALUES ('cups', '2024-05-01')")

    with closing(Database.open(path)) as database, database.writing() as rows:
        rows.uploads.add(upload("one"))
        rows.object_metadata.put(REF, OLD, FULL)
        assert rows.projects.count() == 1
