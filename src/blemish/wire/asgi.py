"""HTTP requests and responses as an ASGI server exchanges them.

Source: ASGI, "HTTP & WebSocket message format".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from ipaddress import ip_address
from typing import Any

from blemish.wire.messages import HttpRequest

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def http_request(scope: Scope) -> HttpRequest:
    """Return a request without the body, which comes later."""
    return HttpRequest(
        method=scope["method"],
        path=scope["raw_path"].decode(errors="surrogateescape"),
        query=scope["query_string"].decode(errors="surrogateescape"),
        headers=_joined_headers(scope["headers"]),
        body=b"",
    )


def client_address(scope: Scope) -> str | None:
    """Return the address that a request came from, if the server knows it."""
    client: tuple[str, int] | None = scope.get("client")
    return client[0] if client else None


def is_loopback_client(address: str | None) -> bool:
    """Return whether an address that `client_address` returned is that of this machine."""
    try:
        client = ip_address(address or "")
    except ValueError:
        return False
    return (getattr(client, "ipv4_mapped", None) or client).is_loopback


async def send_start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Send the status and the headers of a response."""
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


def _joined_headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    headers = defaultdict[str, list[str]](list)
    for name, value in pairs:
        headers[name.decode("latin-1").lower()].append(value.decode("latin-1").strip())
    return {name: ",".join(values) for name, values in headers.items()}
