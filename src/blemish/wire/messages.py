"""One HTTP request and one answer, as the protocols see them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What a client sent; path and query exactly as they came."""

    method: str
    #: percent-encoded, not normalised; bytes that are no UTF-8 as surrogates
    path: str
    #: without the question mark
    query: str
    #: names in lower case; the values of a repeated header joined by commas
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What is answered."""

    status: int
    #: names in lower case
    headers: Mapping[str, str]
    body: bytes
