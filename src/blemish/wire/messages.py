"""HTTP requests and responses, as the protocols read and write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request; path and query exactly as the client sent them."""

    method: str
    #: percent-encoded, not normalised; bytes that are no UTF-8 as surrogates
    path: str
    #: without the question mark
    query: str
    #: names in lower case; the values of a repeated header joined by commas
    headers: Mapping[str, str]
    body: bytes
    #: the address that it came from, if the server knows it
    client: str | None = None


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response: its body as a whole, or in blocks that are read while they are sent."""

    status: int
    #: names in lower case
    headers: Mapping[str, str]
    body: bytes
    #: replaces `body` where it is not None
    blocks: Iterator[bytes] | None = None


def may_have_body(request: HttpRequest) -> bool:
    """Return whether something may come after the head of a request."""
    headers = request.headers
    if "transfer-encoding" in headers:
        return True
    if "content-length" in headers:
        return headers["content-length"] != "0"
    return request.method not in {"GET", "HEAD", "DELETE"}
