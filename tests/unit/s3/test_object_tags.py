from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.s3.conftest import BUCKET, Bench

LINE, SHIFT = {"Key": "line", "Value": "4 & 5"}, {"Key": "shift=ä", "Value": ""}


def tags(client: Any, key: str) -> list[dict[str, str]]:
    answer: list[dict[str, str]] = client.get_object_tagging(Bucket=BUCKET, Key=key)["TagSet"]
    return answer


def test_an_object_has_the_tags_that_it_was_put_with(client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="a", Body=b"x", Tagging="line=4+%26%205&shift%3D%C3%A4=")

    assert tags(client, "a") == [LINE, SHIFT]
    assert client.head_object(Bucket=BUCKET, Key="a")["TagCount"] == 2


def test_tags_are_replaced_and_deleted_without_a_new_content(client: Any, bench: Bench) -> None:
    client.put_object(Bucket=BUCKET, Key="a", Body=b"x", ContentType="image/png", Tagging="old=1")
    before = client.head_object(Bucket=BUCKET, Key="a")

    client.put_object_tagging(Bucket=BUCKET, Key="a", Tagging={"TagSet": [LINE, SHIFT]})
    replaced = tags(client, "a")
    after = client.head_object(Bucket=BUCKET, Key="a")
    client.delete_object_tagging(Bucket=BUCKET, Key="a")

    assert replaced == [LINE, SHIFT]
    assert tags(client, "a") == []
    assert "TagCount" not in client.head_object(Bucket=BUCKET, Key="a")
    for name in ("LastModified", "ETag", "ContentType"):
        assert after[name] == before[name]
    assert bench.get("a") == b"x"


def test_a_file_that_was_put_by_hand_can_be_tagged(client: Any, bench: Bench) -> None:
    bench.put_by_hand("plates/1.png")

    client.put_object_tagging(Bucket=BUCKET, Key="plates/1.png", Tagging={"TagSet": [LINE]})

    assert tags(client, "plates/1.png") == [LINE]


def test_a_new_content_has_no_tags_of_the_old_one(client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="a", Body=b"x", Tagging="line=4")

    client.put_object(Bucket=BUCKET, Key="a", Body=b"other")

    assert tags(client, "a") == []


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, [LINE]),
        ({"MetadataDirective": "REPLACE", "Metadata": {"a": "b"}}, [LINE]),
        ({"TaggingDirective": "COPY"}, [LINE]),
        ({"TaggingDirective": "REPLACE", "Tagging": "shift%3D%C3%A4="}, [SHIFT]),
        ({"TaggingDirective": "REPLACE"}, []),
    ],
)
def test_a_copy_has_the_tags_of_its_source_or_its_own(
    client: Any, members: dict[str, Any], expected: list[dict[str, str]]
) -> None:
    client.put_object(Bucket=BUCKET, Key="a", Body=b"x", Tagging="line=4%20%26%205")

    client.copy_object(Bucket=BUCKET, Key="b", CopySource=f"{BUCKET}/a", **members)

    assert tags(client, "b") == expected


@pytest.mark.parametrize("members", [{}, {"TaggingDirective": "COPY"}])
def test_a_copy_refuses_tags_that_it_would_not_use(client: Any, members: dict[str, Any]) -> None:
    client.put_object(Bucket=BUCKET, Key="a", Body=b"x", Tagging="line=4")

    with pytest.raises(ClientError, match=r"InvalidArgument.*x-amz-tagging-directive: REPLACE"):
        client.copy_object(
            Bucket=BUCKET, Key="b", CopySource=f"{BUCKET}/a", Tagging="line=5", **members
        )


@pytest.mark.parametrize("name", ["aws:line", "AWS:line"])
def test_a_key_that_aws_reserves_is_refused(client: Any, name: str) -> None:
    with pytest.raises(ClientError, match=r"InvalidTag.*cannot begin with aws:"):
        client.put_object(Bucket=BUCKET, Key="a", Body=b"x", Tagging=f"{name}=4")


@pytest.mark.parametrize(
    "tag_set",
    [
        [{"Key": f"tag-{number}", "Value": ""} for number in range(11)],
        [LINE, LINE],
        [{"Key": "k" * 129, "Value": "4"}],
        [{"Key": "k", "Value": "v" * 257}],
    ],
)
def test_tags_that_s3_would_refuse_are_refused(client: Any, tag_set: list[dict[str, str]]) -> None:
    client.put_object(Bucket=BUCKET, Key="a", Body=b"x", Tagging="line=4")

    with pytest.raises(ClientError, match="InvalidTag"):
        client.put_object_tagging(Bucket=BUCKET, Key="a", Tagging={"TagSet": tag_set})

    assert [tag["Key"] for tag in tags(client, "a")] == ["line"]


def test_an_object_that_is_missing_has_no_tags(client: Any) -> None:
    with pytest.raises(ClientError, match="NoSuchKey"):
        client.get_object_tagging(Bucket=BUCKET, Key="absent")
    with pytest.raises(ClientError, match="NoSuchKey"):
        client.put_object_tagging(Bucket=BUCKET, Key="absent", Tagging={"TagSet": [LINE]})
