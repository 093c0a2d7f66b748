from __future__ import annotations

import pytest

from blemish.s3.protocol.errors import (
    BucketAlreadyOwnedByYouError,
    InvalidBucketNameError,
    NoSuchBucketError,
    S3BucketNotEmptyError,
    UnsupportedError,
)
from tests.unit.s3.conftest import BUCKET, Bench, Body


def test_a_bucket_is_made_and_found(bench: Bench) -> None:
    place = {"LocationConstraint": "ap-south-1"}

    told = bench.call("create_bucket", bucket="another", create_bucket_configuration=place)

    assert told == {"Location": "/another"}
    assert [each["Name"] for each in bench.operations.list_buckets()["Buckets"]] == [
        "another",
        BUCKET,
    ]
    assert bench.call("head_bucket", bucket="another") == {"BucketRegion": "eu-west-1"}
    assert bench.call("get_bucket_location") == {"LocationConstraint": "eu-west-1"}
    assert bench.call("get_bucket_versioning") == {}


def test_buckets_are_paged(bench: Bench) -> None:
    for name in ("aaa", "bbb"):
        bench.call("create_bucket", bucket=name)

    first = bench.operations.list_buckets(max_buckets=2)
    rest = bench.operations.list_buckets(continuation_token=first["ContinuationToken"])

    assert [each["Name"] for each in first["Buckets"]] == ["aaa", "bbb"]
    assert [each["Name"] for each in rest["Buckets"]] == [BUCKET]
    assert rest["ContinuationToken"] is None
    assert len(bench.operations.list_buckets(prefix="a")["Buckets"]) == 1
    assert bench.operations.list_buckets(bucket_region="us-east-2")["Buckets"] == []


def test_a_bucket_that_cannot_be_made_is_told(bench: Bench) -> None:
    with pytest.raises(BucketAlreadyOwnedByYouError):
        bench.call("create_bucket")
    with pytest.raises(InvalidBucketNameError):
        bench.call("create_bucket", bucket="Upper")
    with pytest.raises(UnsupportedError):
        bench.call("create_bucket", bucket="locked", object_lock_enabled_for_bucket=True)
    assert not bench.paths.has_bucket("locked")


def test_a_bucket_goes_when_it_is_empty_with_all_that_spoke_of_it(bench: Bench) -> None:
    bench.put("a/b")
    upload = bench.call("create_multipart_upload", key="c")["UploadId"]
    bench.call("upload_part", key="c", upload_id=upload, part_number=1, body=Body(b"x"))
    with pytest.raises(S3BucketNotEmptyError, match="a/b"):
        bench.call("delete_bucket")
    bench.call("delete_object", key="a/b")
    bench.put_by_hand("d")
    bench.etag("d")
    (bench.bucket / "d").unlink()

    bench.call("delete_bucket")

    assert bench.operations.list_buckets()["Buckets"] == []
    assert bench.rows_of("d") == 0
    assert bench.remains() == set()


def test_a_bucket_that_is_missing_is_told(bench: Bench) -> None:
    for operation in (
        "head_bucket",
        "delete_bucket",
        "get_bucket_location",
        "get_bucket_versioning",
    ):
        with pytest.raises(NoSuchBucketError, match="absent"):
            bench.call(operation, bucket="absent")
