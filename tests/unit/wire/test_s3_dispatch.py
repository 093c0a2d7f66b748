from __future__ import annotations

import asyncio
import hashlib
import logging
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO
from itertools import count
from threading import current_thread, main_thread
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ServiceModel

from blemish.wire.s3_body import Body
from blemish.wire.s3_dispatch import DRAIN_BYTES, StreamingDispatcher
from blemish.wire.s3_errors import NoSuchKeyError
from tests.asgi_client import ENDPOINT, KEY_ID, SECRET, Answer, ask, boto3_client, converse

MODEL = ServiceModel(Loader().load_service_model("s3", "service-2"))
URL = f"{ENDPOINT}/bucket/key"
WHEN = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


class DiskError(Exception):
    """Something a client may learn about."""


class Objects:
    """Some operations over a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.given: dict[str, Any] = {}
        self.closed = 0

    def put_object(self, *, bucket: str, key: str, body: Body, **others: Any) -> dict[str, Any]:
        assert current_thread() is not main_thread()
        if key == "refused":
            raise NoSuchKeyError("Not here.")
        content = b"".join(iter(lambda: body.read(1_000), b""))
        self.kept[f"{bucket}/{key}"] = content
        self.given = others | {"checksums": body.checksums}
        return {"ETag": f'"{hashlib.md5(content).hexdigest()}"'}

    def get_object(self, *, bucket: str, key: str, checksum_mode: str = "") -> dict[str, Any]:
        content = self.kept[f"{bucket}/{key}"]
        size = "ContentLengh" if content == b"misnamed" else "ContentLength"
        language = checksum_mode or None
        return {"Body": self._blocks(content), size: len(content), "ContentLanguage": language}

    def _blocks(self, content: bytes) -> Iterator[bytes]:
        try:
            for start in range(0, len(content), 4):
                yield content[start : start + 4]
                if content == b"torn apart":
                    raise OSError("the disk is torn")
        finally:
            self.closed += 1

    def head_object(self, *, bucket: str, key: str, checksum_mode: str = "") -> dict[str, Any]:
        if f"{bucket}/{key}" not in self.kept:
            raise NoSuchKeyError("There is none.", details={"Key": key})
        size = len(self.kept[f"{bucket}/{key}"])
        return {"ContentLength": size, "LastModified": WHEN, "Metadata": {"a": checksum_mode}}

    def delete_object(self, *, bucket: str, key: str) -> dict[str, Any]:
        if key == "full":
            raise DiskError
        if key == "broken":
            raise RuntimeError("a secret of ours")
        self.kept.pop(f"{bucket}/{key}", None)
        return {}

    def delete_objects(self, *, bucket: str, delete: Mapping[str, Any]) -> dict[str, Any]:
        return {"Deleted": [{"Key": f"{bucket}/{each['Key']}"} for each in delete["Objects"]]}

    def list_buckets(self) -> dict[str, Any]:
        return {"Buckets": [{"Name": "bucket", "CreationDate": WHEN}]}


@pytest.fixture
def objects() -> Objects:
    return Objects()


@pytest.fixture
def app(objects: Objects) -> StreamingDispatcher:
    return dispatcher(objects)


@pytest.fixture
def client(app: StreamingDispatcher) -> Any:
    return boto3_client(app, service="s3")


def dispatcher(handlers: object) -> StreamingDispatcher:
    return StreamingDispatcher(
        MODEL,
        handlers,
        secret={KEY_ID: SECRET}.get,
        clock=lambda: datetime.now(UTC),
        request_ids=map("request-{}".format, count()).__next__,
        base_host_names={urlsplit(ENDPOINT).netloc},
        faults={DiskError: "The disk is full."},
    )


def signed(method: str, url: str, body: bytes = b"", /, **headers: str) -> dict[str, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = AWSRequest(method=method, url=url, data=body, headers=named)
    S3SigV4Auth(Credentials(KEY_ID, SECRET), "s3", "eu-west-1").add_auth(request)
    return dict(request.headers.items())


def send(app: Any, method: str, url: str, body: bytes = b"", /, **headers: str) -> Answer:
    given = {"content_length": str(len(body)), **headers}
    return ask(app, method, url, headers=signed(method, url, body, **given), body=body)


def code_of(answer: Answer) -> str | None:
    return ET.fromstring(answer.body).findtext("Code")


def scope_of(method: str, url: str, **headers: str) -> dict[str, Any]:
    parts = urlsplit(url)
    named = {"host": parts.netloc, **signed(method, url, **headers)}
    return {
        "type": "http",
        "method": method,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in named.items()],
    }


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
    app: StreamingDispatcher, objects: Objects
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
    app: StreamingDispatcher, objects: Objects, url: str
) -> None:
    answer = send(app, "PUT", url, b"content")

    assert answer.status == 200
    assert objects.kept == {"bucket/key": b"content"}


def test_an_error_tells_what_it_is_about(client: Any, app: StreamingDispatcher) -> None:
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


def test_an_error_of_ours_is_logged_and_not_told(
    app: StreamingDispatcher, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = send(app, "DELETE", f"{ENDPOINT}/bucket/broken")

    assert answer.status == 500
    assert b"secret" not in answer.body
    assert "a secret of ours" in caplog.text


def test_a_fault_that_may_be_told_is_told(app: StreamingDispatcher) -> None:
    assert b"The disk is full." in send(app, "DELETE", f"{ENDPOINT}/bucket/full").body


def test_no_content_has_no_length(app: StreamingDispatcher) -> None:
    answer = send(app, "DELETE", URL)

    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers == {"x-amz-request-id": "request-0"}


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
    app: StreamingDispatcher, method: str, path: str, headers: dict[str, str], code: str | None
) -> None:
    answer = send(app, method, ENDPOINT + path, **headers)

    assert answer.status >= 400
    assert code is None or code_of(answer) == code


def test_who_did_not_sign_is_refused(app: StreamingDispatcher) -> None:
    assert code_of(ask(app, "GET", URL)) == "AccessDenied"


@pytest.mark.parametrize(
    ("credentials", "code"),
    [({"secret": "no"}, "SignatureDoesNotMatch"), ({"key_id": "NOBODY"}, "InvalidAccessKeyId")],
)
def test_who_signed_wrongly_is_refused(
    app: StreamingDispatcher, credentials: dict[str, str], code: str
) -> None:
    client = boto3_client(app, service="s3", **credentials)

    with pytest.raises(ClientError, match=code):
        client.list_buckets()


def test_another_body_than_the_signed_one_is_refused(
    app: StreamingDispatcher, objects: Objects
) -> None:
    headers = signed("PUT", URL, b"content", content_length="7")

    answer = ask(app, "PUT", URL, headers=headers, body=b"CONTENT")

    assert code_of(answer) == "XAmzContentSHA256Mismatch"
    assert objects.kept == {}


def test_a_body_needs_a_length(app: StreamingDispatcher) -> None:
    answer = ask(app, "PUT", URL, headers=signed("PUT", URL, b"content"), body=b"content")

    assert (answer.status, code_of(answer)) == (411, "MissingContentLength")


def test_parameters_of_a_link_stand_for_headers(app: StreamingDispatcher, objects: Objects) -> None:
    link = AWSRequest(method="PUT", url=f"{URL}?x-amz-meta-line=4", data=b"")
    S3SigV4QueryAuth(Credentials(KEY_ID, SECRET), "s3", "eu-west-1").add_auth(link)

    answer = ask(app, "PUT", link.url, headers={"content-length": "7"}, body=b"content")

    assert answer.status == 200
    assert objects.kept == {"bucket/key": b"content"}
    assert objects.given["metadata"] == {"line": "4"}


def test_a_body_that_nobody_wants_is_read_so_that_the_answer_is_seen(
    app: StreamingDispatcher,
) -> None:
    refused = f"{ENDPOINT}/bucket/refused"
    part = {"type": "http.request", "body": bytes(DRAIN_BYTES // 2), "more_body": True}
    scope = scope_of("PUT", refused, content_length=str(DRAIN_BYTES * 9))

    soon = converse(app, scope, [part, {"type": "http.request"}])
    late = converse(app, scope, [part, part, part, part, part])

    assert (soon.status, code_of(soon), soon.headers.get("connection")) == (404, "NoSuchKey", None)
    assert (late.status, late.headers["connection"]) == (404, "close")


def test_a_client_that_waits_to_be_asked_for_a_body_is_answered_at_once(
    app: StreamingDispatcher,
) -> None:
    scope = scope_of("PUT", f"{ENDPOINT}/bucket/refused", content_length="9", expect="100-continue")

    answer = converse(app, scope, [])

    assert (answer.status, answer.headers["connection"]) == (404, "close")


def test_a_client_that_hangs_up_leaves_nothing(app: StreamingDispatcher, objects: Objects) -> None:
    part = {"type": "http.request", "body": b"cont", "more_body": True}
    scope = scope_of("PUT", URL, content_length="7")

    answer = converse(app, scope, [part, {"type": "http.disconnect"}])

    assert answer.status == 0
    assert objects.kept == {}


def test_a_download_ends_when_the_client_hangs_up(
    app: StreamingDispatcher, objects: Objects
) -> None:
    objects.kept["bucket/key"] = bytes(4_000)
    gone = asyncio.Event()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if sent:
            await gone.wait()
            return {"type": "http.disconnect"}
        return {"type": "http.request"}

    async def send_slowly(message: Any) -> None:
        sent.append(message)
        if len(sent) == 3:
            gone.set()
            await asyncio.sleep(0.01)

    asyncio.run(app(scope_of("GET", URL), receive, send_slowly))

    assert len(sent) < 10
    assert objects.closed == 1


def test_a_download_that_fails_on_its_way_breaks_off(
    app: StreamingDispatcher, objects: Objects
) -> None:
    objects.kept["bucket/key"] = b"torn apart"

    with pytest.raises(ExceptionGroup) as caught:
        converse(app, scope_of("GET", URL), [{"type": "http.request"}])

    assert caught.group_contains(OSError, match="the disk is torn")
    assert objects.closed == 1


def test_a_body_is_closed_even_if_its_answer_cannot_be_written(
    app: StreamingDispatcher, objects: Objects
) -> None:
    objects.kept["bucket/key"] = b"misnamed"

    assert send(app, "GET", URL).status == 500


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
