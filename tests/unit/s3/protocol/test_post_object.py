"""Uploads by forms, with the fields that boto3 presigns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from hypothesis import given
from hypothesis import strategies as st
from urllib3.filepost import encode_multipart_formdata

from blemish.domain.errors import AccessDeniedError
from blemish.s3.protocol.errors import InvalidArgumentError
from blemish.s3.protocol.post_form import FormReader
from blemish.wire.calls import Call
from blemish.wire.dispatch import Dispatcher
from tests.asgi_client import ENDPOINT, KEY_ID, SECRET, Answer, converse
from tests.botocore_sessions import new_session
from tests.unit.s3.protocol.objects_by_name import Objects, code_of, dispatcher

BUCKET = "bucket"


@pytest.fixture
def objects() -> Objects:
    return Objects()


@pytest.fixture
def app(objects: Objects) -> Dispatcher:
    return dispatcher(objects)


def presigned(
    *,
    key: str = "plates/${filename}",
    version: str = "s3v4",
    secret: str = SECRET,
    key_id: str = KEY_ID,
    **options: Any,
) -> dict[str, Any]:
    """Return address and fields of a form as boto3 makes them."""
    session = boto3.Session(
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        botocore_session=new_session(None),
    )
    config = Config(signature_version=version, s3={"addressing_style": "path"})
    client = session.client("s3", endpoint_url=ENDPOINT, config=config)
    post: dict[str, Any] = client.generate_presigned_post(BUCKET, key, **options)
    return post


def send(
    app: Dispatcher,
    post: dict[str, Any],
    *,
    content: bytes = b"content",
    block_bytes: int = 1_000,
    **fields: Any,
) -> Answer:
    """Send a form as a browser does."""
    parts = {**post["fields"], **fields, "file": ("1 \u00e4.png", content, "image/png")}
    body, content_type = encode_multipart_formdata(parts)
    address = urlsplit(post["url"])
    scope = {
        "type": "http",
        "method": "POST",
        "raw_path": address.path.encode(),
        "query_string": b"",
        "headers": [
            (b"host", address.netloc.encode()),
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ],
    }
    messages = [
        {"type": "http.request", "body": body[start : start + block_bytes], "more_body": True}
        for start in range(0, len(body), block_bytes)
    ]
    return converse(app, scope, [*messages, {"type": "http.request"}])


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_form_puts_the_file_under_its_name(
    app: Dispatcher, objects: Objects, version: str
) -> None:
    answer = send(app, presigned(version=version), content=bytes(range(256)) * 50)

    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["etag"]
    assert objects.kept == {f"{BUCKET}/plates/1 \u00e4.png": bytes(range(256)) * 50}


def test_fields_are_the_headers_of_the_object(app: Dispatcher, objects: Objects) -> None:
    tags = "<Tagging><TagSet><Tag><Key>a&amp;b</Key><Value>c</Value></Tag></TagSet></Tagging>"
    fields = {
        "Content-Type": "image/png",
        "acl": "private",
        "x-amz-meta-line": "4",
        "tagging": tags,
    }
    conditions = [{name: value} for name, value in fields.items()]

    answer = send(app, presigned(Fields=fields, Conditions=conditions))

    assert answer.status == 204
    assert objects.given["content_type"] == "image/png"
    assert objects.given["acl"] == "private"
    assert objects.given["metadata"] == {"line": "4"}
    assert objects.given["tagging"] == "a%26b=c"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-meta-line", "4\r\nX-Header: 1"),
        ("Content-Type", "image/png\0"),
        ("x-amz-meta-\u2603", "4"),
    ],
)
def test_a_field_that_is_no_header_is_refused(
    app: Dispatcher, objects: Objects, name: str, value: str
) -> None:
    fields = {name: value}

    answer = send(app, presigned(Fields=fields, Conditions=[fields]))

    assert (answer.status, code_of(answer)) == (400, "InvalidArgument")
    assert not objects.kept


def test_a_field_has_the_bytes_of_a_header(app: Dispatcher, objects: Objects) -> None:
    fields = {"x-amz-meta-line": "\u2603"}

    answer = send(app, presigned(Fields=fields, Conditions=[fields]))

    assert answer.status == 204
    assert objects.given["metadata"]["line"].encode("latin-1").decode() == "\u2603"


@pytest.mark.parametrize(
    ("fields", "status", "location"),
    [
        ({"success_action_status": "200"}, 200, "/bucket/key"),
        ({"success_action_status": "201"}, 201, "/bucket/key"),
        ({"success_action_status": "418"}, 204, "/bucket/key"),
        (
            {"success_action_redirect": "https://factory.test/done?a=b"},
            303,
            "https://factory.test/done?a=b&bucket=bucket&key=key&etag=%22",
        ),
        (
            {"success_action_redirect": "https://factory.test/fertig/ü"},
            303,
            "https://factory.test/fertig/%C3%BC?bucket=bucket&key=key&etag=%22",
        ),
        ({"success_action_redirect": "http://["}, 204, "/bucket/key"),
        ({"success_action_redirect": "http://a/\r\nX-Header: 1"}, 204, "/bucket/key"),
        ({"success_action_redirect": "javascript:alert(1)"}, 204, "/bucket/key"),
    ],
)
def test_the_form_says_how_it_is_answered(
    app: Dispatcher, fields: dict[str, str], status: int, location: str
) -> None:
    conditions = [{name: value} for name, value in fields.items()]

    answer = send(app, presigned(key="key", Fields=fields, Conditions=conditions))

    assert answer.status == status
    assert answer.headers["location"].startswith(location)
    assert (b"<Key>key</Key>" in answer.body) == (status == 201)


@pytest.mark.parametrize(
    ("conditions", "fields", "code"),
    [
        ([["content-length-range", 1, 6]], {}, "EntityTooLarge"),
        ([["content-length-range", 8, 9]], {}, "EntityTooSmall"),
        ([["content-length-range", 7, 7]], {}, None),
        ([["starts-with", "$Content-Type", "image/"]], {"Content-Type": "image/png"}, None),
        (
            [["starts-with", "$Content-Type", "image/"]],
            {"Content-Type": "text/html"},
            "AccessDenied",
        ),
        ([["eq", "$x-amz-meta-line", "4"]], {"x-amz-meta-line": "5"}, "AccessDenied"),
        ([["eq", "$x-amz-meta-line", "4"]], {}, "AccessDenied"),
        ([], {"x-amz-meta-line": "4"}, "AccessDenied"),
        ([], {"x-ignore-me": "4"}, None),
        ([["like", "$key", "p"]], {}, "InvalidArgument"),
        ([{"x-amz-meta-line": "\ud800"}], {}, "AccessDenied"),
    ],
)
def test_a_form_must_fulfil_its_policy(
    app: Dispatcher,
    objects: Objects,
    conditions: list[Any],
    fields: dict[str, Any],
    code: str | None,
) -> None:
    answer = send(app, presigned(Conditions=conditions), **fields)

    assert (code_of(answer) if answer.body else None) == code
    assert (objects.kept == {}) == (code is not None)


@pytest.mark.parametrize("version", ["s3v4", "s3"])
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"secret": "no"}, "SignatureDoesNotMatch"),
        ({"key_id": "NOBODY"}, "InvalidAccessKeyId"),
        ({"ExpiresIn": -1}, "AccessDenied"),
    ],
)
def test_a_policy_is_signed_and_has_an_end(
    app: Dispatcher, objects: Objects, version: str, options: dict[str, Any], code: str
) -> None:
    answer = send(app, presigned(version=version, **options))

    assert code_of(answer) == code
    assert objects.kept == {}


def test_a_form_is_for_one_bucket_and_one_key(app: Dispatcher, objects: Objects) -> None:
    post = presigned(key="key")
    elsewhere = {**post, "url": post["url"].replace(f"/{BUCKET}", "/other")}

    answers = [send(app, elsewhere), send(app, post, key="another")]

    assert [code_of(answer) for answer in answers] == ["AccessDenied"] * 2
    assert objects.kept == {}


def test_a_form_without_a_policy_is_refused(app: Dispatcher) -> None:
    post = presigned()

    answer = send(app, {"url": post["url"], "fields": {"key": "a"}})

    assert (answer.status, code_of(answer)) == (403, "AccessDenied")


def test_the_holder_of_the_key_needs_the_right_to_put_the_object(objects: Objects) -> None:
    seen: list[Any] = []

    def refuse(call: Call) -> None:
        seen.append((call.operation, call.members["Bucket"], call.members["Key"]))
        raise AccessDeniedError("No.")

    answer = send(dispatcher(objects, gates=[refuse]), presigned(key="key"))

    assert code_of(answer) == "AccessDenied"
    assert seen == [("PutObject", "bucket", "key")]
    assert objects.kept == {}


@pytest.mark.parametrize("end", [b"--XY--", b"--XY--\r\n", b"--XY--\r\n\r\n"])
@pytest.mark.parametrize("block_bytes", [1, 1_000])
def test_a_form_without_a_file_says_which_field_is_missing(end: bytes, block_bytes: int) -> None:
    form = b'--XY\r\nContent-Disposition: form-data; name="key"\r\n\r\na\r\n' + end
    blocks = iter([form[at : at + block_bytes] for at in range(0, len(form), block_bytes)])
    reader = FormReader(lambda: next(blocks, b""), content_type="multipart/form-data; boundary=XY")

    with pytest.raises(InvalidArgumentError, match=r"exactly one file.*'file'.*last field"):
        reader.read_fields()


@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.lists(st.sampled_from([b"\r\n--X", b"\r\n--", b"\r", b"\n", b"X", b"a"])).map(b"".join),
    ).filter(lambda content: b"\r\n--XY" not in content),
    block_bytes=st.integers(1, 60),
)
def test_a_file_comes_out_as_it_went_in_whatever_the_blocks(
    content: bytes, block_bytes: int
) -> None:
    form = (
        b'--XY\r\nContent-Disposition: form-data; name="Key"\r\n\r\na b\r\n'
        b'--XY\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        + content
        + b"\r\n--XY--\r\n"
    )
    blocks = iter([form[at : at + block_bytes] for at in range(0, len(form), block_bytes)])
    reader = FormReader(lambda: next(blocks, b""), content_type="multipart/form-data; boundary=XY")

    fields = reader.read_fields()

    def file() -> Iterator[bytes]:
        while block := reader.pull_file():
            yield block

    assert (fields.fields, fields.file_name) == ({"key": "a b"}, "f")
    assert b"".join(file()) == content
