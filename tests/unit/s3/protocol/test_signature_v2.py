"""Presigned URLs of Signature Version 2, as boto3 makes them for us-east-1 by default."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config

from blemish.wire.dispatch import Dispatcher
from tests.asgi_client import ENDPOINT, KEY_ID, SECRET, Answer, ask
from tests.botocore_sessions import new_session
from tests.unit.s3.protocol.objects_by_name import Objects, code_of, dispatcher

Presign = Callable[..., str]


@pytest.fixture
def objects() -> Objects:
    return Objects()


@pytest.fixture
def app(objects: Objects) -> Dispatcher:
    return dispatcher(objects)


def presigner(*, secret: str = SECRET, key_id: str = KEY_ID, style: str = "path") -> Presign:
    """Return what makes URLs as boto3 does without a signature version, in us-east-1."""
    session = boto3.Session(
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        botocore_session=new_session(None),
    )
    client = session.client(
        "s3", endpoint_url=ENDPOINT, config=Config(s3={"addressing_style": style})
    )

    def presign(operation: str, *, expires_s: int = 60, **members: Any) -> str:
        url: str = client.generate_presigned_url(operation, members, ExpiresIn=expires_s)
        assert "AWSAccessKeyId=" in url
        return url

    return presign


def put(app: Dispatcher, url: str, body: bytes = b"content", **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(app, "PUT", url, headers={"content-length": str(len(body))} | sent, body=body)


@pytest.mark.parametrize("style", ["path", "virtual"])
@pytest.mark.parametrize("key", ["key", "a b/\u00fc+(1).png"])
def test_objects_are_written_and_read_by_their_urls(
    app: Dispatcher, objects: Objects, style: str, key: str
) -> None:
    presign, members = presigner(style=style), {"Bucket": "bucket", "Key": key}

    written = put(app, presign("put_object", **members))
    read = ask(app, "GET", presign("get_object", **members))
    head = ask(app, "HEAD", presign("head_object", **members))

    assert (written.status, read.status, head.status) == (200, 200, 200)
    assert read.body == b"content"
    assert objects.kept == {f"bucket/{key}": b"content"}


def test_what_is_signed_with_a_url_goes_with_the_object(app: Dispatcher, objects: Objects) -> None:
    url = presigner()(
        "put_object",
        Bucket="bucket",
        Key="key",
        ContentType="image/png",
        Metadata={"line": "4"},
        Tagging="a=b",
    )

    answer = put(app, url, content_type="image/png")

    assert answer.status == 200
    assert objects.given["content_type"] == "image/png"
    assert objects.given["metadata"] == {"line": "4"}
    assert objects.given["tagging"] == "a=b"


def test_other_headers_than_the_signed_ones_are_refused(app: Dispatcher) -> None:
    url = presigner()("put_object", Bucket="bucket", Key="key", ContentType="image/png")

    assert code_of(put(app, url, content_type="text/html")) == "SignatureDoesNotMatch"
    assert code_of(put(app, url, x_amz_meta_line="4")) == "SignatureDoesNotMatch"


def test_a_url_is_for_one_method_one_object_and_one_secret(app: Dispatcher) -> None:
    url = presigner()("get_object", Bucket="bucket", Key="key")
    stranger = presigner(secret="no")("get_object", Bucket="bucket", Key="key")

    answers = [
        put(app, url),
        ask(app, "GET", url.replace("/key?", "/other?")),
        ask(app, "GET", url.replace("?", "?versionId=1&")),
        ask(app, "GET", stranger),
    ]

    assert [code_of(answer) for answer in answers] == ["SignatureDoesNotMatch"] * 4


def test_a_url_has_an_end_and_a_holder(app: Dispatcher) -> None:
    over = presigner()("get_object", Bucket="bucket", Key="key", expires_s=-1)
    of_nobody = presigner(key_id="NOBODY")("get_object", Bucket="bucket", Key="key")
    halved = f"{ENDPOINT}/bucket/key?AWSAccessKeyId={KEY_ID}&Signature=abc"

    assert code_of(ask(app, "GET", over)) == "AccessDenied"
    assert b"Request has expired" in ask(app, "GET", over).body
    assert code_of(ask(app, "GET", of_nobody)) == "InvalidAccessKeyId"
    assert code_of(ask(app, "GET", halved)) == "AccessDenied"


def test_a_changed_end_breaks_the_signature(app: Dispatcher) -> None:
    url = presigner()("get_object", Bucket="bucket", Key="key")
    later = int((datetime.now(UTC) + timedelta(days=9)).timestamp())

    head, _, tail = url.partition("Expires=")
    answer = ask(app, "GET", f"{head}Expires={later}{tail.lstrip('0123456789')}")

    assert code_of(answer) == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("method", "query", "headers"),
    [
        ("DELETE", "?AWSAccessKeyId=A&Signature=b&Expires=1", {}),
        ("GET", "", {"authorization": "AWS A:b", "date": "now"}),
    ],
)
def test_who_signs_other_requests_by_version_2_is_told_how_to_sign(
    app: Dispatcher, method: str, query: str, headers: dict[str, str]
) -> None:
    answer = ask(app, method, f"{ENDPOINT}/bucket/key{query}", headers=headers)

    assert code_of(answer) == "InvalidRequest"
    assert b"s3v4" in answer.body
