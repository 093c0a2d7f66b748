"""A request in the one form that is signed by Signature Version 4.

This is the form for every service but S3, which signs its paths as they are: its rule belongs
beside `canonical_path`.

Source: AWS IAM User Guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import quote

from blemish.wire.messages import HttpRequest

ALGORITHM = "AWS4-HMAC-SHA256"
SCOPE_END = "aws4_request"


def canonical_request(
    request: HttpRequest, *, signed_headers: Sequence[str], body_sha256: str
) -> bytes:
    """Return the canonical form of a request that has all of the signed headers.

    Their names are in lower case and sorted; the hash of the body is in hexadecimal digits.
    """
    lines = [
        request.method,
        canonical_path(request.path),
        canonical_query(request.query),
        *(f"{name}:{canonical_value(request.headers[name])}" for name in signed_headers),
        "",
        ";".join(signed_headers),
        body_sha256,
    ]
    return "\n".join(lines).encode(errors="surrogateescape")


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


def canonical_query(query: str) -> str:
    """Return a raw query in order of its pairs, without the signature itself.

    The pairs stay as they were sent: clients sign the very encoding that they send.
    """
    if not query:
        return ""
    pairs = (pair.partition("=") for pair in query.split("&"))
    kept = sorted((name, value) for name, _, value in pairs if name != "X-Amz-Signature")
    return "&".join(f"{name}={value}" for name, value in kept)


def canonical_value(header: str) -> str:
    """Return the value of a header, trimmed, with each run of white space as one space."""
    return " ".join(header.split())


def sign(request: bytes, *, secret: str, timestamp: str, scope: str) -> str:
    """Return the signature of a canonical request, in hexadecimal digits.

    The timestamp is such as 20201120T235959Z, the scope date/region/service/aws4_request.
    """
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    text = "\n".join([ALGORITHM, timestamp, scope, hashlib.sha256(request).hexdigest()])
    return hmac.digest(key, text.encode(), hashlib.sha256).hex()
