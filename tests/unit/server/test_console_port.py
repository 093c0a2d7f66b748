from __future__ import annotations

from typing import Any

import pytest

from blemish.server.console_port import ConsolePort

API, CONSOLE = 8000, 8001


def scope(
    path: str,
    port: int,
    *,
    kind: str = "http",
    method: str = "GET",
    query: str = "",
    **headers: str,
) -> dict[str, Any]:
    return {
        "type": kind,
        "scheme": "https",
        "method": method,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "server": ("192.0.2.1", port),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }


async def ask(asked: dict[str, Any]) -> tuple[object, str]:
    """Return the status, or the type of the message, and where the answer leads."""
    sent: list[Any] = []

    async def front(*_: object) -> None:
        sent.append({"status": "front"})

    async def receive() -> Any:
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    await ConsolePort(front, port=CONSOLE, api_port=API)(asked, receive, send)
    headers = dict(sent[0].get("headers", ()))
    return sent[0].get("status", sent[0].get("type")), headers.get(b"location", b"").decode()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (scope("/2020-11-20/projects", API), "front"),
        (scope("/bucket/key", API), "front"),
        (scope("/", API, accept="text/html"), "front"),
        (scope("/console/key", API, authorization="AWS a:b"), "front"),
        (scope("/console", CONSOLE), "front"),
        (scope("/console/ws", CONSOLE, kind="websocket"), "front"),
        (scope("/", CONSOLE, accept="text/html"), "front"),
        ({"type": "lifespan"}, "front"),
        (scope("/", CONSOLE), 404),
        (scope("/bucket/page.html", CONSOLE), 404),
        (scope("/2020-11-20/projects", CONSOLE), 404),
        (scope("/metrics", CONSOLE), 404),
        (scope("/console/key", CONSOLE, authorization="AWS a:b"), 404),
        (scope("/console/sign-in", API, method="POST"), 421),
        (scope("/console/ws", API, kind="websocket"), "websocket.close"),
        (scope("/ws", CONSOLE, kind="websocket"), "websocket.close"),
    ],
)
async def test_each_port_has_its_own_paths(asked: dict[str, Any], status: object) -> None:
    assert (await ask(asked))[0] == status


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("plant.example:8000", "plant.example"),
        ("[::1]:8000", "[::1]"),
        ("plant.example", "plant.example"),
        ("evil.example/?:8000", "192.0.2.1"),
        ("", "192.0.2.1"),
    ],
)
async def test_the_console_is_found_from_the_port_of_the_api(host: str, target: str) -> None:
    asked = scope("/console/settings", API, query="a=b", host=host)

    assert await ask(asked) == (307, f"https://{target}:{CONSOLE}/console/settings?a=b")
