"""uvicorn with its own way of accepting connections: so many as there are slots for.

uvicorn leaves accepting to uvloop, which stops for good when descriptors run out, and which counts
no connection before its TLS handshake has ended.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import structlog
from structlog.typing import FilteringBoundLogger
from uvicorn.config import STARTUP_FAILURE, Config
from uvicorn.server import Server

from blemish.server.connections import Connections, Slot

logger: FilteringBoundLogger = structlog.get_logger(__name__)

HANDSHAKE_S = 10.0
"""How long the TLS handshake of a connection may take."""

ACCEPTED_AT_ONCE = 64
"""Connections that are accepted before requests get their turn again."""

PAUSE_S = 0.5
"""How long nothing is accepted after descriptors or memory ran out."""

ALL_COLLECTED_AFTER_S = 60.0
"""How often all objects are looked through for garbage, at most."""

SHARE_OF_COLLECTIONS = 1 / 600
"""Share of the time that this may take: with 10,000 connections, a second every ten minutes."""

SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Handshake:
    """A connection that is not open yet: it waits as one does whose head is to come."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    def make_way(self) -> None:
        """Break the handshake off."""
        self._task.cancel()


class Acceptor:
    """Accepts the connections of a listening socket."""

    def __init__(
        self,
        listener: socket.socket,
        *,
        connections: Connections,
        protocol: Callable[[Slot], asyncio.Protocol],
        context: ssl.SSLContext | None,
    ) -> None:
        self._listener = listener
        self._connections = connections
        self._protocol = protocol
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def start(self) -> None:
        """Accept connections until `close`."""
        if not self._is_closed:
            self._listener.setblocking(False)
            self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Accept no more connections, and break off the handshakes that are under way."""
        if not self._is_closed:
            self._loop.remove_reader(self._listener)
        self._is_closed = True
        for task in self._opening:
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until the handshakes that were under way have ended."""
        await asyncio.gather(*self._opening, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, peer = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            slot = self._connections.admit(peer[0])
            if slot is None:
                accepted.close()
                continue
            task = self._loop.create_task(self._open(accepted, slot))
            slot.wait(Handshake(task))
            self._opening.add(task)
            task.add_done_callback(partial(self._end_opening, accepted, slot))

    def _pause(self, error: OSError) -> None:
        """Accept nothing for a moment; those who want to connect wait in the backlog."""
        if error.errno not in SHORTAGES:
            logger.warning("a connection could not be accepted", reason=str(error))
            return
        logger.error(
            "no connection can be accepted for now",
            reason=str(error),
            connections=self._connections.open,
        )
        self._loop.remove_reader(self._listener)
        self._loop.call_later(PAUSE_S, self.start)

    async def _open(self, accepted: socket.socket, slot: Slot) -> None:
        await self._loop.connect_accepted_socket(
            partial(self._protocol, slot),
            accepted,
            ssl=self._context,
            ssl_handshake_timeout=HANDSHAKE_S if self._context else None,
        )

    def _end_opening(self, accepted: socket.socket, slot: Slot, task: asyncio.Task[None]) -> None:
        """Give up what was not opened, though its task was cancelled before it began."""
        self._opening.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, OSError):  # those of TLS are among them
            logger.error("a connection could not be opened", exc_info=error)
        if error is not None or task.cancelled():
            accepted.close()
            slot.release()


class WebServer(Server):
    """A uvicorn server whose connections take slots."""

    def __init__(self, config: Config, *, connections: Connections) -> None:
        super().__init__(config)
        self._slots = connections
        self._all_collected_at = time.monotonic() + ALL_COLLECTED_AFTER_S

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        """Start the application, and accept connections."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            sys.exit(STARTUP_FAILURE)
        acceptors: list[Any] = [
            Acceptor(
                listener,
                connections=self._slots,
                protocol=self._connected,
                context=self.config.ssl,
            )
            for listener in sockets or ()
        ]
        for acceptor in acceptors:
            acceptor.start()
        self.servers = acceptors
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Look through the newest objects for garbage, ten times a second.

        Python would wait until there are thousands more than before: where connections come and go,
        it then has tens of thousands of new ones to look through, for a quarter of a second. And it
        would never look through the older ones, since it does that only with those thousands.
        """
        gc.collect(1)
        started_at = time.monotonic()
        if started_at >= self._all_collected_at:
            gc.collect()
            ended_at = time.monotonic()
            pause_s = max(ALL_COLLECTED_AFTER_S, (ended_at - started_at) / SHARE_OF_COLLECTIONS)
            self._all_collected_at = ended_at + pause_s
        return await super().on_tick(counter)

    def _connected(self, slot: Slot) -> asyncio.Protocol:
        create: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = create(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            slot=slot,
        )
        return protocol
