from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from starlette.requests import HTTPConnection
from starlette.types import Receive

from blemish.console.auth import guard
from blemish.console.auth.guard import cookie_name, is_open, origin_problem
from blemish.console.auth.sign_in_form import target_of
from blemish.console.visitor import SignedOutError
from blemish.storage.errors import DatabaseUnavailableError

HOST = {"host": "factory:8000"}


def connection(kind: str, method: str, *, path: str = "/", **headers: str) -> HTTPConnection:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": kind, "method": method, "path": path, "headers": pairs})


@pytest.mark.parametrize(
    ("kind", "method", "headers", "allowed"),
    [
        ("http", "GET", {}, True),
        ("http", "HEAD", {}, True),
        ("http", "GET", {"origin": "http://factory:8000"}, True),
        ("http", "GET", {"origin": "https://factory:8000"}, True),
        ("http", "POST", {"origin": "http://FACTORY:8000"}, True),
        ("http", "POST", {}, False),
        ("http", "PUT", {"origin": "null"}, False),
        ("http", "GET", {"origin": "http://evil"}, False),
        ("http", "GET", {"origin": "http://["}, False),
        ("http", "POST", {"origin": "http://factory:8001"}, False),
        ("http", "POST", {"origin": "http://factory:8000.evil"}, False),
        ("websocket", "", {"origin": "http://factory:8000"}, True),
        ("websocket", "", {"origin": "http://evil"}, False),
        ("websocket", "", {}, False),
    ],
)
def test_only_pages_of_this_host_may_ask(
    kind: str, method: str, headers: dict[str, str], *, allowed: bool
) -> None:
    asking = connection(kind, method, **HOST, **headers)

    assert (origin_problem(asking) is None) == allowed


@pytest.mark.parametrize(
    ("kind", "method", "path", "expected"),
    [
        ("http", "GET", "/console/static/console.css", True),
        ("http", "GET", "/console/static/console.css/x", False),
        ("http", "GET", "/console/static/nothing", False),
        ("http", "GET", "/console/_nicegui/3/static/quasar.js", False),
        ("http", "POST", "/console/_nicegui/client/1/upload/2", False),
        ("http", "GET", "/console/_nicegui_ws/socket.io/", False),
        ("websocket", "", "/console/static/", False),
        ("http", "GET", "/console/image", False),
        ("http", "GET", "/console/projects/static/", False),
    ],
)
def test_only_static_files_are_anyone_s(
    kind: str, method: str, path: str, *, expected: bool
) -> None:
    assert is_open(connection(kind, method, path=path)) == expected


@pytest.mark.parametrize(
    ("text", "session"),
    [("a=b; session=x", "x"), ("\x00", None), ("=;=", None), ("session", None), ("", None)],
)
def test_a_session_is_read_from_whatever_cookies_come(text: str, session: str | None) -> None:
    assert connection("http", "GET", cookie=text).cookies.get("session") == session


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("/console/projects/a?set=train", "/console/projects/a?set=train"),
        ("/console", "/console"),
        ("", "/console/"),
        ("/", "/console/"),
        ("//evil/console/", "/console/"),
        ("https://evil/console/", "/console/"),
        ("/console/\r\nset-cookie: a=b", "/console/"),
        ("/console/\\evil", "/console/"),
        ("/consoles", "/console/"),
        ("javascript:alert(1)", "/console/"),
    ],
)
def test_signing_in_leads_to_a_page_of_the_console(text: str, target: str) -> None:
    assert target_of(text) == target


@pytest.mark.parametrize(
    ("scheme", "host", "name"),
    [
        ("http", "plant:8001", "blemish-session-8001"),
        ("https", "plant:8443", "__Host-blemish-session-8443"),
        ("https", "plant", "__Host-blemish-session-443"),
        ("http", "[::1]", "blemish-session-80"),
        ("http", "[::1]:8001", "blemish-session-8001"),
        ("http", "plant:none", "blemish-session-80"),
    ],
)
def test_servers_behind_one_address_have_one_cookie(scheme: str, host: str, name: str) -> None:
    for server in (("10.0.0.1", 8001), ("10.0.0.2", 8011)):
        headers = [(b"host", host.encode())]
        scope = {"type": "http", "scheme": scheme, "server": server, "headers": headers}

        assert cookie_name(scope) == name


def test_a_socket_outlives_an_outage_of_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    message = {"type": "websocket.receive", "text": "a click"}
    errors = iter([DatabaseUnavailableError("away"), SignedOutError("over")])

    async def principal() -> NoReturn:
        raise next(errors)

    async def receive() -> dict[str, str]:
        return message

    monkeypatch.setattr(guard, "RECHECK_S", -1)
    visitor: Any = SimpleNamespace(principal=principal)
    rechecked = guard._rechecked(receive, visitor)

    while_away, when_back = (asyncio.run(_awaited(rechecked)) for _ in range(2))

    assert while_away == message
    assert when_back["type"] == "websocket.disconnect"


async def _awaited(receive: Receive) -> Any:
    return await receive()
