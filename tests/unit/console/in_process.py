"""A whole server in this process, and a browser's requests to its console without a browser."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal

from blemish.console.visitor import Visitor
from blemish.domain.access.builtin_policies import FULL_ACCESS, READ_ONLY
from blemish.domain.arns import ArnScope
from blemish.server.app import Server, running_server
from blemish.service.access.kiosk_links import KioskLinks
from blemish.service.access.user_accounts import UserAccounts
from blemish.settings import Settings
from blemish.storage.data_directory import DataDirectory
from blemish.storage.database.database import Database
from tests.asgi_client import boto3_client

HOST = "console.test"


class Browser:
    """The requests of one person: it keeps cookies and says which page they come from."""

    def __init__(self, server: Server, portal: BlockingPortal, *, scheme: str) -> None:
        self._portal = portal
        address = f"{scheme}://{HOST}"
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(server.application, raise_app_exceptions=False),
            base_url=address,
            headers={"origin": address},
        )

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request; the path is below /console."""

        async def send() -> httpx.Response:
            return await self._client.request(method, f"/console{path}", **options)

        return self._portal.call(send)

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """Get something."""
        return self.ask("GET", f"{path}?{urlencode(parameters)}")

    def post(self, path: str, members: Any) -> httpx.Response:
        """Post members as JSON."""
        return self.ask("POST", path, json=members)

    def sign_in(self, key_id: str, secret: str) -> httpx.Response:
        """Send the form."""
        return self.ask("POST", "/sign-in", data={"key": key_id, "secret": secret})


class InProcessConsole:
    """A server with two access keys, and people who look at its console."""

    def __init__(self, server: Server, portal: BlockingPortal, folder: Path) -> None:
        self._server = server
        self._portal = portal
        self._numbers = count(1)
        self.buckets = folder / "buckets"
        self.console: Any = server.application._console
        database = Database.open_current(DataDirectory(folder).database)
        clock = partial(datetime.now, UTC)
        self.users = UserAccounts(database, now=clock, random_bytes=os.urandom)
        self.kiosks = KioskLinks(
            database,
            arns=ArnScope(region="us-east-1", account="000000000000"),
            now=clock,
            random_bytes=os.urandom,
        )
        self.keys = {}
        for name, policy in (("owner", FULL_ACCESS), ("looker", READ_ONLY)):
            key = server.keys.draw()
            server.keys.create(name, key, policy=policy, tags={})
            self.keys[name] = (key.id, str(key.secret))
        key_id, secret = self.keys["owner"]
        self.api = boto3_client(
            server.application, key_id=key_id, secret=secret, region="us-east-1"
        )

    def browser(self, key: str | None = "owner", *, scheme: str = "http") -> Browser:
        """Return the browser of somebody new, signed in with a key."""
        browser = Browser(self._server, self._portal, scheme=scheme)
        if key is not None:
            assert browser.sign_in(*self.keys[key]).status_code == 303
        return browser

    def socket_answer(self, path: str, *, extensions: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what the console sends to a socket of a page of its own."""
        sent: list[dict[str, Any]] = []
        scope = {
            "type": "websocket",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", HOST.encode()), (b"origin", f"http://{HOST}".encode())],
            "client": ("127.0.0.1", 1),
            "extensions": extensions,
        }

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        self._portal.call(self.console, scope, receive, send)
        return sent

    def change_password(self, name: str, password: str, *, old: str, new: str) -> None:
        """Sign in as a user and change the password, as the settings do."""
        services = self.console._services
        token = services.sessions.begin_as_user(name, password)
        visitor = Visitor(
            services=services, token=token, source_ip=None, user_agent=None, secure=False
        )
        self._portal.call(partial(visitor.change_password, old=old, new=new))

    def api_calls(self) -> int:
        """Return how many calls of the API were answered so far."""

        async def read() -> str:
            transport = httpx.ASGITransport(self._server.application)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost"
            ) as client:
                return (await client.get("/metrics")).text

        counts = re.findall(
            r'^blemish_requests_total\{.*service="lookoutvision".*\} (\S+)$',
            self._portal.call(read),
            re.MULTILINE,
        )
        return round(sum(map(float, counts)))

    def new_project(self) -> str:
        """Make a project that no other test has."""
        name = f"project-{next(self._numbers)}"
        self.api.create_project(ProjectName=name)
        return name


@asynccontextmanager
async def lifespan(server: Server) -> AsyncIterator[None]:
    """Have the application start, and stop what it runs, as an ASGI server does."""
    messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    messages.put_nowait({"type": "lifespan.startup"})

    async def send(_: object) -> None:
        """Nobody has to know."""

    running = asyncio.create_task(server.application({"type": "lifespan"}, messages.get, send))
    yield
    messages.put_nowait({"type": "lifespan.shutdown"})
    await running


@contextmanager
def in_process_console(folder: Path, **settings: Any) -> Iterator[InProcessConsole]:
    """Run a server in this process, with an event loop in a thread of its own."""
    directory = DataDirectory(folder)
    directory.create()
    with (
        running_server(Settings(data_dir=folder, **settings), directory) as server,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(lifespan(server)),
    ):
        yield InProcessConsole(server, portal, folder)
