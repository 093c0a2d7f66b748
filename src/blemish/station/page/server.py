"""The page's web server: a thread of the station."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable

import uvicorn

from blemish.station.config import PageConfig
from blemish.station.errors import StationError
from blemish.station.page.app import PageApp
from blemish.station.page.feed import StatusFeed
from blemish.station.page.guard import PageGuard
from blemish.station.page.shown_image import ShownImage
from blemish.station.status import StationStatus

CONNECTIONS = 100
END_S = 1
"""How long open pages may hold up the end of the station."""


class StationPage:
    """Serves the page from `start` to `close`."""

    def __init__(
        self,
        config: PageConfig,
        *,
        status: Callable[[], StationStatus],
        shown: Callable[[], ShownImage | None],
    ) -> None:
        """Take what returns the state and the newest judged image; threads call both."""
        self._config = config
        self._status, self._shown = status, shown
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.address = ""

    def start(self) -> None:
        """Listen, and serve in a thread; `address` is then the page's URL.

        Raises:
            StationError: the address cannot be listened on.
        """
        listener = self._listener()
        host, port = listener.getsockname()[:2]
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener, ready)), name="page", daemon=True
        )
        self._thread.start()
        ready.wait()

    def close(self) -> None:
        """End the server."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()

    def _listener(self) -> socket.socket:
        host, port = self._config.host, self._config.port
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            return socket.create_server((host, port), family=family)
        except OSError as error:
            raise StationError(
                f"[page] {host}:{port} cannot be listened on: {error.strerror}."
            ) from None

    async def _serve(self, listener: socket.socket, ready: threading.Event) -> None:
        feed = StatusFeed(status=self._status, shown=self._shown)
        app = PageApp(feed, PageGuard(self._config.token))
        config = uvicorn.Config(
            app.application(),
            loop="asyncio",
            http="h11",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=END_S,
        )
        self._server = uvicorn.Server(config)
        ready.set()
        with listener:
            await self._server.serve([listener])
