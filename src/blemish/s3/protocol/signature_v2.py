"""Presigned URLs of Signature Version 2, which boto3 makes for us-east-1 unless told otherwise.

Only presigned URLs to read and to write objects are accepted; requests that are signed in their
header are not.

Source: Amazon S3 User Guide, "Signing and authenticating REST requests", query string request
authentication alternative.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote

from blemish.domain.access.principals import Signer
from blemish.s3.protocol.errors import InvalidRequestError, S3AccessDeniedError
from blemish.wire.errors import InvalidSignatureError, UnrecognizedClientError
from blemish.wire.messages import HttpRequest
from blemish.wire.signature import Caller

REGION = "us-east-1"
"""The region of callers: Version 2 names none."""

METHODS = frozenset({"GET", "HEAD", "PUT"})

UNSUPPORTED = (
    "Signature Version 2 is supported only for presigned URLs of GET, HEAD and PUT. Sign by "
    "Version 4: `signature_version = s3v4` of the `s3` settings in the AWS config file, or in "
    "botocore's Config."
)

SIGNED_PARAMETERS = frozenset(
    {
        "acl",
        "cors",
        "delete",
        "lifecycle",
        "location",
        "logging",
        "notification",
        "partNumber",
        "policy",
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
    }
)
"""Parameters that are part of the resource that is signed."""

_OWN_PARAMETERS = frozenset({"AWSAccessKeyId", "Signature", "Expires"})
_HEADER_PARAMETERS = frozenset({"content-md5", "content-type"})
_EXPIRES = re.compile(r"[0-9]{1,10}")


def is_version_2(request: HttpRequest) -> bool:
    """Return whether a request is signed by Version 2, in its header or in its query."""
    if request.headers.get("authorization", "").startswith("AWS "):
        return True
    return "AWSAccessKeyId" in dict(parse_qsl(request.query, keep_blank_values=True))


def verify_version_2(
    request: HttpRequest,
    *,
    path: str,
    signer: Callable[[str], Signer | None],
    now: datetime,
) -> Caller:
    """Return the caller of a presigned URL.

    Args:
        request: as it was sent.
        path: with the bucket, also where that stands before the host's name.
        signer: returns the holder of an access key id.
        now: the current time.

    Raises:
        InvalidRequestError: Version 2 is not supported for this request.
        S3AccessDeniedError: the URL has expired, or lacks a part.
        UnrecognizedClientError: nobody has its key.
        InvalidSignatureError: it was signed for another request, or with another secret.
    """
    parameters = dict(parse_qsl(request.query, keep_blank_values=True))
    if "authorization" in request.headers or request.method not in METHODS:
        raise InvalidRequestError(UNSUPPORTED)
    expires = parameters.get("Expires", "")
    if not _EXPIRES.fullmatch(expires) or "Signature" not in parameters:
        raise S3AccessDeniedError(
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId "
            "parameters"
        )
    if now > datetime.fromtimestamp(int(expires), UTC):
        raise S3AccessDeniedError(f"Request has expired: it was good until {expires} (Unix time).")
    holder = signer(parameters["AWSAccessKeyId"])
    if holder is None:
        raise UnrecognizedClientError("There is no such access key.")
    expected = [
        _signature(holder.secret, _text_to_sign(request, resource, expires=expires))
        for resource in (path, f"{path}/")  # the address of a bucket may end in a slash
    ]
    signature = parameters["Signature"].replace(" ", "+").encode()
    if not any(hmac.compare_digest(candidate, signature) for candidate in expected):
        raise InvalidSignatureError(
            "The signature is not that of this request. Check the secret access key, and that "
            "method, Content-Type and x-amz- headers are those that were signed."
        )
    return Caller(principal=holder.principal, region=REGION, service="s3", presigned=True)


def without_signature(request: HttpRequest) -> HttpRequest:
    """Return a request without what Version 2 adds to its query.

    Headers that were signed with the URL are in its query; they are headers again.
    """
    pairs = [pair for pair in request.query.split("&") if pair]
    names = [unquote(pair.partition("=")[0]) for pair in pairs]
    own = _OWN_PARAMETERS | _HEADER_PARAMETERS
    query = "&".join(pair for pair, name in zip(pairs, names, strict=True) if name not in own)
    parameters = dict(parse_qsl(request.query, keep_blank_values=True))
    signed_headers = {name: parameters[name] for name in _HEADER_PARAMETERS & parameters.keys()}
    return replace(request, query=query, headers={**signed_headers, **request.headers})


def _text_to_sign(request: HttpRequest, path: str, *, expires: str) -> str:
    parameters = parse_qsl(request.query, keep_blank_values=True)
    sent = {name.lower(): value for name, value in parameters} | dict(request.headers)
    amz_headers = sorted(
        f"{name}:{value.strip()}" for name, value in sent.items() if name.startswith("x-amz-")
    )
    resource = path + _signed_query(request.query)
    lines = [
        request.method,
        sent.get("content-md5", ""),
        sent.get("content-type", ""),
        expires,
        *amz_headers,
        resource,
    ]
    return "\n".join(lines)


def _signed_query(query: str) -> str:
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    signed = sorted(
        f"{name}{equals}{unquote(value)}"
        for name, equals, value in pairs
        if name in SIGNED_PARAMETERS
    )
    return f"?{'&'.join(signed)}" if signed else ""


def _signature(secret: str, text: str) -> bytes:
    encoded = text.encode(errors="surrogateescape")
    return base64.b64encode(hmac.digest(secret.encode(), encoded, hashlib.sha1))
