"""Headers that SDKs send and that change nothing here: accepted, and answered as S3 does."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from blemish.s3.protocol.errors import UnsupportedError
from blemish.s3.unsupported import refuse_unsupported
from tests.unit.s3.conftest import BUCKET, Bench

OWNER, STRANGER = "123456789012", "210987654321"
MIB = 1024 * 1024


def code_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return str(caught.value.response["Error"]["Code"])


def test_the_encryption_of_s3_is_accepted_and_repeated(client: Any) -> None:
    put = client.put_object(Bucket=BUCKET, Key="a", Body=b"x", ServerSideEncryption="AES256")
    copied = client.copy_object(
        Bucket=BUCKET, Key="b", CopySource=f"{BUCKET}/a", ServerSideEncryption="AES256"
    )
    got = client.get_object(Bucket=BUCKET, Key="a")
    head = client.head_object(Bucket=BUCKET, Key="b")

    answers = [put, copied, got, head]
    assert [answer["ServerSideEncryption"] for answer in answers] == ["AES256"] * 4


def test_an_upload_in_parts_may_ask_for_it_too(client: Any) -> None:
    client.upload_fileobj(
        BytesIO(bytes(6 * MIB)),
        BUCKET,
        "parts",
        ExtraArgs={"ServerSideEncryption": "AES256", "Tagging": "line=4"},
        Config=TransferConfig(multipart_threshold=5 * MIB, use_threads=False),
    )

    head = client.head_object(Bucket=BUCKET, Key="parts")

    assert (head["ServerSideEncryption"], head["TagCount"]) == ("AES256", 1)


def test_an_object_that_nobody_asked_to_encrypt_says_nothing_of_it(client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="a", Body=b"x")

    assert "ServerSideEncryption" not in client.head_object(Bucket=BUCKET, Key="a")


@pytest.mark.parametrize("encryption", ["aws:kms", "aws:kms:dsse"])
def test_another_encryption_is_refused_by_its_name(client: Any, encryption: str) -> None:
    with pytest.raises(ClientError, match=f"{encryption}.*Use AES256") as caught:
        client.put_object(Bucket=BUCKET, Key="a", Body=b"x", ServerSideEncryption=encryption)

    assert code_of(caught) == "NotImplemented"


@pytest.mark.parametrize(
    "members",
    [
        {"ACL": "private"},
        {"ACL": "bucket-owner-full-control"},
        {"StorageClass": "STANDARD"},
        {"ExpectedBucketOwner": OWNER},
        {"BucketKeyEnabled": False},
        {"RequestPayer": "requester"},
    ],
)
def test_headers_that_change_nothing_are_accepted(
    client: Any, bench: Bench, members: dict[str, Any]
) -> None:
    client.put_object(Bucket=BUCKET, Key="a", Body=b"x", **members)

    assert bench.get("a") == b"x"


@pytest.mark.parametrize(
    "members", [{"ACL": "public-read"}, {"StorageClass": "GLACIER"}, {"BucketKeyEnabled": True}]
)
def test_headers_that_would_change_something_are_refused(
    client: Any, members: dict[str, Any]
) -> None:
    with pytest.raises(ClientError) as caught:
        client.put_object(Bucket=BUCKET, Key="a", Body=b"x", **members)

    assert code_of(caught) == "NotImplemented"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"ACL": "public-read"},
            "x-amz-acl: public-read is not supported by this server. "
            "Use bucket-owner-full-control or private, or leave it out.",
        ),
        (
            {"StorageClass": "GLACIER"},
            "x-amz-storage-class: GLACIER is not supported by this server. "
            "Use STANDARD, or leave it out.",
        ),
        (
            {"BucketKeyEnabled": True},
            "x-amz-server-side-encryption-bucket-key-enabled: true is not supported by this "
            "server. Use false, or leave it out.",
        ),
        (
            {"SSEKMSKeyId": "key-1"},
            "x-amz-server-side-encryption-aws-kms-key-id: key-1 is not supported by this server. "
            "Leave it out.",
        ),
    ],
)
def test_a_refusal_names_the_header_the_value_and_what_is_accepted(
    client: Any, members: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError) as caught:
        client.put_object(Bucket=BUCKET, Key="a", Body=b"x", **members)

    assert caught.value.response["Error"]["Message"] == message


def test_a_refusal_repeats_no_key() -> None:
    with pytest.raises(UnsupportedError) as caught:
        refuse_unsupported({"sse_customer_key": "secret"})

    assert str(caught.value) == (
        "x-amz-server-side-encryption-customer-key is not supported by this server. Leave it out."
    )


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("put_object", {"Key": "a", "Body": b"x"}),
        ("get_object", {"Key": "a"}),
        ("head_object", {"Key": "a"}),
        ("delete_object", {"Key": "a"}),
        ("list_objects_v2", {}),
        ("head_bucket", {}),
        ("get_object_tagging", {"Key": "a"}),
        ("copy_object", {"Key": "b", "CopySource": f"{BUCKET}/a"}),
    ],
)
def test_only_the_owner_of_a_bucket_may_be_expected(
    client: Any, operation: str, members: dict[str, Any]
) -> None:
    client.put_object(Bucket=BUCKET, Key="a", Body=b"x")
    call = getattr(client, operation)

    call(Bucket=BUCKET, ExpectedBucketOwner=OWNER, **members)
    with pytest.raises(ClientError) as caught:
        call(Bucket=BUCKET, ExpectedBucketOwner=STRANGER, **members)

    assert code_of(caught) in {"AccessDenied", "403"}


def test_the_owner_of_a_source_may_be_expected(client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="a", Body=b"x")
    source = {"Bucket": BUCKET, "Key": "b", "CopySource": f"{BUCKET}/a"}

    client.copy_object(**source, ExpectedSourceBucketOwner=OWNER)
    with pytest.raises(ClientError) as caught:
        client.copy_object(**source, ExpectedSourceBucketOwner=STRANGER)

    assert code_of(caught) == "AccessDenied"
