from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import pytest

from blemish.s3 import assembly
from blemish.s3.protocol.errors import (
    BadDigestError,
    EntityTooSmallError,
    InvalidArgumentError,
    InvalidPartError,
    InvalidPartOrderError,
    InvalidRequestError,
    MalformedXMLError,
    NoSuchBucketError,
    NoSuchUploadError,
    PreconditionFailedError,
)
from tests.unit.s3.conftest import BUCKET, Bench, Body, md5

KEY = "a/b"
FIRST, SECOND = b"first" * 100, b"second"


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "MIN_PART_BYTES", len(FIRST))


class Upload:
    """An upload in parts."""

    def __init__(self, bench: Bench, **members: Any) -> None:
        self._bench = bench
        self.id = bench.call("create_multipart_upload", key=KEY, **members)["UploadId"]
        self.parts: list[dict[str, Any]] = []

    def call(self, operation: str, **members: Any) -> Any:
        return self._bench.call(operation, **{"key": KEY, "upload_id": self.id} | members)

    def add(self, number: int, data: bytes) -> None:
        told = self.call("upload_part", part_number=number, body=Body(data))
        self.parts.append({"PartNumber": number, **told})

    def complete(self, **members: Any) -> Any:
        chosen = {"multipart_upload": {"Parts": self.parts}} | members
        return self.call("complete_multipart_upload", **chosen)


def crc32(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


def composite_etag(*parts: bytes) -> str:
    md5s = b"".join(hashlib.md5(part).digest() for part in parts)
    return f'"{hashlib.md5(md5s).hexdigest()}-{len(parts)}"'


def test_parts_become_one_object(bench: Bench) -> None:
    upload = Upload(bench, content_type="image/png", metadata={"line": "4"})
    upload.add(3, FIRST)
    upload.add(7, SECOND)
    before = [path for path in bench.bucket.rglob("*") if path.is_file()]

    told = upload.complete()

    assert before == []
    assert told["ETag"] == composite_etag(FIRST, SECOND) == bench.etag(KEY)
    assert bench.get(KEY) == FIRST + SECOND
    found = bench.call("head_object", key=KEY)
    assert (found["ContentType"], found["Metadata"]) == ("image/png", {"line": "4"})
    assert bench.remains() == set()
    with pytest.raises(NoSuchUploadError):
        upload.add(8, SECOND)


def test_a_completion_that_is_sent_again_is_answered_as_the_first_time(bench: Bench) -> None:
    upload = Upload(bench, checksum_algorithm="CRC32", server_side_encryption="AES256")
    upload.add(1, FIRST)
    answer = upload.complete(if_none_match="*")
    bench.put(KEY, b"newer")

    repeated = upload.complete(if_none_match="*")

    assert repeated == answer
    assert bench.get(KEY) == b"newer"
    with pytest.raises(NoSuchUploadError):
        upload.complete(multipart_upload={"Parts": [{"PartNumber": 1, "ETag": "other"}]})
    with pytest.raises(NoSuchUploadError):
        upload.complete(key="other")


def test_a_part_that_is_sent_again_takes_the_place_of_the_first(bench: Bench) -> None:
    upload = Upload(bench)
    upload.add(1, b"wrong")
    upload.parts.clear()
    upload.add(1, FIRST)

    upload.complete()

    assert bench.get(KEY) == FIRST


def test_a_broken_part_leaves_what_was_there(bench: Bench) -> None:
    upload = Upload(bench)
    upload.add(1, FIRST)

    with pytest.raises(BadDigestError):
        upload.call("upload_part", part_number=1, body=Body(b"x", error=BadDigestError("wrong")))

    assert len(bench.remains()) == 1
    upload.complete()
    assert bench.get(KEY) == FIRST


@pytest.mark.parametrize("named", [True, False])
def test_a_checksum_of_checksums_is_computed_even_where_none_was_sent(
    bench: Bench, named: bool
) -> None:
    upload = Upload(bench, checksum_algorithm="CRC32")
    upload.add(1, FIRST)
    upload.add(2, SECOND)
    if not named:
        for part in upload.parts:
            del part["ChecksumCRC32"]

    told = upload.complete()

    digest = base64.b64encode(crc32(crc32(FIRST) + crc32(SECOND))).decode()
    assert told["ChecksumCRC32"] == f"{digest}-2"
    assert told["ChecksumType"] == "COMPOSITE"


def test_a_checksum_of_the_whole_is_compared(bench: Bench) -> None:
    upload = Upload(bench, checksum_algorithm="CRC32", checksum_type="FULL_OBJECT")
    upload.add(1, FIRST)
    upload.add(2, SECOND)
    checksum = base64.b64encode(crc32(FIRST + SECOND)).decode()

    with pytest.raises(BadDigestError):
        upload.complete(checksum_crc32="AAAAAA==")
    with pytest.raises(InvalidRequestError):
        upload.complete(mpu_object_size=1)
    assert not (bench.bucket / KEY).exists()

    told = upload.complete(checksum_crc32=checksum, mpu_object_size=len(FIRST + SECOND))
    assert told["ChecksumCRC32"] == checksum
    assert told["ChecksumType"] == "FULL_OBJECT"


@pytest.mark.parametrize(
    ("algorithm", "kind"),
    [("CRC64NVME", "COMPOSITE"), ("SHA256", "FULL_OBJECT"), ("MD4", None), (None, "COMPOSITE")],
)
def test_a_checksum_that_there_is_not_is_refused(
    bench: Bench, algorithm: str | None, kind: str | None
) -> None:
    with pytest.raises(InvalidRequestError):
        Upload(bench, checksum_algorithm=algorithm, checksum_type=kind)


def test_parts_must_be_there_in_order_and_large_enough(bench: Bench) -> None:
    upload = Upload(bench)
    upload.add(1, FIRST)
    upload.add(2, SECOND)
    upload.add(3, SECOND)
    one, two, three = upload.parts

    for error, parts in (
        (MalformedXMLError, []),
        (InvalidPartOrderError, [two, one]),
        (InvalidPartOrderError, [one, one]),
        (InvalidPartError, [one, {"PartNumber": 4, "ETag": one["ETag"]}]),
        (InvalidPartError, [{"PartNumber": 1, "ETag": two["ETag"]}]),
        (EntityTooSmallError, [one, two, three]),
    ):
        with pytest.raises(error):
            upload.complete(multipart_upload={"Parts": parts})
    with pytest.raises(MalformedXMLError):
        upload.complete(multipart_upload=None)
    for number in (0, 10_001):
        with pytest.raises(InvalidArgumentError):
            upload.add(number, b"")
    assert not (bench.bucket / KEY).exists()

    upload.complete(multipart_upload={"Parts": [one, three]})
    assert bench.get(KEY) == FIRST + SECOND


def test_an_upload_may_demand_that_there_is_nothing_yet(bench: Bench) -> None:
    bench.put(KEY, b"old")
    upload = Upload(bench)
    upload.add(1, FIRST)

    with pytest.raises(PreconditionFailedError):
        upload.complete(if_none_match="*")

    assert bench.get(KEY) == b"old"
    upload.complete(if_match=md5(b"old"))
    assert bench.get(KEY) == FIRST


def test_parts_are_copied_from_objects(bench: Bench) -> None:
    bench.put("source", b"0123456789" + FIRST)
    upload = Upload(bench, checksum_algorithm="CRC32")

    for number, span in ((1, "bytes=10-509"), (2, "bytes=0-9"), (3, None)):
        told = upload.call(
            "upload_part_copy",
            part_number=number,
            copy_source=f"{BUCKET}/source",
            **({"copy_source_range": span} if span else {}),
        )["CopyPartResult"]
        if number != 2:
            upload.parts.append({"PartNumber": number, **told})
    upload.complete()

    assert bench.get(KEY) == FIRST + b"0123456789" + FIRST
    for span in ("bytes=600-700", "bytes=0-999", "0-9"):
        with pytest.raises(InvalidArgumentError):
            Upload(bench).call(
                "upload_part_copy",
                part_number=1,
                copy_source=f"{BUCKET}/source",
                copy_source_range=span,
            )


def test_an_aborted_upload_leaves_nothing(bench: Bench) -> None:
    upload = Upload(bench)
    upload.add(1, FIRST)

    upload.call("abort_multipart_upload")

    assert bench.remains() == set()
    for operation in ("abort_multipart_upload", "list_parts", "complete_multipart_upload"):
        with pytest.raises(NoSuchUploadError):
            upload.call(operation)
    with pytest.raises(NoSuchUploadError):
        upload.add(2, SECOND)


def test_an_upload_is_that_of_its_key_alone(bench: Bench) -> None:
    upload = Upload(bench)

    with pytest.raises(NoSuchUploadError):
        upload.call("upload_part", key="another", part_number=1, body=Body(b""))


def test_an_upload_into_a_bucket_that_is_gone_is_told_so(bench: Bench) -> None:
    upload = Upload(bench)
    bench.bucket.rmdir()

    for operation in ("list_parts", "abort_multipart_upload", "complete_multipart_upload"):
        with pytest.raises(NoSuchBucketError):
            upload.call(operation)
    with pytest.raises(NoSuchBucketError):
        upload.add(1, FIRST)


def test_an_upload_that_is_aborted_while_a_part_comes_keeps_no_part(bench: Bench) -> None:
    upload = Upload(bench)

    class AbortingBody(Body):
        def read(self, size: int, /) -> bytes:
            chunk = super().read(size)
            if not chunk:
                upload.call("abort_multipart_upload")
            return chunk

    with pytest.raises(NoSuchUploadError):
        upload.call("upload_part", part_number=1, body=AbortingBody(b"data"))

    assert bench.remains() == set()


def test_parts_are_listed_by_pages(bench: Bench) -> None:
    upload = Upload(bench, checksum_algorithm="CRC32")
    for number in (1, 2, 5):
        upload.add(number, SECOND)

    first = upload.call("list_parts", max_parts=2)
    rest = upload.call("list_parts", part_number_marker=first["NextPartNumberMarker"])

    assert [part["PartNumber"] for part in first["Parts"]] == [1, 2]
    assert first["IsTruncated"] is True
    assert [part["PartNumber"] for part in rest["Parts"]] == [5]
    assert rest["IsTruncated"] is False
    (part,) = rest["Parts"]
    assert (part["Size"], part["ETag"]) == (len(SECOND), md5(SECOND))
    assert part["ChecksumCRC32"] == base64.b64encode(crc32(SECOND)).decode()


def test_uploads_are_listed_by_pages(bench: Bench) -> None:
    for key in ("a b", "b", "c"):
        bench.call("create_multipart_upload", key=key)

    first = bench.call("list_multipart_uploads", max_uploads=2, encoding_type="url")
    rest = bench.call(
        "list_multipart_uploads",
        key_marker="b",
        upload_id_marker=first["NextUploadIdMarker"],
    )

    assert [each["Key"] for each in first["Uploads"]] == ["a%20b", "b"]
    assert first["IsTruncated"] is True
    assert [each["Key"] for each in rest["Uploads"]] == ["c"]
    assert rest["NextKeyMarker"] is None
