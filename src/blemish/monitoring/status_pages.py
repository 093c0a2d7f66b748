"""What monitors ask for on the port of the API: /healthz, /readyz, /metrics.

Names of projects and what is wrong with a server are nobody else's business: without a token they
are for this machine alone, with one for whoever has it.
"""

from __future__ import annotations

import hmac
import json
from ipaddress import ip_address

from anyio import CapacityLimiter, to_thread
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from blemish.monitoring.readiness import Readiness
from blemish.wire.asgi import Receive, Scope, Send, client_address, http_request, send_start
from blemish.wire.messages import HttpRequest, HttpResponse

PATHS = frozenset({"/healthz", "/readyz", "/metrics"})

FORWARDED = frozenset({"forwarded", "via", "x-forwarded-for", "x-real-ip"})
"""Headers by which a proxy tells that a request comes from elsewhere."""

REFUSED = (
    "Metrics are for programs on the server's machine, or for those that send the token that "
    "BLEMISH_METRICS_TOKEN sets, as `Authorization: Bearer TOKEN`.\n"
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
        """Answer one HTTP request; a body is not waited for."""
        del receive
        request = http_request(scope)
        response = await self._response(request, trusted=self._trusts(scope, request))
        headers = {
            **response.headers,
            "content-length": str(len(response.body)),
            "cache-control": "no-store",
        }
        await send_start(send, response.status, headers)
        body = b"" if request.method == "HEAD" else response.body
        await send({"type": "http.response.body", "body": body})

    async def _response(self, request: HttpRequest, *, trusted: bool) -> HttpResponse:
        if request.method not in {"GET", "HEAD"}:
            return _text(405, "Ask by GET.\n")
        match request.path:
            case "/healthz":
                return _text(200, "ok\n")
            case "/readyz":
                return await self._ready(trusted=trusted)
            case _ if not trusted:
                return _text(403, REFUSED)
            case _:
                text = await to_thread.run_sync(
                    generate_latest, self._registry, limiter=self._threads
                )
                return HttpResponse(200, {"content-type": CONTENT_TYPE_LATEST}, text)

    async def _ready(self, *, trusted: bool) -> HttpResponse:
        found = await self._readiness.found()
        ready = not any(found.values())
        document: dict[str, object] = {"ready": ready}
        if trusted:
            document["checks"] = {name: problem or "ok" for name, problem in found.items()}
        body = json.dumps(document, indent=2).encode() + b"\n"
        return HttpResponse(200 if ready else 503, {"content-type": "application/json"}, body)

    def _trusts(self, scope: Scope, request: HttpRequest) -> bool:
        if self._token is not None:
            sent = request.headers.get("authorization", "").encode()
            return hmac.compare_digest(sent, f"Bearer {self._token}".encode())
        address = client_address(scope)
        return _is_loopback(address) and not FORWARDED & request.headers.keys()


def _is_loopback(address: str | None) -> bool:
    try:
        found = ip_address(address or "")
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def _text(status: int, text: str) -> HttpResponse:
    return HttpResponse(status, {"content-type": "text/plain; charset=utf-8"}, text.encode())
