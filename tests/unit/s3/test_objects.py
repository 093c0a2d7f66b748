from __future__ import annotations

import base64
import hashlib
import os
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from blemish.s3.protocol.errors import (
    BadDigestError,
    InvalidArgumentError,
    InvalidRangeError,
    InvalidRequestError,
    KeyTooLongError,
    MalformedXMLError,
    MetadataTooLargeError,
    NoSuchBucketError,
    NoSuchKeyError,
    NotModifiedError,
    PreconditionFailedError,
    UnsupportedError,
)
from tests.unit.s3.conftest import BUCKET, Bench, Body, md5

ODD_KEYS = ("../x", "/x", "a//b", "a/./b", "a/../../x", "x#1", "a\nb", "x" * 256, "to-file", "to/x")


def test_an_object_comes_back_as_it_was_put(bench: Bench) -> None:
    expires = datetime(2030, 1, 1, tzinfo=UTC)

    put = bench.call(
        "put_object",
        key="a/b",
        body=Body(b"data", checksums={"CRC32": "rfNz4Q=="}),
        content_type="image/png",
        cache_control="no-cache",
        expires=expires,
        metadata={"line": "4"},
    )
    got = bench.call("get_object", key="a/b", checksum_mode="ENABLED")

    assert put == {"ETag": md5(b"data"), "ChecksumCRC32": "rfNz4Q==", "ChecksumType": "FULL_OBJECT"}
    assert b"".join(got.pop("Body")) == b"data"
    assert got == bench.call("head_object", key="a/b", checksum_mode="ENABLED")
    assert (got.items() >= put.items()) is True
    assert got["ContentType"] == "image/png"
    assert got["CacheControl"] == "no-cache"
    assert got["Expires"] == expires
    assert got["Metadata"] == {"line": "4"}
    assert got["ContentLength"] == 4


def test_an_object_that_says_nothing_of_itself_is_bytes(bench: Bench) -> None:
    bench.call("put_object", key="empty")

    found = bench.call("head_object", key="empty")

    assert found["ContentType"] == "binary/octet-stream"
    assert found["Metadata"] == {}
    assert found["ETag"] == md5(b"")
    assert "ChecksumType" not in found


def test_a_body_that_is_not_what_was_announced_changes_nothing(bench: Bench) -> None:
    bench.put("a", b"old", metadata={"line": "4"})

    for key in ("a", "new/object"):
        with pytest.raises(BadDigestError):
            bench.call(
                "put_object", key=key, body=Body(b"new", error=BadDigestError("not what was said"))
            )

    assert bench.get("a") == b"old"
    assert bench.call("head_object", key="a")["Metadata"] == {"line": "4"}
    assert sorted(path.name for path in bench.bucket.rglob("*")) == ["a"]
    assert bench.remains() == set()


def test_a_reader_sees_the_old_object_with_its_own_metadata(bench: Bench) -> None:
    old, new = os.urandom(2_000_000), os.urandom(2_000_000)
    bench.put("a", old, content_type="old")
    reading = bench.call("get_object", key="a")

    bench.put("a", new, content_type="new")

    assert b"".join(reading["Body"]) == old
    assert reading["ContentType"] == "old"
    assert bench.get("a") == new
    assert bench.call("head_object", key="a")["ContentType"] == "new"


def test_rows_do_not_pile_up(bench: Bench) -> None:
    for _ in range(5):
        bench.put("a")
    several = bench.rows_of("a")
    bench.call("delete_object", key="a")

    assert several <= 2
    assert bench.rows_of("a") == 0


def test_a_file_put_by_hand_is_an_object(bench: Bench) -> None:
    path = bench.put_by_hand("a/b", b"one")

    assert bench.get("a/b") == b"one"
    assert bench.etag("a/b") == md5(b"one")
    assert bench.rows_of("a/b") == 1

    path.write_bytes(b"other")
    assert bench.etag("a/b") == md5(b"other")


def test_a_file_put_by_hand_over_an_object_is_another_object(bench: Bench) -> None:
    bench.put("a", b"one", content_type="image/png")

    bench.put_by_hand("a", b"other")

    assert bench.etag("a") == md5(b"other")
    assert bench.call("head_object", key="a")["ContentType"] == "binary/octet-stream"


@pytest.mark.parametrize(
    ("key", "content_type"),
    [
        ("plates/1.jpg", "image/jpeg"),
        ("plates/1.JPEG", "image/jpeg"),
        ("mask.png", "image/png"),
        ("scan.tif", "image/tiff"),
        ("photo.webp", "image/webp"),
        ("result.json", "application/json"),
        ("train.manifest", "binary/octet-stream"),
        ("https:/x.example/data.png?a", "binary/octet-stream"),
    ],
)
def test_a_file_put_by_hand_has_the_type_that_its_name_stands_for(
    bench: Bench, key: str, content_type: str
) -> None:
    bench.put_by_hand(key)

    assert bench.call("head_object", key=key)["ContentType"] == content_type


def test_an_object_that_came_without_a_type_has_none_by_its_name(bench: Bench) -> None:
    bench.put("plate.jpg")

    assert bench.call("head_object", key="plate.jpg")["ContentType"] == "binary/octet-stream"


def test_nothing_of_ours_lies_in_a_bucket(bench: Bench) -> None:
    bench.put("a/b", metadata={"line": "4"})
    bench.etag("a/b")

    assert sorted(path.name for path in bench.bucket.rglob("*")) == ["a", "b"]


def test_a_part_of_an_object_is_read(bench: Bench) -> None:
    bench.put("a", b"0123456789")

    got = bench.call("get_object", key="a", range="bytes=2-4", checksum_mode="ENABLED")

    assert b"".join(got["Body"]) == b"234"
    assert got["StatusCode"] == 206
    assert got["ContentRange"] == "bytes 2-4/10"
    assert got["ContentLength"] == 3
    assert "ChecksumCRC32" not in got
    with pytest.raises(InvalidRangeError):
        bench.call("get_object", key="a", range="bytes=10-")


def test_conditions_hold_for_a_read(bench: Bench) -> None:
    bench.put("a", b"data")

    assert bench.get("a", if_match=md5(b"data")) == b"data"
    with pytest.raises(PreconditionFailedError):
        bench.call("get_object", key="a", if_match=md5(b"other"))
    with pytest.raises(NotModifiedError):
        bench.call("head_object", key="a", if_none_match=md5(b"data"))


def test_conditions_hold_for_a_write(bench: Bench) -> None:
    bench.put("a", b"old", if_none_match="*")

    with pytest.raises(PreconditionFailedError):
        bench.put("a", b"new", if_none_match="*")
    with pytest.raises(PreconditionFailedError):
        bench.put("a", b"new", if_match=md5(b"other"))
    with pytest.raises(PreconditionFailedError):
        bench.call("delete_object", key="a", if_match=md5(b"other"))
    with pytest.raises(NoSuchKeyError):
        bench.put("absent", if_match=md5(b"old"))
    assert bench.get("a") == b"old"

    bench.put("a", b"new", if_match=md5(b"old"))
    assert bench.get("a") == b"new"


def test_a_presigned_link_may_name_headers_of_the_answer(bench: Bench) -> None:
    bench.put("a", content_type="image/png")

    got = bench.call("head_object", key="a", response_content_type="text/plain")

    assert got["ContentType"] == "text/plain"


def test_what_is_missing_is_told(bench: Bench) -> None:
    bench.put("folder/file")

    for key in ("absent", "absent/below", "folder", "folder/", "folder/file/below"):
        for operation in ("get_object", "head_object"):
            with pytest.raises(NoSuchKeyError, match=key):
                bench.call(operation, key=key)
        bench.call("delete_object", key=key)
    for operation in ("get_object", "head_object", "put_object", "delete_object"):
        for key in ("a", "a/"):
            with pytest.raises(NoSuchBucketError, match="absent"):
                bench.call(operation, bucket="absent", key=key)
    assert bench.get("folder/file") == b"data"


@pytest.mark.parametrize("key", ODD_KEYS)
def test_a_key_that_no_file_can_have_is_refused_by_name(
    bench: Bench, tmp_path: Path, key: str
) -> None:
    outside = tmp_path / "x"
    outside.write_bytes(b"outside")
    (bench.bucket / "to-file").symlink_to(outside)
    (bench.bucket / "to").symlink_to(tmp_path)

    for operation in ("put_object", "get_object", "head_object", "delete_object"):
        with pytest.raises(InvalidArgumentError) as caught:
            bench.call(operation, key=key)
        assert repr(key)[:200] in caught.value.message
    with pytest.raises(InvalidArgumentError):
        bench.call("copy_object", key="copy", copy_source=f"{BUCKET}/{key}".replace("\n", "%0A"))
    with pytest.raises(InvalidArgumentError):
        bench.call("create_multipart_upload", key=key)

    assert outside.read_bytes() == b"outside"
    assert not (bench.bucket / "copy").exists()


def test_a_key_that_is_too_long_has_an_error_of_its_own(bench: Bench) -> None:
    with pytest.raises(KeyTooLongError):
        bench.put("x/" * 512 + "x")


def test_a_key_that_a_folder_has_cannot_be_written(bench: Bench) -> None:
    bench.put("folder/file")

    for key in ("folder", "folder/file/below"):
        with pytest.raises(InvalidArgumentError, match=key):
            bench.put(key)


def test_what_is_not_offered_is_refused(bench: Bench) -> None:
    bench.put("a", storage_class="STANDARD", acl="private", content_md5="x", content_length=4)

    for header, member in (
        ("x-amz-server-side-encryption", {"server_side_encryption": "aws:kms"}),
        ("x-amz-server-side-encryption-aws-kms-key-id", {"ssekms_key_id": "alias/key"}),
        ("x-amz-storage-class", {"storage_class": "GLACIER"}),
        ("x-amz-acl", {"acl": "public-read"}),
    ):
        with pytest.raises(UnsupportedError, match=f"^{header}[: ]"):
            bench.put("a", b"new", **member)
    with pytest.raises(UnsupportedError, match="versionId"):
        bench.call("get_object", key="a", version_id="1")
    with pytest.raises(UnsupportedError, match="partNumber"):
        bench.call("get_object", key="a", part_number=1)
    assert bench.get("a", version_id="null") == b"data"


@pytest.mark.parametrize("operation", ["put_object", "copy_object", "create_multipart_upload"])
@pytest.mark.parametrize(
    "members",
    [
        {"metadata": {"name": "日本"}},
        {"metadata": {"name": "a\r\nb"}},
        {"metadata": {"日本": "name"}},
        {"metadata": {"a: b\r\nc": "name"}},
        {"content_type": "a\0"},
    ],
)
def test_what_no_answer_could_give_back_is_not_taken(
    bench: Bench, operation: str, members: dict[str, Any]
) -> None:
    bench.put("source")
    source = {"copy_source": f"{BUCKET}/source"} if operation == "copy_object" else {}

    with pytest.raises(InvalidArgumentError):
        bench.call(operation, key="a", **source, **members)

    with pytest.raises(NoSuchKeyError):
        bench.call("head_object", key="a")


def test_metadata_are_bounded(bench: Bench) -> None:
    bench.put("a", metadata={"a": "x" * 2047})

    with pytest.raises(MetadataTooLargeError):
        bench.put("a", metadata={"a": "x" * 2048})


def test_many_objects_are_deleted_at_once(bench: Bench) -> None:
    for key in ("a", "b/c", "kept"):
        bench.put(key)

    told = bench.call(
        "delete_objects",
        delete={"Objects": [{"Key": key} for key in ("a", "b/c", "absent", "../x")]},
    )

    assert told["Deleted"] == [{"Key": "a"}, {"Key": "b/c"}, {"Key": "absent"}]
    assert [(each["Key"], each["Code"]) for each in told["Errors"]] == [("../x", "InvalidArgument")]
    assert [path.name for path in bench.bucket.iterdir()] == ["kept"]
    quiet = bench.call("delete_objects", delete={"Objects": [{"Key": "a"}], "Quiet": True})
    assert quiet == {"Deleted": [], "Errors": []}
    for wanted in ([], [{"Key": "a"}] * 1001):
        with pytest.raises(MalformedXMLError):
            bench.call("delete_objects", delete={"Objects": wanted})


def test_of_a_missing_bucket_nothing_is_deleted(bench: Bench) -> None:
    with pytest.raises(NoSuchBucketError):
        bench.call("delete_objects", bucket="absent", delete={"Objects": [{"Key": "a"}]})


def test_a_copy_takes_its_metadata_along_unless_told_others(bench: Bench) -> None:
    bench.put("a ä", b"data", content_type="image/png", metadata={"line": "4"})

    told = bench.call("copy_object", key="b", copy_source=f"/{BUCKET}/a%20%C3%A4")
    bench.call(
        "copy_object",
        key="c",
        copy_source=f"{BUCKET}/a%20%C3%A4",
        metadata_directive="REPLACE",
        metadata={"line": "5"},
    )

    assert told["CopyObjectResult"]["ETag"] == md5(b"data")
    assert bench.get("b") == bench.get("c") == b"data"
    copies = [bench.call("head_object", key=key) for key in ("b", "c")]
    assert [copy["ContentType"] for copy in copies] == ["image/png", "binary/octet-stream"]
    assert [copy["Metadata"] for copy in copies] == [{"line": "4"}, {"line": "5"}]


def test_a_copy_has_the_checksum_that_its_request_names(bench: Bench) -> None:
    composite = {"CRC32": "AAAAAA==-2"}
    bench.call("put_object", key="a", body=Body(b"data", checksums=composite))
    crc32 = base64.b64encode(zlib.crc32(b"data").to_bytes(4, "big")).decode()
    sha256 = base64.b64encode(hashlib.sha256(b"data").digest()).decode()

    usual = bench.call("copy_object", key="b", copy_source=f"{BUCKET}/a")
    named = bench.call(
        "copy_object", key="c", copy_source=f"{BUCKET}/a", checksum_algorithm="SHA256"
    )

    assert usual["CopyObjectResult"]["ChecksumCRC32"] == crc32
    assert named["CopyObjectResult"]["ChecksumSHA256"] == sha256
    assert "ChecksumCRC32" not in named["CopyObjectResult"]
    with pytest.raises(InvalidRequestError, match="MD4"):
        bench.call("copy_object", key="d", copy_source=f"{BUCKET}/a", checksum_algorithm="MD4")


def test_a_copy_onto_itself_changes_metadata_or_is_refused(bench: Bench) -> None:
    bench.put("a", b"data", metadata={"line": "4"})
    source = f"{BUCKET}/a"

    with pytest.raises(InvalidRequestError):
        bench.call("copy_object", key="a", copy_source=source)
    bench.call("copy_object", key="a", copy_source=source, metadata_directive="REPLACE")

    assert bench.get("a") == b"data"
    assert bench.call("head_object", key="a")["Metadata"] == {}
    with pytest.raises(NoSuchKeyError):
        bench.call("copy_object", key="absent", copy_source=f"{BUCKET}/absent")


def test_a_copy_may_have_conditions(bench: Bench) -> None:
    bench.put("a")

    for condition in ({"if_match": '"x"'}, {"if_none_match": md5(b"data")}):
        members = {f"copy_source_{name}": value for name, value in condition.items()}
        with pytest.raises(PreconditionFailedError):
            bench.call("copy_object", key="b", copy_source=f"{BUCKET}/a", **members)

    assert not (bench.bucket / "b").exists()
    for source in ("a", "", f"{BUCKET}/"):
        with pytest.raises(InvalidArgumentError):
            bench.call("copy_object", key="b", copy_source=source)
    with pytest.raises(UnsupportedError):
        bench.call("copy_object", key="b", copy_source=f"{BUCKET}/a?versionId=1")
