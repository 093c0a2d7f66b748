from __future__ import annotations

import hashlib
from base64 import b64encode
from io import BytesIO
from typing import Any

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from structlog.contextvars import merge_contextvars
from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from blemish.domain.errors import AccessDeniedError as AccessDenied
from blemish.s3.protocol.browser_safety import SANDBOX
from blemish.wire.calls import Call
from blemish.wire.dispatch import Dispatcher
from tests.asgi_client import ENDPOINT, KEY_ID, SECRET, ask, boto3_client
from tests.unit.s3.protocol.objects_by_name import (
    URL,
    WHEN,
    Objects,
    code_of,
    dispatcher,
    send,
    signed,
)


@pytest.fixture
def objects() -> Objects:
    return Objects()


@pytest.fixture
def app(objects: Objects) -> Dispatcher:
    return dispatcher(objects)


@pytest.fixture
def client(app: Dispatcher) -> Any:
    return boto3_client(app, service="s3")


def test_an_object_goes_in_and_comes_out(client: Any, objects: Objects) -> None:
    content = bytes(range(256)) * 20

    put = client.put_object(Bucket="bucket", Key="a b/ü", Body=BytesIO(content))
    got = client.get_object(Bucket="bucket", Key="a b/ü")

    assert put["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
    assert got["Body"].read() == content
    assert objects.closed == 1
    assert objects.given["checksums"].keys() == {"CRC32"}


def test_what_goes_with_an_object_arrives(client: Any, objects: Objects) -> None:
    client.put_object(
        Bucket="bucket",
        Key="key",
        Body=b"content",
        ContentType="image/png",
        ContentEncoding="gzip",
        Metadata={"Line": "4"},
        ChecksumAlgorithm="SHA256",
    )

    digest = b64encode(hashlib.sha256(b"content").digest()).decode()
    assert objects.given["metadata"] == {"line": "4"}
    assert objects.given["content_type"] == "image/png"
    assert objects.given["content_encoding"] == "gzip"
    assert objects.given["checksum_algorithm"] == "SHA256"
    assert objects.given["checksums"] == {"SHA256": digest}


def test_the_coding_of_the_transfer_is_not_that_of_the_object(
    app: Dispatcher, objects: Objects
) -> None:
    send(app, "PUT", URL, b"content", content_encoding="aws-chunked")

    assert "content_encoding" not in objects.given


def test_members_are_answered_in_headers(client: Any, objects: Objects) -> None:
    objects.kept["bucket/key"] = b"content"

    head = client.head_object(Bucket="bucket", Key="key", ChecksumMode="ENABLED")

    assert head["ContentLength"] == 7
    assert head["LastModified"] == WHEN
    assert head["Metadata"] == {"a": "ENABLED"}


def test_members_travel_in_documents(client: Any) -> None:
    given = client.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "a<&>b"}]})

    assert given["Deleted"] == [{"Key": "bucket/a<&>b"}]
    assert client.list_buckets()["Buckets"] == [{"Name": "bucket", "CreationDate": WHEN}]


@pytest.mark.parametrize("url", [URL, URL.replace("//", "//bucket.").replace("/bucket/", "/")])
def test_a_bucket_stands_in_the_path_or_before_the_host(
    app: Dispatcher, objects: Objects, url: str
) -> None:
    answer = send(app, "PUT", url, b"content")

    assert answer.status == 200
    assert objects.kept == {"bucket/key": b"content"}


def test_an_error_tells_what_it_is_about(client: Any, app: Dispatcher) -> None:
    with pytest.raises(ClientError) as caught:
        client.delete_object(Bucket="bucket", Key="broken")
    answer = send(app, "HEAD", URL)

    assert caught.value.response["Error"] == {
        "Code": "InternalError",
        "Message": "The server failed.",
        "Resource": "/bucket/broken",
    }
    assert caught.value.response["ResponseMetadata"]["RequestId"] == "request-0"
    assert (answer.status, answer.body) == (404, b"")
    assert answer.headers["x-amz-request-id"] == "request-1"


def test_an_error_of_ours_is_logged_and_not_told(app: Dispatcher) -> None:
    with capture_logs([merge_contextvars, format_exc_info]) as logged:
        answer = send(app, "DELETE", f"{ENDPOINT}/bucket/broken")

    assert answer.status == 500
    assert b"secret" not in answer.body
    [line] = logged
    assert line["request_id"] == answer.headers["x-amz-request-id"]
    assert "a secret of ours" in line["exception"]


def test_a_fault_that_may_be_told_is_told(app: Dispatcher) -> None:
    assert b"The disk is full." in send(app, "DELETE", f"{ENDPOINT}/bucket/full").body


def test_no_content_has_no_length(app: Dispatcher) -> None:
    answer = send(app, "DELETE", URL)

    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers == {"x-amz-request-id": "request-0", **SANDBOX}


@pytest.mark.parametrize(
    ("method", "path", "headers", "code"),
    [
        ("GET", "/bucket/key?acl", {}, "NotImplemented"),
        ("GET", "/bucket/key?annotations", {}, "NotImplemented"),
        ("HEAD", "/bucket", {}, None),
        ("POST", "/", {}, "MethodNotAllowed"),
        ("DELETE", "/bucket/key", {"x_amz_mfa": "1"}, "NotImplemented"),
        ("DELETE", "/bucket/key?versionId=1", {}, "NotImplemented"),
        ("PUT", "/bucket/key", {"content_md5": "AAAA"}, "InvalidDigest"),
        ("PUT", "/bucket/key", {"x_amz_checksum_crc32": "AAAAAA==" * 2}, "InvalidRequest"),
        ("POST", "/bucket?delete", {}, "InvalidRequest"),
    ],
)
def test_what_is_not_offered_or_not_well_formed_is_refused(
    app: Dispatcher, method: str, path: str, headers: dict[str, str], code: str | None
) -> None:
    answer = send(app, method, ENDPOINT + path, **headers)

    assert answer.status >= 400
    assert code is None or code_of(answer) == code


def test_who_did_not_sign_is_refused(app: Dispatcher) -> None:
    assert code_of(ask(app, "GET", URL)) == "AccessDenied"


@pytest.mark.parametrize(
    ("credentials", "code"),
    [({"secret": "no"}, "SignatureDoesNotMatch"), ({"key_id": "NOBODY"}, "InvalidAccessKeyId")],
)
def test_who_signed_wrongly_is_refused(
    app: Dispatcher, credentials: dict[str, str], code: str
) -> None:
    client = boto3_client(app, service="s3", **credentials)

    with pytest.raises(ClientError, match=code):
        client.list_buckets()


def test_another_body_than_the_signed_one_is_refused(app: Dispatcher, objects: Objects) -> None:
    headers = signed("PUT", URL, b"content", content_length="7")

    answer = ask(app, "PUT", URL, headers=headers, body=b"CONTENT")

    assert code_of(answer) == "XAmzContentSHA256Mismatch"
    assert objects.kept == {}


def test_a_body_needs_a_length(app: Dispatcher) -> None:
    answer = ask(app, "PUT", URL, headers=signed("PUT", URL, b"content"), body=b"content")

    assert (answer.status, code_of(answer)) == (411, "MissingContentLength")


def test_parameters_of_a_link_stand_for_headers(app: Dispatcher, objects: Objects) -> None:
    link = AWSRequest(method="PUT", url=f"{URL}?x-amz-meta-line=4", data=b"")
    S3SigV4QueryAuth(Credentials(KEY_ID, SECRET), "s3", "eu-west-1").add_auth(link)

    answer = ask(app, "PUT", link.url, headers={"content-length": "7"}, body=b"content")

    assert answer.status == 200
    assert objects.kept == {"bucket/key": b"content"}
    assert objects.given["metadata"] == {"line": "4"}


class Lacking:
    def head_object(self, *, bucket: str) -> dict[str, Any]:
        return {"ETag": bucket}


class Unknown:
    def head_object(self, *, bucket: str, key: str, kye: str = "") -> dict[str, Any]:
        return {"ETag": bucket + key + kye}


@pytest.mark.parametrize("handlers", [Lacking(), Unknown()])
def test_a_method_must_take_what_its_operation_has(handlers: object) -> None:
    with pytest.raises(TypeError, match=r"key|kye"):
        dispatcher(handlers)


def test_a_call_passes_the_gates_before_its_body_is_read(objects: Objects) -> None:
    def refuse(call: Call) -> None:
        raise AccessDenied(
            f"{call.caller and call.caller.principal.name} may not {call.operation}."
        )

    calls: list[Call] = []
    app = dispatcher(objects, gates=[refuse], observers=[calls.append])

    answer = send(app, "PUT", URL, b"content")

    assert (answer.status, code_of(answer)) == (403, "AccessDenied")
    assert "tester may not PutObject." in answer.body.decode()
    assert objects.kept == {}
    assert [(call.operation, call.members["Key"], call.status) for call in calls] == [
        ("PutObject", "key", 403)
    ]
