"""A request in the one form that is signed by Signature Version 4.

Services differ in the forms of path and query: `canonical_path` and `canonical_query` for all but
S3; `object_path`, and `decoded_query` too, for S3.

Source: AWS IAM User Guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence
from urllib.parse import quote, unquote_to_bytes

from blemish.wire.messages import HttpRequest

ALGORITHM = "AWS4-HMAC-SHA256"
SCOPE_END = "aws4_request"


def canonical_path(path: str) -> str:
    """Return a raw path without dot segments and empty ones, percent-encoded once more."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del segments[-1:]
        elif segment not in {"", "."}:
            segments.append(segment)
    closing = "/" if segments and path.endswith("/") else ""
    return quote(f"/{'/'.join(segments)}{closing}", safe="/~", errors="surrogateescape")


def object_path(path: str) -> str:
    """Return a raw path percent-encoded once, with every segment: S3's keys may have any."""
    return quote(unquote_to_bytes(path.encode(errors="surrogateescape")), safe="/~")


def canonical_query(query: str) -> str:
    """Return a raw query in order of its pairs, without the signature itself.

    The pairs stay as they were sent: most clients sign the very encoding that they send.
    """
    return _joined_pairs(query, form=str)


def decoded_query(query: str) -> str:
    """Return the canonical query with names and values decoded and encoded again.

    Clients of S3 may encode less than they sign, as curl does. A plus is a space, as it is when the
    query is read.
    """
    return _joined_pairs(query, form=_reencoded)


def canonical_request(
    request: HttpRequest,
    *,
    signed_headers: Sequence[str],
    body_sha256: str,
    path_form: Callable[[str], str] = canonical_path,
    query_form: Callable[[str], str] = canonical_query,
) -> bytes:
    """Return the canonical form of a request that has all of the signed headers.

    Their names are in lower case and sorted; the hash of the body is in hexadecimal digits.
    """
    lines = [
        request.method,
        path_form(request.path),
        query_form(request.query),
        *(f"{name}:{canonical_value(request.headers[name])}" for name in signed_headers),
        "",
        ";".join(signed_headers),
        body_sha256,
    ]
    return "\n".join(lines).encode(errors="surrogateescape")


def canonical_value(header: str) -> str:
    """Return the value of a header, trimmed, with each run of white space as one space."""
    return " ".join(header.split())


def sign(request: bytes, *, secret: str, timestamp: str, scope: str) -> str:
    """Return the signature of a canonical request, in hexadecimal digits.

    The timestamp is such as 20201120T235959Z, the scope date/region/service/aws4_request.
    """
    text = "\n".join([ALGORITHM, timestamp, scope, hashlib.sha256(request).hexdigest()])
    return sign_text(text, key=signing_key(secret, scope=scope))


def signing_key(secret: str, *, scope: str) -> bytes:
    """Return the key that signs everything in a scope."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    return key


def sign_text(text: str, *, key: bytes) -> str:
    """Return the signature of a text, in hexadecimal digits."""
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()


def _joined_pairs(query: str, *, form: Callable[[str], str]) -> str:
    if not query:
        return ""
    pairs = (pair.partition("=") for pair in query.split("&"))
    formed = ((form(name), form(value)) for name, _, value in pairs)
    signed = sorted((name, value) for name, value in formed if name != "X-Amz-Signature")
    return "&".join(f"{name}={value}" for name, value in signed)


def _reencoded(text: str) -> str:
    sent = text.replace("+", " ").encode(errors="surrogateescape")
    return quote(unquote_to_bytes(sent), safe="-_.~")
