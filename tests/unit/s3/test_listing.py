from __future__ import annotations

from typing import Any

import pytest

from blemish.s3.protocol.errors import InvalidArgumentError, NoSuchBucketError
from tests.unit.s3.conftest import Bench, md5

KEYS = ["a b", "a/1", "a/2", "b+c", "d/e/f", "ä"]


@pytest.fixture
def full(bench: Bench) -> Bench:
    for key in KEYS:
        bench.put(key)
    return bench


def keys(page: dict[str, Any]) -> list[str]:
    return [each["Key"] for each in page["Contents"]]


def prefixes(page: dict[str, Any]) -> list[str]:
    return [each["Prefix"] for each in page["CommonPrefixes"]]


def test_a_listing_has_what_is_there(full: Bench) -> None:
    page = full.call("list_objects_v2")

    assert keys(page) == KEYS
    assert page["KeyCount"] == 6
    assert page["IsTruncated"] is False
    assert page["NextContinuationToken"] is None
    assert page["Contents"][0]["ETag"] == md5(b"data")
    assert page["Contents"][0]["Size"] == 4
    head = full.call("head_object", key="a b")
    assert page["Contents"][0]["LastModified"] == head["LastModified"]


def test_pages_follow_each_other(full: Bench) -> None:
    found: list[list[str]] = []
    token: dict[str, str] = {}
    for _ in range(3):
        page = full.call("list_objects_v2", max_keys=2, **token)
        found.append(keys(page))
        token = {"continuation_token": page["NextContinuationToken"]}

    assert found == [KEYS[:2], KEYS[2:4], KEYS[4:]]
    assert page["IsTruncated"] is False


def test_old_pages_follow_each_other_too(full: Bench) -> None:
    found, marker = [], ""
    for _ in range(3):
        page = full.call("list_objects", max_keys=2, delimiter="/", marker=marker)
        found.append(keys(page) + prefixes(page))
        marker = page["NextMarker"]

    assert found == [["a b", "a/"], ["b+c", "d/"], ["ä"]]
    assert full.call("list_objects", max_keys=2)["NextMarker"] is None


def test_folders_are_rolled_up(full: Bench) -> None:
    page = full.call("list_objects_v2", delimiter="/", start_after="a b")

    assert keys(page) == ["b+c", "ä"]
    assert prefixes(page) == ["a/", "d/"]
    assert page["KeyCount"] == 4
    assert prefixes(full.call("list_objects_v2", delimiter="/", prefix="d/")) == ["d/e/"]


def test_keys_are_encoded_if_that_is_asked_for(full: Bench) -> None:
    page = full.call("list_objects_v2", encoding_type="url", prefix="", start_after="a/2")

    assert keys(page) == ["b%2Bc", "d/e/f", "%C3%A4"]
    assert page["EncodingType"] == "url"
    with pytest.raises(InvalidArgumentError):
        full.call("list_objects_v2", encoding_type="base64")


def test_no_key_at_all_may_be_asked_for(full: Bench) -> None:
    page = full.call("list_objects_v2", max_keys=0)

    assert (keys(page), page["IsTruncated"]) == ([], False)
    with pytest.raises(InvalidArgumentError):
        full.call("list_objects_v2", max_keys=-1)


def test_a_page_has_a_thousand_keys_at_most(bench: Bench) -> None:
    for number in range(1_001):
        (bench.bucket / f"{number:04}").touch()

    page = bench.call("list_objects_v2", max_keys=5_000)

    assert len(page["Contents"]) == 1_000
    assert page["IsTruncated"] is True


def test_the_etag_of_a_file_put_by_hand_is_derived_and_can_be_asked_for(bench: Bench) -> None:
    path = bench.put_by_hand("a", b"data")

    (listed,) = bench.call("list_objects_v2")["Contents"]
    assert listed["ETag"].endswith('-0"')
    assert bench.get("a", if_match=listed["ETag"]) == b"data"

    (listed_again,) = bench.call("list_objects_v2")["Contents"]
    assert listed_again["ETag"] == md5(b"data")
    path.write_bytes(b"other")
    (other,) = bench.call("list_objects_v2")["Contents"]
    assert other["ETag"] not in {listed["ETag"], md5(b"data")}


def test_a_token_that_is_none_is_refused(bench: Bench) -> None:
    for token in ("!", "YQ", "/w=="):
        with pytest.raises(InvalidArgumentError):
            bench.call("list_objects_v2", continuation_token=token)


def test_a_missing_bucket_has_no_listing(bench: Bench) -> None:
    for operation in ("list_objects", "list_objects_v2", "list_multipart_uploads"):
        with pytest.raises(NoSuchBucketError):
            bench.call(operation, bucket="absent")
