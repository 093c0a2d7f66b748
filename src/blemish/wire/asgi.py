"""HTTP requests and responses as an ASGI server exchanges them.

Source: ASGI, "HTTP & WebSocket message format".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from blemish.wire.messages import HttpRequest

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")


def http_request(scope: Scope) -> HttpRequest:
    """Return a request without the body, which comes later."""
    return HttpRequest(
        method=scope["method"],
        path=scope["raw_path"].decode(errors="surrogateescape"),
        query=scope["query_string"].decode(errors="surrogateescape"),
        headers=_joined_headers(scope["headers"]),
        body=b"",
        client=client_address(scope),
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


def names_loopback(host: str) -> bool:
    """Return whether a Host header names this machine, as programs on it do.

    A page elsewhere can give its own name the address of this machine ("DNS rebinding"), and make
    a browser on this machine send requests here. The header then has the name of that page.
    """
    name = urlsplit(f"//{host}").hostname if _HOST.fullmatch(host) else None
    return name == "localhost" or is_loopback_client(name)


async def send_start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Send the status and the headers of a response."""
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


def _joined_headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    headers = defaultdict[str, list[str]](list)
    for name, value in pairs:
        headers[name.decode("latin-1").lower()].append(value.decode("latin-1").strip())
    return {name: ",".join(values) for name, values in headers.items()}
