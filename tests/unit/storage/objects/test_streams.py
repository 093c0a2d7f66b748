from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from blemish.domain.entities import ObjectRef
from blemish.storage.errors import (
    BucketMissingError,
    KeyNotAllowedError,
    KeyTakenError,
    ObjectMissingError,
    ObjectReadError,
)
from blemish.storage.objects.store import ObjectStore
from blemish.storage.objects.streams import CHUNK_BYTES, ObjectStreams
from tests.unit.storage.samples import BUCKET


@pytest.fixture
def streams(store: ObjectStore) -> ObjectStreams:
    return ObjectStreams(store.paths)


def ref(key: str) -> ObjectRef:
    return ObjectRef(bucket=BUCKET, key=key)


def put(streams: ObjectStreams, key: str, data: bytes = b"data") -> None:
    with streams.staged(ref(key), [data]) as staged, streams.paths.names:
        streams.publish(staged, ref(key))


def content(streams: ObjectStreams, key: str) -> bytes:
    return b"".join(streams.open(ref(key)).content())


def names(streams: ObjectStreams) -> set[str]:
    root = streams.paths.root
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.name != ".staging"}


def test_what_was_written_is_read_by_ranges(streams: ObjectStreams) -> None:
    data = os.urandom(CHUNK_BYTES + 1000)

    put(streams, "a/b", data)

    assert content(streams, "a/b") == data
    assert (
        b"".join(streams.open(ref("a/b")).content(10, CHUNK_BYTES + 20))
        == (data[10 : CHUNK_BYTES + 20])
    )
    assert list(streams.open(ref("a/b")).content(5, 5)) == []


def test_nothing_is_there_before_it_is_published(streams: ObjectStreams) -> None:
    put(streams, "a", b"old")

    with streams.staged(ref("a"), [b"new"]):
        seen = content(streams, "a")

    assert seen == b"old"
    assert names(streams) == {BUCKET, f"{BUCKET}/a"}


def test_a_broken_upload_leaves_nothing(streams: ObjectStreams) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ValueError("broken off")

    with pytest.raises(ValueError, match="broken off"), streams.staged(ref("x/y"), broken()):
        pytest.fail("it is not whole")

    assert names(streams) == {BUCKET}


def test_a_reader_sees_the_object_that_he_opened(streams: ObjectStreams) -> None:
    old = os.urandom(3 * CHUNK_BYTES)
    put(streams, "a", old)
    reading = streams.open(ref("a")).content()
    first = next(reading)

    put(streams, "a", b"new")

    assert first + b"".join(reading) == old
    assert content(streams, "a") == b"new"


def test_every_write_has_a_version_of_its_own(streams: ObjectStreams) -> None:
    versions = set()
    for _ in range(50):
        put(streams, "a", b"same")
        versions.add(streams.version(ref("a")))

    assert len(versions) == 50


@pytest.mark.parametrize(
    "change", [lambda path: os.truncate(path, 10), lambda path: path.write_bytes(b"x" * 2**21)]
)
def test_an_object_that_is_changed_in_place_is_not_told_half(
    streams: ObjectStreams, change: object
) -> None:
    put(streams, "a", bytes(2**21))
    opened = streams.open(ref("a"))
    reading = opened.content()
    next(reading)

    assert callable(change)
    change(streams.paths.file(ref("a")))

    with pytest.raises(ObjectReadError, match="changed while it was read"):
        list(reading)
    opened.close()


def test_a_deleted_object_takes_its_empty_folders_along(streams: ObjectStreams) -> None:
    for key in ("a/b/c", "a/d"):
        put(streams, key)

    streams.delete(ref("a/b/c"))
    left = names(streams)
    streams.delete(ref("a/d"))

    assert left == {BUCKET, f"{BUCKET}/a", f"{BUCKET}/a/d"}
    assert names(streams) == {BUCKET}
    with pytest.raises(ObjectMissingError):
        streams.open(ref("a/d"))
    streams.delete(ref("a/d"))


def test_no_link_is_followed_and_no_key_leaves_its_bucket(
    streams: ObjectStreams, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    bucket = streams.paths.root / BUCKET
    (bucket / "to-file").symlink_to(secret)
    (bucket / "to-folder").symlink_to(tmp_path)

    for key in ("to-file", "to-folder/secret", "../../secret", "x/../../../secret"):
        with pytest.raises(KeyNotAllowedError):
            streams.open(ref(key))
        with pytest.raises(KeyNotAllowedError):
            put(streams, key)
        with pytest.raises(KeyNotAllowedError):
            streams.delete(ref(key))

    assert secret.read_bytes() == b"secret"


def test_a_key_that_is_taken_is_told_apart(streams: ObjectStreams) -> None:
    put(streams, "folder/file")

    for key in ("folder", "folder/file/x"):
        with pytest.raises(KeyTakenError):
            put(streams, key)
        with pytest.raises(KeyTakenError):
            streams.open(ref(key))


def test_a_bucket_that_goes_meanwhile_is_missed(streams: ObjectStreams) -> None:
    with streams.staged(ref("a"), [b"data"]) as staged, streams.paths.names:
        (streams.paths.root / BUCKET).rmdir()

        with pytest.raises(BucketMissingError):
            streams.publish(staged, ref("a"))
