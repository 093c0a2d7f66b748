"""Keys that end in a slash: what S3's console and file managers make for a folder."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.s3.conftest import BUCKET, Bench


def put(client: Any, *keys: str, **members: Any) -> None:
    for key in keys:
        client.put_object(Bucket=BUCKET, Key=key, **members)


def keys(client: Any, **members: Any) -> list[str]:
    answer = client.list_objects_v2(Bucket=BUCKET, **members)
    return [entry["Key"] for entry in answer.get("Contents", ())]


def prefixes(client: Any, **members: Any) -> list[str]:
    answer = client.list_objects_v2(Bucket=BUCKET, Delimiter="/", **members)
    return [entry["Prefix"] for entry in answer.get("CommonPrefixes", ())]


def test_a_marker_is_an_empty_object(client: Any) -> None:
    put(client, "plates/", ContentType="application/x-directory", Metadata={"line": "4"})

    head = client.head_object(Bucket=BUCKET, Key="plates/")
    got = client.get_object(Bucket=BUCKET, Key="plates/")

    assert (head["ContentLength"], got["Body"].read()) == (0, b"")
    assert head["ContentType"] == "application/x-directory"
    assert head["Metadata"] == {"line": "4"}
    [entry] = client.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert (entry["Key"], entry["Size"], entry["ETag"]) == ("plates/", 0, head["ETag"])


def test_a_marker_and_the_files_of_its_folder_are_listed_in_order(
    client: Any, bench: Bench
) -> None:
    put(client, "plates/2.png", "plates-b", Body=b"x")
    put(client, "plates/", "plates/new/", "empty/")
    bench.put_by_hand("plates/1.png")

    assert keys(client) == [
        "empty/",
        "plates-b",
        "plates/",
        "plates/1.png",
        "plates/2.png",
        "plates/new/",
    ]
    assert prefixes(client) == ["empty/", "plates/"]
    assert keys(client, Prefix="plates/", Delimiter="/") == [
        "plates/",
        "plates/1.png",
        "plates/2.png",
    ]
    assert prefixes(client, Prefix="plates/") == ["plates/new/"]


@pytest.mark.parametrize("delimiter", [{}, {"Delimiter": "/"}])
def test_pages_have_every_marker_once(client: Any, delimiter: dict[str, str]) -> None:
    put(client, *(f"{letter}/" for letter in "abc"), "b/x/", "b/y/")
    put(client, "b/1", "d", Body=b"x")
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, PaginationConfig={"PageSize": 1}, **delimiter
    )

    listed = [
        entry.get("Key") or entry["Prefix"]
        for page in pages
        for entry in (*page.get("Contents", ()), *page.get("CommonPrefixes", ()))
    ]

    expected = ["a/", "b/", "c/", "d"]
    if not delimiter:
        expected[2:2] = ["b/1", "b/x/", "b/y/"]
    assert listed == expected


def test_a_prefix_takes_account_of_case(client: Any) -> None:
    put(client, "A/", "a/", "a_b/", "a%/")

    assert keys(client, Prefix="a") == ["a%/", "a/", "a_b/"]


def test_a_marker_that_is_deleted_is_gone_and_its_files_stay(client: Any) -> None:
    put(client, "plates/")
    put(client, "plates/1.png", Body=b"x")

    client.delete_object(Bucket=BUCKET, Key="plates/")

    assert keys(client) == ["plates/1.png"]
    with pytest.raises(ClientError, match="404"):
        client.head_object(Bucket=BUCKET, Key="plates/")


def test_a_marker_outlives_the_files_of_its_folder(client: Any) -> None:
    put(client, "plates/")
    put(client, "plates/1.png", Body=b"x")

    client.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "plates/1.png"}]})

    assert keys(client) == ["plates/"]


def test_a_folder_without_a_marker_is_no_object(client: Any) -> None:
    put(client, "plates/1.png", Body=b"x")

    with pytest.raises(ClientError, match="404"):
        client.head_object(Bucket=BUCKET, Key="plates/")


def test_a_bucket_with_a_marker_is_not_empty(client: Any) -> None:
    put(client, "plates/")

    with pytest.raises(ClientError, match="BucketNotEmpty"):
        client.delete_bucket(Bucket=BUCKET)
    client.delete_object(Bucket=BUCKET, Key="plates/")
    client.delete_bucket(Bucket=BUCKET)


def test_a_marker_is_copied_and_tagged_as_other_objects_are(client: Any) -> None:
    put(client, "plates/", Tagging="line=4")

    client.copy_object(Bucket=BUCKET, Key="copy/", CopySource=f"{BUCKET}/plates/")
    client.put_object_tagging(Bucket=BUCKET, Key="copy/", Tagging={"TagSet": []})

    assert client.get_object_tagging(Bucket=BUCKET, Key="copy/")["TagSet"] == []
    assert [
        tag["Key"] for tag in client.get_object_tagging(Bucket=BUCKET, Key="plates/")["TagSet"]
    ] == ["line"]


def test_a_content_needs_a_name_without_a_slash_at_its_end(client: Any) -> None:
    with pytest.raises(ClientError, match=r"InvalidArgument.*plates/.*empty"):
        put(client, "plates/", Body=b"content")

    assert keys(client) == []


@pytest.mark.parametrize("key", ["/", "a//", "../", "a/../"])
def test_names_that_no_folder_has_are_refused(client: Any, key: str) -> None:
    with pytest.raises(ClientError, match="InvalidArgument"):
        put(client, key)
