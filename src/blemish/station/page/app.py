"""The page as an ASGI application: one document, its script, events and images."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache
from pathlib import Path
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from blemish.engine.images.formats import ImageError
from blemish.station.page.feed import StatusFeed
from blemish.station.page.guard import COOKIE, PageGuard
from blemish.station.page.metrics import METRICS_TYPE, metrics_text

STATIC = Path(__file__).parent / "static"
FILES = {"page.css": "text/css", "page.js": "text/javascript", "sign-in.css": "text/css"}

MOST_PAGES = 20
"""Open pages; each holds a connection."""

FORM_BYTES = 4_096
WRONG_TOKEN_S = 1.0
"""How long a wrong token waits for its answer. One is answered at a time."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Endpoint = Callable[[Request], Awaitable[Response]]


class PageApp:
    """Answers the requests of browsers."""

    def __init__(self, feed: StatusFeed, guard: PageGuard) -> None:
        self._feed, self._guard = feed, guard
        self._wrong_token = asyncio.Lock()

    def application(self) -> Starlette:
        """Return the ASGI application."""
        protected = {
            "/events": self._events,
            "/metrics": self._metrics,
            "/images/{verdict_id}/{layer}": self._image,
        }
        routes = [Route(path, self._protected(work)) for path, work in protected.items()]
        routes += [
            Route("/", self._index),
            Route("/static/{name}", self._static),
            Route("/sign-in", self._sign_in, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    def _protected(self, work: Endpoint) -> Endpoint:
        async def answer(request: Request) -> Response:
            return await work(request) if self._guard.may_read(request) else self._refusal()

        return answer

    async def _index(self, request: Request) -> Response:
        if self._guard.may_read(request):
            return _page("index.html")
        return _page("sign-in.html", 401) if self._guard.has_sign_in else self._refusal()

    async def _static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in FILES:
            return _text("There is no such file.", 404)
        return Response(_file(name), media_type=FILES[name], headers=HEADERS)

    async def _events(self, _request: Request) -> Response:
        if self._feed.watchers >= MOST_PAGES:
            return _text(f"{MOST_PAGES} pages are open already. Close one.", 503)

        async def events() -> AsyncIterator[str]:
            async for state in self._feed.states():
                yield f"data: {state}\n\n"

        return StreamingResponse(events(), media_type="text/event-stream", headers=HEADERS)

    async def _metrics(self, _request: Request) -> Response:
        text = metrics_text(await asyncio.to_thread(self._feed.status))
        return Response(text, media_type=METRICS_TYPE, headers=HEADERS)

    async def _image(self, request: Request) -> Response:
        image = self._feed.image(request.path_params["verdict_id"])
        layer = request.path_params["layer"]
        if image is None or layer not in {"photo", "heat-map"}:
            return _text("There is no such image.", 404)
        is_photo = layer == "photo"
        try:
            data = await asyncio.to_thread(lambda: image.photo if is_photo else image.heat_map)
        except ImageError as error:
            return _text(str(error), 404)
        media_type = "image/jpeg" if is_photo else "image/png"
        return Response(data, media_type=media_type, headers=HEADERS)

    async def _sign_in(self, request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > FORM_BYTES:
                return _text("The form is too large.", 413)
        token = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
        session = self._guard.sign_in(token)
        if session is None:
            async with self._wrong_token:
                await asyncio.sleep(WRONG_TOKEN_S)
            return _page("sign-in.html", 401)
        response = RedirectResponse("/", 303, headers=HEADERS)
        response.set_cookie(COOKIE, session, httponly=True, samesite="strict")
        return response

    def _refusal(self) -> Response:
        if self._guard.has_sign_in:
            return _text("Sign in at / by the token of the station.", 401)
        return _text(
            "Without a token the page answers browsers of its own machine, at localhost. "
            "Set token_env in [page] for others.",
            403,
        )


def _page(name: str, status: int = 200) -> Response:
    return Response(_file(name), status, media_type="text/html", headers=HEADERS)


def _text(message: str, status: int) -> Response:
    return PlainTextResponse(f"{message}\n", status, headers=HEADERS)


@cache
def _file(name: str) -> bytes:
    return (STATIC / name).read_bytes()
