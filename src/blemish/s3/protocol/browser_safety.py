"""Headers that keep a browser from running an object as a page of this server.

The console may have the same origin as S3 (`BLEMISH_CONSOLE_PORT=0`), and has the same host and its
cookies in any case. Whoever may write one object must not get a script into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from blemish.wire.messages import HttpResponse

SANDBOX: Mapping[str, str] = {
    "content-security-policy": "sandbox; default-src 'none'",
    "cross-origin-resource-policy": "same-site",
    "x-content-type-options": "nosniff",
}
"""Of every answer of S3."""

ACTIVE_TYPES = frozenset({"application/pdf", "text/html", "text/xml", "application/xml"})


def sandboxed(response: HttpResponse, *, presigned: bool) -> HttpResponse:
    """Return a response with an object that no browser runs.

    Args:
        response: with the headers of the object.
        presigned: whether the URL alone leads to it, so that a browser may open it; objects of
            types that browsers run are then downloaded.
    """
    headers = {**response.headers, **SANDBOX}
    if presigned and is_active(headers.get("content-type", "")):
        disposition, semicolon, parameters = headers.get("content-disposition", "").partition(";")
        if disposition.strip().lower() != "attachment":
            headers["content-disposition"] = f"attachment{semicolon}{parameters}"
    return replace(response, headers=headers)


def is_active(content_type: str) -> bool:
    """Return whether a browser would run a document of this type."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in ACTIVE_TYPES or kind.endswith("+xml") or "script" in kind
