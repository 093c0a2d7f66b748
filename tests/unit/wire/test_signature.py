"""Signatures as botocore makes them are accepted; nothing else is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import assume, given
from hypothesis import strategies as st

from blemish.domain.access.principals import Principal, Signer
from blemish.wire.canonical import canonical_request, sign
from blemish.wire.errors import (
    IncompleteSignatureError,
    InvalidSignatureError,
    MissingAuthenticationTokenError,
    UnrecognizedClientError,
    WireError,
)
from blemish.wire.messages import HttpRequest
from blemish.wire.signature import Caller, SignatureVerifier

KEY_ID = "BLEMKEY1"
SECRET = "a secret / of + some length"
HOST = "blemish.test:8000"
SERVICE = "lookoutvision"
REGION = "eu-west-1"
PRINCIPAL = Principal(access_key_id=KEY_ID, name="tester", arn="arn:aws:iam::1:user/tester")
CALLER = Caller(principal=PRINCIPAL, region=REGION, service=SERVICE)
PRESIGNED = replace(CALLER, presigned=True)
TIMESTAMP = "%Y%m%dT%H%M%SZ"
DELETED = None

SEGMENTS = st.one_of(
    st.sampled_from(["", ".", "..", "...", "%2F", "a%2Fb", "%2E%2E", "%25", "~", "a%20b", "+"]),
    st.text().map(lambda text: quote(text, safe="")),
)
PATHS = st.lists(SEGMENTS).map(lambda segments: "/" + "/".join(segments))
PARTS_OF_QUERY = st.text(max_size=5).map(lambda text: quote(text, safe="-_.~"))
QUERIES = st.lists(
    st.one_of(
        PARTS_OF_QUERY,
        st.tuples(PARTS_OF_QUERY, PARTS_OF_QUERY).map("=".join),
        st.sampled_from(["a=1", "a=2", "a=", "b=1", "a", ""]),
    )
).map("&".join)
HEADER_TEXTS = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"))


def send(
    signer: type[SigV4Auth] = SigV4Auth,
    *,
    method: str = "POST",
    path: str = "/2020-11-20/projects",
    query: str = "",
    body: bytes = b"{}",
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> HttpRequest:
    """Have botocore sign a request, and return it as it would arrive."""
    url = f"http://{HOST}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method=method, url=url, headers=headers or {}, data=body)
    signer(Credentials(KEY_ID, SECRET), SERVICE, REGION, **options).add_auth(request)
    parts = urlsplit(request.url)
    arrived = {name.lower(): value for name, value in request.headers.items()} | {"host": HOST}
    return HttpRequest(method, parts.path, parts.query, arrived, body)


def verify(
    request: HttpRequest, *, after_s: float = 0, unsigned_body: bool = False, **rules: Any
) -> Caller:
    """Verify a request with a clock that shows the time of its signature and `after_s` more."""
    verifier = SignatureVerifier(
        services={SERVICE},
        signer={KEY_ID: Signer(principal=PRINCIPAL, secret=SECRET)}.get,
        clock=lambda: signed_at(request) + timedelta(seconds=after_s),
        clock_skew_s=900,
    )
    return replace(verifier, **rules).verify(
        request,
        body_sha256=hashlib.sha256(request.body).hexdigest(),
        unsigned_body=unsigned_body,
    )


def signed_at(request: HttpRequest) -> datetime:
    text = request.headers.get("x-amz-date")
    if text is None:
        text = request.query.partition("X-Amz-Date=")[2].partition("&")[0]
    try:
        return datetime.strptime(text, TIMESTAMP).replace(tzinfo=UTC)
    except ValueError:
        return datetime.now(UTC)


def with_headers(request: HttpRequest, **changes: str | None) -> HttpRequest:
    headers = dict(request.headers)
    for name, value in changes.items():
        header = name.replace("_", "-")
        headers.pop(header, None)
        if value is not None:
            headers[header] = value
    return replace(request, headers=headers)


def with_authorization(request: HttpRequest, old: str, new: str) -> HttpRequest:
    authorization = request.headers["authorization"]
    assert old in authorization
    return with_headers(request, authorization=authorization.replace(old, new))


@given(path=PATHS, query=QUERIES, body=st.binary(), value=HEADER_TEXTS)
def test_what_botocore_signs_is_accepted(path: str, query: str, body: bytes, value: str) -> None:
    request = send(path=path, query=query, body=body, headers={"X-Custom": value})

    assert verify(request) == CALLER


@given(path=PATHS, query=PARTS_OF_QUERY)
def test_what_botocore_presigns_is_accepted(path: str, query: str) -> None:
    request = send(SigV4QueryAuth, method="GET", path=path, query=f"nextToken={query}", body=b"")

    assert verify(request) == PRESIGNED


def test_the_published_example_has_the_published_signature() -> None:
    # AWS's "Signature Version 4 test suite", get-vanilla
    headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}
    request = HttpRequest("GET", "/", "", headers, b"")
    canonical = canonical_request(
        request,
        signed_headers=("host", "x-amz-date"),
        body_sha256=hashlib.sha256(b"").hexdigest(),
    )

    signature = sign(
        canonical,
        secret="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        timestamp="20150830T123600Z",
        scope="20150830/us-east-1/service/aws4_request",
    )

    assert signature == "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"


@given(data=st.data())
def test_one_changed_byte_anywhere_is_refused(data: st.DataObject) -> None:
    request = send(
        path="/2020-11-20/projects/a%2Fb/models",
        query="b=2&a=1&a=&c",
        headers={"X-Amzn-Client-Token": "a token", "Content-Type": "application/json"},
    )
    parts = {**request.headers, "method": request.method, "path": request.path}
    parts |= {"query": request.query, "body": request.body.decode()}
    place, text = data.draw(st.sampled_from(sorted(parts.items())))
    at = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.characters(min_codepoint=0x20, max_codepoint=0x7E))
    changed = text[:at] + byte + text[at + 1 :]
    assume(changed != text)
    assume(" " not in {byte, text[at]})  # white space is folded before it is signed

    parts[place] = changed
    tampered = HttpRequest(
        parts.pop("method"),
        parts.pop("path"),
        parts.pop("query"),
        body=parts.pop("body").encode(),
        headers=parts,
    )

    with pytest.raises(WireError):
        verify(tampered)


@given(data=st.data())
def test_one_changed_byte_of_a_presigned_query_is_refused(data: st.DataObject) -> None:
    request = send(SigV4QueryAuth, method="GET", query="a=1", body=b"", expires=60)
    at = data.draw(st.integers(0, len(request.query) - 1))
    byte = data.draw(st.characters(min_codepoint=0x21, max_codepoint=0x7E))
    query = request.query[:at] + byte + request.query[at + 1 :]
    assume(query != request.query)

    with pytest.raises(WireError):
        verify(replace(request, query=query))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        (
            {"signer": {KEY_ID: Signer(principal=PRINCIPAL, secret="another")}.get},
            InvalidSignatureError,
        ),
        ({"signer": {}.get}, UnrecognizedClientError),
        ({"services": {"s3"}}, InvalidSignatureError),
    ],
)
def test_another_secret_key_or_service_is_refused(
    changes: dict[str, Any], error: type[WireError]
) -> None:
    with pytest.raises(error) as caught:
        verify(send(), **changes)

    assert SECRET not in caught.value.message
    assert KEY_ID not in caught.value.message


@pytest.mark.parametrize("after_s", [-900, 0, 900])
def test_clocks_may_differ_by_the_skew(after_s: int) -> None:
    assert verify(send(), after_s=after_s) == CALLER


@pytest.mark.parametrize("after_s", [-901, 901])
def test_past_the_skew_the_error_names_both_clocks(after_s: int) -> None:
    request = send()

    with pytest.raises(InvalidSignatureError) as caught:
        verify(request, after_s=after_s)

    for clock in (signed_at(request), signed_at(request) + timedelta(seconds=after_s)):
        assert f"{clock:%Y-%m-%dT%H:%M:%SZ}" in caught.value.message


def test_the_skew_is_a_setting() -> None:
    assert verify(send(), after_s=86_400, clock_skew_s=86_400) == CALLER


@pytest.mark.parametrize("after_s", [-900, 60])
def test_a_presigned_request_is_good_until_it_expires(after_s: int) -> None:
    request = send(SigV4QueryAuth, method="GET", body=b"", expires=60)

    assert verify(request, after_s=after_s) == PRESIGNED


@pytest.mark.parametrize("after_s", [-901, 61])
def test_and_no_longer(after_s: int) -> None:
    request = send(SigV4QueryAuth, method="GET", body=b"", expires=60)

    with pytest.raises(InvalidSignatureError, match="good for 60 seconds"):
        verify(request, after_s=after_s)


@pytest.mark.parametrize("expires", [1, 604_800])
def test_a_presigned_request_may_last_a_week(expires: int) -> None:
    request = send(SigV4QueryAuth, method="GET", body=b"", expires=expires)

    assert verify(request, after_s=expires) == PRESIGNED


@pytest.mark.parametrize("expires", [0, 604_801, -1, "1e3", "", "٣"])
def test_but_neither_longer_nor_not_at_all(expires: int | str) -> None:
    request = send(SigV4QueryAuth, method="GET", body=b"", expires=expires)

    with pytest.raises(IncompleteSignatureError, match="X-Amz-Expires"):
        verify(request)


def test_the_date_header_serves_where_x_amz_date_is_absent() -> None:
    request = send(headers={"Date": "now"})
    assert "x-amz-date" not in request.headers

    assert verify(request) == CALLER


@pytest.mark.parametrize("write", [lambda at: at.strftime(TIMESTAMP), format_datetime])
def test_the_date_header_may_be_in_either_form(write: Any) -> None:
    at = datetime(2020, 11, 20, 12, 30, tzinfo=UTC)
    headers = {"date": write(at), "host": HOST}
    scope = f"20201120/{REGION}/{SERVICE}/aws4_request"
    unsigned = HttpRequest("GET", "/", "", headers, b"")
    body_sha256 = hashlib.sha256(b"").hexdigest()
    signature = sign(
        canonical_request(unsigned, signed_headers=("date", "host"), body_sha256=body_sha256),
        secret=SECRET,
        timestamp=at.strftime(TIMESTAMP),
        scope=scope,
    )
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope},SignedHeaders=date;host,"
        f"Signature={signature}"
    )

    assert verify(with_headers(unsigned, authorization=authorization), clock=lambda: at) == CALLER


@pytest.mark.parametrize(
    "date", ["", "yesterday", "20201120", "20201120T1230Z", "20201320T123000Z", "٢0201120T123000Z"]
)
@pytest.mark.parametrize("header", ["x_amz_date", "date"])
def test_a_date_that_is_none_is_refused(date: str, header: str) -> None:
    request = with_headers(send(), x_amz_date=DELETED)

    with pytest.raises(IncompleteSignatureError):
        verify(with_headers(request, **{header: date}))


@pytest.mark.parametrize("date", ["00010101T000000Z", "99991231T235959Z"])
def test_a_date_at_the_end_of_the_calendar_is_refused(date: str) -> None:
    request = with_headers(send(), x_amz_date=date)
    today = signed_at(send())
    request = with_authorization(request, f"{today:%Y%m%d}", date[:8])

    with pytest.raises(InvalidSignatureError):
        verify(request, clock=lambda: today)


@given(text=st.text())
def test_no_date_header_breaks_the_reader(text: str) -> None:
    request = with_headers(send(), x_amz_date=DELETED, date=text)

    with pytest.raises(WireError):
        verify(request)


def test_an_unsigned_request_is_told_so() -> None:
    with pytest.raises(MissingAuthenticationTokenError):
        verify(with_headers(send(), authorization=DELETED))


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", IncompleteSignatureError),
        ("AWS4-HMAC-SHA256", "Basic", IncompleteSignatureError),
        ("aws4_request", "aws5_request", IncompleteSignatureError),
        (f"/{REGION}/", "//", IncompleteSignatureError),
        (f"/{REGION}/", "/", IncompleteSignatureError),
        (KEY_ID, "", IncompleteSignatureError),
        (KEY_ID, "ä", IncompleteSignatureError),
        ("Credential=", "Credentials=", IncompleteSignatureError),
        ("Signature=", "", IncompleteSignatureError),
        ("Signature=", "Signature=0, Signature=", IncompleteSignatureError),
        ("Signature=", "Signature=0", IncompleteSignatureError),
        ("Signature=", "Signature=ä", IncompleteSignatureError),
        ("SignedHeaders=host;", "SignedHeaders=Host;", IncompleteSignatureError),
        (
            "SignedHeaders=host;x-amz-date",
            "SignedHeaders=x-amz-date;host",
            IncompleteSignatureError,
        ),
        ("SignedHeaders=host;", "SignedHeaders=host;host;", IncompleteSignatureError),
        ("SignedHeaders=host;", "SignedHeaders=", InvalidSignatureError),
        ("SignedHeaders=host;x-amz-date", "SignedHeaders=host", InvalidSignatureError),
        ("SignedHeaders=host;x-amz-date", "SignedHeaders=", InvalidSignatureError),
        ("SignedHeaders=host;", "SignedHeaders=accept;host;", InvalidSignatureError),
        (f"/{SERVICE}/", "/rekognition/", InvalidSignatureError),
        (f"/{REGION}/", "/us-east-1/", InvalidSignatureError),
        (f"{KEY_ID}/2", f"{KEY_ID}/1", InvalidSignatureError),
    ],
)
def test_a_malformed_or_misplaced_part_is_refused(
    old: str, new: str, error: type[WireError]
) -> None:
    with pytest.raises(error):
        verify(with_authorization(send(), old, new))


@given(text=st.text(st.characters(codec="latin-1")))
def test_no_authorization_breaks_the_reader(text: str) -> None:
    with pytest.raises(WireError):
        verify(with_headers(send(), authorization=text))


@pytest.mark.parametrize("name", ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders"])
def test_a_part_of_a_presigned_query_must_be_there_once(name: str) -> None:
    request = send(SigV4QueryAuth, method="GET", body=b"")
    twice = f"{request.query}&X-Amz-{name}=1"
    absent = request.query.replace(f"X-Amz-{name}", "x")

    with pytest.raises(IncompleteSignatureError):
        verify(replace(request, query=twice))
    with pytest.raises((IncompleteSignatureError, MissingAuthenticationTokenError)):
        verify(replace(request, query=absent))


def test_a_request_may_be_signed_in_one_way_alone() -> None:
    presigned = send(SigV4QueryAuth, method="GET", body=b"")

    with pytest.raises(IncompleteSignatureError, match="Choose one"):
        verify(with_headers(presigned, authorization=send().headers["authorization"]))


def test_the_host_must_be_signed() -> None:
    request = send()
    body_sha256 = hashlib.sha256(request.body).hexdigest()
    authorization = request.headers["authorization"]
    signature = sign(
        canonical_request(request, signed_headers=("x-amz-date",), body_sha256=body_sha256),
        secret=SECRET,
        timestamp=request.headers["x-amz-date"],
        scope=authorization.partition(f"{KEY_ID}/")[2].partition(",")[0],
    )
    hostless = authorization.replace("host;", "").rpartition("=")[0] + f"={signature}"

    with pytest.raises(InvalidSignatureError, match="must be signed: host"):
        verify(with_headers(request, authorization=hostless))


def test_every_x_amz_header_must_be_signed() -> None:
    with pytest.raises(InvalidSignatureError, match="x-amz-meta-colour"):
        verify(with_headers(send(), x_amz_meta_colour="red"))


def test_an_unsigned_header_of_another_kind_is_no_harm() -> None:
    request = with_headers(send(), user_agent="a proxy's", x_amzn_trace_id="Root=1", via="1.1 b")

    assert verify(request) == CALLER


@pytest.mark.parametrize("signer", [SigV4Auth, SigV4QueryAuth])
def test_session_tokens_are_refused(signer: type[SigV4Auth]) -> None:
    request = AWSRequest(method="GET", url=f"http://{HOST}/", headers={}, data=b"")
    signer(Credentials(KEY_ID, SECRET, "token"), SERVICE, REGION).add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()} | {"host": HOST}
    arrived = HttpRequest("GET", "/", urlsplit(request.url).query, headers, b"")

    with pytest.raises(UnrecognizedClientError, match="session tokens"):
        verify(arrived)


def test_a_declared_body_hash_must_be_that_of_the_body() -> None:
    true, false = (hashlib.sha256(body).hexdigest() for body in (b"{}", b"[]"))

    assert verify(send(headers={"X-Amz-Content-SHA256": true})) == CALLER
    with pytest.raises(InvalidSignatureError, match="x-amz-content-sha256"):
        verify(send(headers={"X-Amz-Content-SHA256": false}))


def test_a_body_may_be_left_out_of_the_signature_only_where_that_is_allowed() -> None:
    request = send(headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})

    with pytest.raises(InvalidSignatureError, match="x-amz-content-sha256"):
        verify(request)
    assert verify(request, unsigned_body=True) == CALLER
