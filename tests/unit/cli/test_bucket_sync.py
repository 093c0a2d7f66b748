from __future__ import annotations

import hashlib
import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from blemish.cli.bucket_sync import BucketEnd, bucket_and_prefix, sync_bucket
from blemish.interchange.labelled import InterchangeError


class FakeS3:
    """Objects in memory, with as much of a client as a sync calls."""

    def __init__(self, address: str, objects: dict[str, bytes]) -> None:
        self.meta = SimpleNamespace(endpoint_url=address)
        self.objects = objects
        self.metadata: dict[str, dict[str, str]] = {}
        self.etags: dict[str, str] = {}

    def etag(self, key: str) -> str:
        return self.etags.get(key) or hashlib.md5(self.objects[key]).hexdigest()

    def get_paginator(self, _: str) -> Any:
        page = {
            "Contents": [
                {"Key": key, "Size": len(data), "ETag": f'"{self.etag(key)}"'}
                for key, data in self.objects.items()
            ]
        }
        return SimpleNamespace(paginate=lambda **_: [page])

    def get_object(self, *, Key: str, **_: str) -> dict[str, Any]:  # noqa: N803 - as S3 calls it
        body = io.BytesIO(self.objects[Key])
        answer = {"Body": body, "ContentType": "image/png", "Metadata": {"line": "4"}}
        return {**answer, "ETag": f'"{self.etag(Key)}"'}

    def head_object(self, *, Key: str, **_: str) -> dict[str, Any]:  # noqa: N803 - as S3 calls it
        return {"Metadata": self.metadata.get(Key, {})}

    def put_object(self, *, Key: str, Body: Any, Metadata: Any, **_: str) -> None:  # noqa: N803
        self.objects[Key] = Body.read()
        self.metadata[Key] = Metadata


def sync(source: FakeS3, target: FakeS3) -> Any:
    return sync_bucket(
        BucketEnd(s3=source, bucket="old"),
        BucketEnd(s3=target, bucket="new"),
        prefix="",
        console=Console(quiet=True),
    )


def test_a_folder_without_objects_is_named_instead_of_passing_as_copied() -> None:
    report = sync(FakeS3("a", {}), FakeS3("b", {}))

    assert "The source has no objects there" in report.sentences()[-1]


def test_objects_of_several_uploads_are_known_by_their_metadata() -> None:
    source, target = FakeS3("a", {"k": b"data"}), FakeS3("b", {})
    source.etags["k"] = "0123-2"

    first, second = sync(source, target), sync(source, target)

    assert (first.copied, second.present) == (1, 1)
    assert target.metadata["k"] == {"line": "4", "blemish-source-etag": "0123-2"}


def test_an_object_that_comes_damaged_is_not_stored() -> None:
    source, target = FakeS3("a", {"k": b"data", "l": b"other"}), FakeS3("b", {})
    source.etags["k"] = "0" * 32

    report = sync(source, target)

    assert list(target.objects) == ["l"]
    assert report.sentences()[1] == (
        "k: its MD5 is 8d777f385d3dfec8815d20f7496026dc instead of 00000000000000000000000000000000"
    )


def test_keys_that_the_server_cannot_have_are_named() -> None:
    report = sync(FakeS3("a", {"a//b": b"1", "folder/": b""}), FakeS3("b", {}))

    assert report.copied == 1
    assert report.problems == [
        "a//b: the server cannot have this key: it is empty, begins or ends with '/', or has '//'"
    ]


def test_a_manifest_that_another_tool_copied_is_moved_too() -> None:
    line = b'{"source-ref": "s3://old/a.png"}\n'
    source, target = FakeS3("a", {"m": line}), FakeS3("b", {"m": line})

    report = sync(source, target)

    assert report.manifests == 1
    assert target.objects["m"] == b'{"source-ref": "s3://new/a.png"}\n'


def test_an_object_that_was_changed_in_the_target_is_left_and_named() -> None:
    source, target = FakeS3("a", {"k": b"data", "l": b"other"}), FakeS3("b", {})
    sync(source, target)
    target.objects["k"], target.metadata["k"] = b"my work", {}

    report = sync(source, target)

    assert target.objects == {"k": b"my work", "l": b"other"}
    assert (report.copied, report.present) == (0, 1)
    assert report.problems == [
        "k: the target has another object of this name, which was changed or written there. "
        "Delete one of them, or copy to another bucket"
    ]


def test_an_object_that_changed_in_the_source_is_copied_again() -> None:
    source, target = FakeS3("a", {"k": b"data"}), FakeS3("b", {})
    sync(source, target)
    source.objects["k"] = b"newer"

    report = sync(source, target)

    assert (report.copied, target.objects["k"]) == (1, b"newer")


def test_an_object_that_was_put_by_hand_is_the_same_by_its_content() -> None:
    source, target = FakeS3("a", {"k": b"data"}), FakeS3("b", {"k": b"data"})
    target.etags["k"] = "0123-0"

    report = sync(source, target)

    assert (report.problems, target.objects["k"]) == ([], b"data")


def test_manifests_that_name_other_buckets_are_counted() -> None:
    source = FakeS3("a", {"m": b'{"source-ref": "s3://third/a.png"}\n'})

    report = sync(source, FakeS3("b", {}))

    assert "Manifests have 1 references to s3://third: copy that bucket too." in report.sentences()


def test_a_bucket_is_not_copied_onto_itself() -> None:
    end = BucketEnd(s3=FakeS3("a", {}), bucket="old")

    with pytest.raises(InterchangeError, match="s3://old is the source and the target"):
        sync_bucket(end, end, prefix="", console=Console(quiet=True))


def test_addresses_name_a_bucket_and_a_folder() -> None:
    assert bucket_and_prefix("s3://b/c/d") == ("b", "c/d")
    assert bucket_and_prefix("s3://b") == ("b", "")
    with pytest.raises(InterchangeError, match="'b/c' is no address such as s3://bucket/folder"):
        bucket_and_prefix("b/c")
