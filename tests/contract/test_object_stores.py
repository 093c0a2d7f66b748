"""What every store of buckets does: the one in a folder, and the one in an S3 of someone else's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from blemish.domain.entities import ObjectRef
from blemish.service.objects import Objects
from blemish.storage.errors import (
    BucketMissingError,
    KeyNotAllowedError,
    ObjectMissingError,
    ObjectReadError,
    ObjectTooLargeError,
    VersionMissingError,
)
from blemish.storage.objects.open_store import open_store
from blemish.storage.objects.s3_address import S3Address
from blemish.storage.objects.s3_store import CHUNK_BYTES, WHOLE_CHUNKS, S3ObjectStore
from blemish.storage.objects.store import MAX_LINE_LENGTH, ObjectStore
from tests.acceptance.moto import KEY, REGION, moto_client, moto_server

BUCKET = "images"
KEYS = ["a", "b/c/d.jpg", "b c/ü+%20~#x", "é/e\u0301", "=&?;:@$,!'()*", "\\|<>[]{}^`"]
NO_KEYS = ["", "/a", "a/", "a//b", "../a", "a/./b", "line\nfeed", "x" * 256]
MOST = 12 * CHUNK_BYTES
USES: list[Callable[[Objects, ObjectRef], object]] = [
    lambda store, ref: store.read(ref, max_bytes=MOST),
    lambda store, ref: store.size(ref),
    lambda store, ref: list(store.read_lines(ref, max_bytes=100)),
]


@dataclass(frozen=True, kw_only=True)
class Filled:
    """A store with one empty bucket, and how others put objects there."""

    store: Objects
    put: Callable[[str, bytes], object]


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("moto") / "log") as url:
        moto_client(url).create_bucket(Bucket=BUCKET)
        yield url


@pytest.fixture(
    params=["folder", pytest.param("s3", marks=[pytest.mark.acceptance, pytest.mark.registry])]
)
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Filled:
    if request.param == "folder":

        def put_file(key: str, data: bytes) -> None:
            path = tmp_path / BUCKET / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

        (tmp_path / BUCKET).mkdir()
        return Filled(store=ObjectStore(tmp_path), put=put_file)
    url = request.getfixturevalue("moto")
    client = moto_client(url)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for each in page.get("Contents", []):
            client.delete_object(Bucket=BUCKET, Key=each["Key"])
    return Filled(
        store=S3ObjectStore(S3Address(endpoint=url, region=REGION, **KEY)),
        put=lambda key, data: client.put_object(Bucket=BUCKET, Key=key, Body=data),
    )


def ref(key: str, bucket: str = BUCKET) -> ObjectRef:
    return ObjectRef(bucket=bucket, key=key)


def test_there_are_the_buckets_that_there_are(filled: Filled) -> None:
    assert filled.store.has_bucket(BUCKET)
    for bucket in ("absent", "Upper", "..", "", "a\0b", "images/a"):
        assert not filled.store.has_bucket(bucket)


@pytest.mark.parametrize("key", KEYS)
def test_what_others_put_is_read(filled: Filled, key: str) -> None:
    filled.put(key, key.encode())

    filled.store.check_key(BUCKET, key)
    assert filled.store.read(ref(key), max_bytes=MOST) == key.encode()
    assert filled.store.size(ref(key)) == len(key.encode())
    assert list(filled.store.read_lines(ref(key), max_bytes=100)) == [key]
    assert filled.store.existing([ref(key)]) == {ref(key)}


@pytest.mark.parametrize("key", KEYS)
def test_what_is_written_is_read(filled: Filled, key: str) -> None:
    filled.store.write(ref(key), b"first")
    filled.store.write(ref(key), b"")
    assert filled.store.read(ref(key), max_bytes=MOST) == b""
    assert list(filled.store.read_lines(ref(key), max_bytes=0)) == []

    filled.store.write(ref(key), b"last")

    assert filled.store.read(ref(key), max_bytes=MOST) == b"last"


def test_an_object_that_others_have_changed_is_not_replaced(filled: Filled) -> None:
    assert filled.store.version(ref("a")) is None
    assert filled.store.replace(ref("a"), [b"fi", b"rst"], version=None)
    assert not filled.store.replace(ref("a"), b"late", version=None)
    version = filled.store.version(ref("a"))
    assert filled.store.replace(ref("a"), b"second", version=version)

    assert not filled.store.replace(ref("a"), b"late", version=version)

    assert filled.store.read(ref("a"), max_bytes=MOST) == b"second"
    filled.store.delete(ref("a"))
    assert not filled.store.replace(ref("a"), b"late", version=version)


def test_an_object_that_is_too_large_for_one_request_is_replaced(filled: Filled) -> None:
    pieces = [bytes([number]) * 150_000 for number in range(2 * WHOLE_CHUNKS)]
    filled.put("a", b"first")
    version = filled.store.version(ref("a"))

    assert not filled.store.replace(ref("a"), iter(pieces), version=None)
    assert filled.store.replace(ref("a"), iter(pieces), version=version)

    assert filled.store.read(ref("a"), max_bytes=MOST) == b"".join(pieces)


def test_what_is_written_in_pieces_is_one_object(filled: Filled) -> None:
    pieces = [bytes([number]) * CHUNK_BYTES for number in range(12)]  # S3 takes parts of 5 MiB

    filled.store.write(ref("long"), iter(pieces))

    assert filled.store.read(ref("long"), max_bytes=MOST) == b"".join(pieces)


def test_no_more_is_read_than_is_allowed(filled: Filled) -> None:
    filled.put("a", b"12345")

    assert filled.store.read(ref("a"), max_bytes=5) == b"12345"
    with pytest.raises(
        ObjectTooLargeError, match=r"^s3://images/a has 5 bytes; at most 4 are allowed\.$"
    ):
        filled.store.read(ref("a"), max_bytes=4)


def test_pieces_that_end_in_an_error_leave_what_was_there(filled: Filled) -> None:
    def broken() -> Iterator[bytes]:
        yield b"new" * CHUNK_BYTES
        raise ZeroDivisionError

    filled.store.write(ref("long"), b"old")

    with pytest.raises(ZeroDivisionError):
        filled.store.write(ref("long"), broken())

    assert filled.store.read(ref("long"), max_bytes=MOST) == b"old"


@pytest.mark.parametrize("key", NO_KEYS)
def test_a_key_that_no_file_can_have_is_refused(filled: Filled, key: str) -> None:
    for use in USES:
        with pytest.raises(KeyNotAllowedError, match="cannot be a key in the bucket images"):
            use(filled.store, ref(key))
    with pytest.raises(KeyNotAllowedError):
        filled.store.check_key(BUCKET, key)
    with pytest.raises(KeyNotAllowedError):
        filled.store.write(ref(key), b"")
    assert filled.store.existing([ref(key)]) == set()


@pytest.mark.parametrize("key", KEYS)
def test_what_is_deleted_is_gone_and_may_be_deleted_again(filled: Filled, key: str) -> None:
    filled.put(key, b"data")
    filled.put("other", b"data")

    filled.store.delete(ref(key))
    filled.store.delete(ref(key))

    assert filled.store.existing([ref(key), ref("other")]) == {ref("other")}


def test_what_cannot_be_there_cannot_be_deleted(filled: Filled) -> None:
    with pytest.raises(KeyNotAllowedError):
        filled.store.delete(ref("a//b"))
    with pytest.raises(BucketMissingError):
        filled.store.delete(ref("a", "absent"))


def test_an_object_that_is_missing_is_named(filled: Filled) -> None:
    filled.put("a/b/c", b"")

    for use in USES:
        with pytest.raises(ObjectMissingError, match=r"There is no object s3://images/a/c\."):
            use(filled.store, ref("a/c"))


def test_a_bucket_that_is_missing_is_named(filled: Filled) -> None:
    for use in USES:
        with pytest.raises(BucketMissingError, match=r"There is no bucket 'absent'\."):
            use(filled.store, ref("a", "absent"))
    with pytest.raises(BucketMissingError):
        filled.store.check_key("absent", "a")
    for bucket in ("absent", "Not-A-Bucket", ".."):
        with pytest.raises(BucketMissingError):
            filled.store.write(ref("a", bucket), b"")
        assert filled.store.existing([ref("a", bucket)]) == set()


def test_those_that_exist_are_told_from_those_that_do_not(filled: Filled) -> None:
    there = {ref("a"), ref("x/a"), ref("x/y/b")}
    for each in there:
        filled.put(each.key, b"data")

    found = filled.store.existing([*there, ref("b"), ref("x/y"), ref("z/a"), ref("A")])

    assert found == there
    assert filled.store.existing([]) == set()


def test_a_text_of_several_chunks_is_read_by_lines(filled: Filled) -> None:
    line = "ä" * 61  # so that chunks end within lines, and within characters
    count = CHUNK_BYTES // len(f"{line}\n".encode()) + 10
    filled.put("text", f"{line}\n".encode() * count + b"end\r")

    lines = list(filled.store.read_lines(ref("text"), max_bytes=2 * CHUNK_BYTES))

    assert lines == [line] * count + ["end\r"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"12345", r"has 5 bytes; at most 4 are allowed"),
        (b"a\xff", r"is not UTF-8 text \(invalid start byte\)"),
        (b"\xc3", r"is not UTF-8 text \(unexpected end of data\)"),
    ],
)
def test_a_text_that_is_none_is_refused(filled: Filled, data: bytes, reason: str) -> None:
    filled.put("text", data)

    with pytest.raises(ObjectReadError, match=f"s3://images/text {reason}"):
        list(filled.store.read_lines(ref("text"), max_bytes=4))


def test_a_line_without_an_end_is_refused(filled: Filled) -> None:
    filled.put("text", b"short\n" + b"x" * (2 * MAX_LINE_LENGTH))

    with pytest.raises(ObjectReadError, match="line of more than 1048576 characters"):
        list(filled.store.read_lines(ref("text"), max_bytes=10**8))


def test_a_text_that_changes_while_it_is_read_is_refused(filled: Filled) -> None:
    filled.put("text", b"a line\n" * (CHUNK_BYTES // 6))
    lines = filled.store.read_lines(ref("text"), max_bytes=10**8)
    next(lines)

    filled.put("text", b"others\n" * (CHUNK_BYTES // 6))

    with pytest.raises(ObjectReadError, match="s3://images/text was changed while it was read"):
        list(lines)


def test_the_one_version_of_an_object_is_null(filled: Filled) -> None:
    filled.put("text", b"a line")

    assert list(filled.store.read_lines(ref("text"), max_bytes=6, version="null")) == ["a line"]


@pytest.mark.parametrize("version", ["3sL4kqtJlcpXroDTDmJ", "a&b=c d", "NULL", "x" * 1024])
def test_a_version_that_an_object_does_not_have_is_named(filled: Filled, version: str) -> None:
    filled.put("text", b"a line")

    with pytest.raises(VersionMissingError) as caught:
        list(filled.store.read_lines(ref("text"), max_bytes=6, version=version))

    told = f"There is no version '{version[:99]}"
    assert str(caught.value).startswith(told)
    assert " of s3://images/text" in str(caught.value)


def test_a_version_of_nothing_is_missing_too(filled: Filled) -> None:
    with pytest.raises(ObjectMissingError, match="s3://images/absent"):
        list(filled.store.read_lines(ref("absent"), max_bytes=6, version="null"))
    with pytest.raises(BucketMissingError, match=r"There is no bucket 'absent'\."):
        list(filled.store.read_lines(ref("text", "absent"), max_bytes=6, version="null"))


def test_another_process_opens_the_same_store_by_what_is_said_in_json(filled: Filled) -> None:
    filled.put("a", b"data")

    opened = open_store(json.loads(json.dumps(dict(filled.store.connection))))

    assert opened.read(ref("a"), max_bytes=MOST) == b"data"


@pytest.mark.parametrize(
    "prefix", ["", "b", "b/", "b/c", "b/c/d", "b c/ü+%2", "é/e", "x", "a/", "../", "b//", "\0/"]
)
def test_a_listing_shows_what_begins_with_the_prefix(filled: Filled, prefix: str) -> None:
    for key in KEYS:
        filled.put(key, b"123")

    found = {each.key: each.size_bytes for each in filled.store.list(BUCKET, prefix)}

    assert found == {key: 3 for key in KEYS if key.startswith(prefix)}


def test_nothing_is_listed_of_a_bucket_that_is_not_there(filled: Filled) -> None:
    with pytest.raises(BucketMissingError):
        list(filled.store.list("absent"))
