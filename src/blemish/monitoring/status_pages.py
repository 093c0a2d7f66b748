"""The pages for monitors on the port of the API: /healthz, /readyz, /metrics.

Names of projects and problems of a server are not public: without a token, only clients on this
machine get them; with a token, only those that send it.
"""

from __future__ import annotations

import hmac
import json

from anyio import CapacityLimiter, to_thread
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from blemish.monitoring.readiness import Readiness
from blemish.wire.asgi import (
    Receive,
    Scope,
    Send,
    client_address,
    is_loopback_client,
    names_loopback,
)

PATHS = frozenset({"/healthz", "/readyz", "/metrics"})

FORWARDED = frozenset({"forwarded", "via", "x-forwarded-for", "x-real-ip"})
"""Headers that a proxy adds to a request from elsewhere."""

REFUSED = (
    "Metrics are for programs on the server's machine that ask localhost or 127.0.0.1, or for "
    "those that send the token that BLEMISH_METRICS_TOKEN sets, as `Authorization: Bearer TOKEN`.\n"
)


class StatusPages:
    """Answers monitors, which sign nothing."""

    def __init__(
        self, *, readiness: Readiness, registry: CollectorRegistry, token: str | None
    ) -> None:
        self._readiness = readiness
        self._registry = registry
        self._token = token
        self._threads = CapacityLimiter(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request without reading its body."""
        request = Request(scope)
        response = await self._response(request, trusted=self._trusts(scope, request))
        response.headers["cache-control"] = "no-store"
        if request.method == "HEAD":
            response.body = b""
        await response(scope, receive, send)

    async def _response(self, request: Request, *, trusted: bool) -> Response:
        if request.method not in {"GET", "HEAD"}:
            return PlainTextResponse("Ask by GET.\n", 405)
        match request.scope["raw_path"]:
            case b"/healthz":
                return PlainTextResponse("ok\n")
            case b"/readyz":
                return await self._ready(trusted=trusted)
            case _ if not trusted:
                return PlainTextResponse(REFUSED, 403)
            case _:
                text = await to_thread.run_sync(
                    generate_latest, self._registry, limiter=self._threads
                )
                return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})

    async def _ready(self, *, trusted: bool) -> Response:
        problems = await self._readiness.problems()
        harmless = self._readiness.harmless
        ready = not any(text for name, text in problems.items() if name not in harmless)
        document: dict[str, object] = {"ready": ready}
        if trusted:
            document["checks"] = {name: problem or "ok" for name, problem in problems.items()}
        text = json.dumps(document, indent=2) + "\n"
        return Response(text, 200 if ready else 503, media_type="application/json")

    def _trusts(self, scope: Scope, request: Request) -> bool:
        if self._token is not None:
            sent = request.headers.get("authorization", "").encode()
            return hmac.compare_digest(sent, f"Bearer {self._token}".encode())
        host = request.headers.get("host")
        return (
            is_loopback_client(client_address(scope))
            and (host is None or names_loopback(host))  # browsers always send it
            and not FORWARDED & {name.lower() for name in request.headers}
        )
