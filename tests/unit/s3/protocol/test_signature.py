"""S3's signatures as botocore makes them are accepted."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from blemish.domain.access.principals import Principal, Signer
from blemish.s3.protocol.chunks import ChunkSigner
from blemish.s3.protocol.errors import (
    InvalidArgumentError,
    InvalidRequestError,
    S3Error,
    UnsupportedError,
)
from blemish.s3.protocol.signature import (
    S3_ERRORS,
    SIGNED_CHUNKS,
    as_s3_error,
    signed_payload,
    verify,
)
from blemish.wire.canonical import canonical_query, decoded_query, object_path, signing_key
from blemish.wire.errors import (
    ClockSkewError,
    ExpiredLinkError,
    InvalidSignatureError,
    RequestEntityTooLargeError,
    WireError,
)
from blemish.wire.messages import HttpRequest
from blemish.wire.signature import UNSIGNED_PAYLOAD, SignatureVerifier

KEY_ID = "BLEMKEY1"
SECRET = "a secret / of + some length"
HOST = "blemish.test:8000"
PRINCIPAL = Principal(access_key_id=KEY_ID, name="tester", arn="arn:aws:iam::1:user/tester")

#: as clients send them: encoded once
PATHS = st.text().map(lambda key: "/" + quote(key, safe="/~"))
PARTS = st.text(max_size=5).map(lambda text: quote(text, safe="-_.~"))


class SignedChunksAuth(S3SigV4Auth):  # type: ignore[misc]
    """Announces chunks that are signed: botocore itself has none."""

    def payload(self, _: AWSRequest) -> str:
        return SIGNED_CHUNKS


def send(
    signer: type[S3SigV4Auth] = S3SigV4Auth,
    *,
    method: str = "PUT",
    path: str = "/bucket/key",
    query: str = "",
    body: bytes = b"",
    **options: Any,
) -> HttpRequest:
    """Have botocore sign a request, and return it as it would arrive."""
    url = f"http://{HOST}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, data=body)
    request.context["client_config"] = Config(s3={"payload_signing_enabled": True})
    signer(Credentials(KEY_ID, SECRET), "s3", "eu-west-1", **options).add_auth(request)
    parts = urlsplit(request.url)
    arrived = {name.lower(): value for name, value in request.headers.items()} | {"host": HOST}
    return HttpRequest(method, parts.path, parts.query, arrived, b"")


def verifier(*, after_s: float = 0) -> SignatureVerifier:
    return SignatureVerifier(
        services={"s3"},
        signer={KEY_ID: Signer(principal=PRINCIPAL, secret=SECRET)}.get,
        clock=lambda: datetime.now(UTC) + timedelta(seconds=after_s),
        clock_skew_s=900,
        path_form=object_path,
        query_forms=(canonical_query, decoded_query),
    )


@given(path=PATHS, query=PARTS, body=st.binary())
def test_what_botocore_signs_is_accepted(path: str, query: str, body: bytes) -> None:
    request = send(path=path, query=f"prefix={query}", body=body)

    assert verify(verifier(), request)[1] is None
    assert signed_payload(request) == hashlib.sha256(body).hexdigest()


@given(path=PATHS, query=PARTS)
def test_what_botocore_presigns_is_accepted(path: str, query: str) -> None:
    request = send(S3SigV4QueryAuth, path=path, query=f"prefix={query}")

    assert verify(verifier(), request)[1] is None
    assert signed_payload(request) == UNSIGNED_PAYLOAD


@given(path=PATHS)
def test_a_path_may_be_sent_with_less_encoding(path: str) -> None:
    request = send(path=path)
    laxer = request.path.replace("%28", "(").replace("%2C", ",").replace("%3D", "=")

    assert verify(verifier(), HttpRequest("PUT", laxer, "", request.headers, b""))[1] is None


@pytest.mark.parametrize("path", ["/bucket/a/../key", "/bucket//key", "/bucket/./key"])
def test_a_path_is_not_normalised(path: str) -> None:
    request = send(path="/bucket/key")

    with pytest.raises(InvalidSignatureError):
        verify(verifier(), HttpRequest("PUT", path, "", request.headers, b""))


@pytest.mark.parametrize("signer", [S3SigV4Auth, S3SigV4QueryAuth])
@pytest.mark.parametrize(
    ("signed", "sent"),
    [
        ("prefix=a%2Fb%C3%BC", "prefix=a/bü"),
        ("prefix=a%2Fb", "prefix=a%2fb"),
        ("a%2Fb=1&a0=2", "a0=2&a/b=1"),  # sorted after the encoding, in which % is before 0
        ("prefix=a%20b", "prefix=a+b"),
        ("prefix=a%2Bb", "prefix=a%2bb"),
        ("acl=", "acl"),
    ],
)
def test_a_query_may_be_sent_with_another_encoding(
    signer: type[S3SigV4Auth], signed: str, sent: str
) -> None:
    request = send(signer, query=signed)
    query = request.query.replace(signed, sent)
    assert query != request.query

    changed = HttpRequest("PUT", request.path, query, request.headers, b"")

    assert verify(verifier(), changed)[1] is None


@given(query=st.binary(max_size=9))
def test_any_bytes_that_are_not_signed_are_refused(query: bytes) -> None:
    text = query.decode(errors="surrogateescape")
    request = send()

    with pytest.raises(InvalidSignatureError):
        verify(verifier(), HttpRequest("PUT", request.path, f"{text}=", request.headers, b""))


@pytest.mark.parametrize(
    ("signed", "sent"),
    [
        ("prefix=a%2Bb", "prefix=a+b"),  # would be read as a space
        ("prefix=a%2526b", "prefix=a%26b"),
        ("prefix=a%26b=", "prefix=a&b="),
        ("prefix=a%2Fb", "prefix=A/b"),
    ],
)
def test_a_query_that_means_something_else_is_refused(signed: str, sent: str) -> None:
    request = send(query=signed)

    with pytest.raises(InvalidSignatureError):
        verify(verifier(), HttpRequest("PUT", request.path, sent, request.headers, b""))


def test_signed_chunks_follow_the_signature_of_the_headers() -> None:
    request = send(SignedChunksAuth)
    scope = f"{request.headers['x-amz-date'][:8]}/eu-west-1/s3/aws4_request"
    seed = request.headers["authorization"].rpartition("=")[2]
    expected = ChunkSigner(
        key=signing_key(SECRET, scope=scope),
        timestamp=request.headers["x-amz-date"],
        scope=scope,
        seed=seed,
    )

    caller, found = verify(verifier(), request)

    assert caller.principal == PRINCIPAL
    assert found is not None
    assert found.chunk("a") == expected.chunk("a")


def test_a_clock_that_is_off_is_named() -> None:
    with pytest.raises(ClockSkewError):
        verify(verifier(after_s=1_000), send())


def test_a_link_expires() -> None:
    request = send(S3SigV4QueryAuth, expires=60)

    assert verify(verifier(after_s=50), request)[1] is None
    with pytest.raises(ExpiredLinkError):
        verify(verifier(after_s=70), request)
    with pytest.raises(ClockSkewError):
        verify(verifier(after_s=-1_000), request)


@pytest.mark.parametrize(
    ("headers", "query", "error"),
    [
        ({"authorization": "AWS4-HMAC-SHA256"}, "", InvalidRequestError),
        (
            {"x-amz-content-sha256": "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"},
            "",
            UnsupportedError,
        ),
        ({"x-amz-content-sha256": "abc"}, "", InvalidArgumentError),
        ({}, "X-Amz-Content-Sha256=abc", InvalidArgumentError),
    ],
)
def test_what_is_signed_of_the_body_must_be_said(
    headers: dict[str, str], query: str, error: type[S3Error]
) -> None:
    with pytest.raises(error):
        signed_payload(HttpRequest("PUT", "/b/k", query, headers, b""))


def test_a_link_may_say_what_is_signed_of_the_body() -> None:
    digest = hashlib.sha256(b"content").hexdigest()

    request = HttpRequest("PUT", "/b/k", f"X-Amz-Content-Sha256={digest}", {}, b"")

    assert signed_payload(request) == digest


def test_every_error_of_the_signature_has_a_name_in_s3() -> None:
    kinds = {*WireError.__subclasses__(), *InvalidSignatureError.__subclasses__()}

    # S3's bodies have no such limit, so that one is never raised
    assert kinds - S3_ERRORS.keys() == {RequestEntityTooLargeError}
    for kind in S3_ERRORS:
        assert as_s3_error(kind("What is wrong.")).message == "What is wrong."
