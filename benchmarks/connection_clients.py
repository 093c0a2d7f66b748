"""Thousands of connections that cost their clients little: silent ones, slow ones, and fast ones.

Reads a `Crowd` as JSON from the first line of standard input, writes `open N requests M` for each
second to standard output, and ends when standard input is closed. A connection that the server
closes is opened again, so that their number stays. Clients have the lowest priority: they stand for
other machines, and take what the server and what measures it leave.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import IO, cast

import uvloop

from benchmarks.surroundings import ROOT

OPENED_PER_S = 400
AGAIN_AFTER_S = 0.5
DRIP_S = 2.0
NICENESS = 19
HEAD = "POST /2020-11-20/projects HTTP/1.1\r\nx: "


@dataclass(frozen=True, kw_only=True)
class Crowd:
    """The connections to open."""

    host: str
    port: int
    #: that send nothing
    silent: int
    #: that send a byte of a head now and then
    slow_heads: int
    #: that send a byte of a body now and then
    slow_bodies: int
    #: that send whole requests, one after the other
    fast: int
    #: a signed head, whose body is long
    head: str
    #: a signed request
    request: str
    #: of all fast connections together
    requests_per_s: float

    @property
    def connections(self) -> int:
        """All of them."""
        return self.silent + self.slow_heads + self.slow_bodies + self.fast


class Visitor(asyncio.Protocol):
    """A connection that sends something at its start, and something again and again."""

    def __init__(
        self, first: bytes, again: bytes, every_s: float, *, note: Callable[[], None]
    ) -> None:
        self._note = note
        self._first = first
        self._again = again
        self._every_s = every_s
        self._transport: asyncio.Transport | None = None
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what comes first."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._first)
        self._note()
        if self._again:
            self._send_again_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note it."""
        del exc
        self._transport = None
        self.lost.set()

    def _send_again_later(self) -> None:
        asyncio.get_running_loop().call_later(self._every_s, self._send_again)

    def _send_again(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._again)
            self._note()
            self._send_again_later()


class Clients:
    """The connections of a crowd."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self.open = 0
        #: whole ones that were sent
        self.requests = 0

    async def run(self) -> None:
        """Open all, and open them again, until standard input is closed."""
        loop = asyncio.get_running_loop()
        ended = loop.run_in_executor(None, sys.stdin.read)
        tasks = [asyncio.create_task(self._report())]
        for first, again, every_s in self._visits():
            tasks.append(asyncio.create_task(self._stay(first, again, every_s)))
            await asyncio.sleep(1 / OPENED_PER_S)
        await ended
        for task in tasks:
            task.cancel()

    def _visits(self) -> list[tuple[bytes, bytes, float]]:
        """Return what each connection sends, mixed, so that not all of a kind end at once."""
        crowd = self._crowd
        fast_s = crowd.fast / crowd.requests_per_s
        request = crowd.request.encode()
        visits = [
            kind
            for kind, count in (
                ((b"", b"", 0.0), crowd.silent),
                ((HEAD.encode(), b"a", DRIP_S), crowd.slow_heads),
                ((crowd.head.encode(), b" ", DRIP_S), crowd.slow_bodies),
                ((request, request, fast_s), crowd.fast),
            )
            for _ in range(count)
        ]
        random.Random(1).shuffle(visits)  # noqa: S311 - no secret
        return visits

    async def _stay(self, first: bytes, again: bytes, every_s: float) -> None:
        loop = asyncio.get_running_loop()
        note = self._note_request if first and first == again else lambda: None
        while True:
            try:
                _, visitor = await loop.create_connection(
                    lambda: Visitor(first, again, every_s, note=note),
                    self._crowd.host,
                    self._crowd.port,
                )
            except OSError:
                await asyncio.sleep(AGAIN_AFTER_S)
                continue
            self.open += 1
            await visitor.lost.wait()
            self.open -= 1
            await asyncio.sleep(AGAIN_AFTER_S)

    def _note_request(self) -> None:
        self.requests += 1

    async def _report(self) -> None:
        while True:
            print(f"open {self.open} requests {self.requests}", flush=True)
            await asyncio.sleep(1)


class CrowdProcess:
    """A process of clients, and what it said last."""

    def __init__(self, output: IO[str]) -> None:
        """Read what it says from now on."""
        self.open = 0
        #: whole ones that were sent
        self.requests = 0
        self._output = output
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._output:
            _, count, _, requests = line.split()
            self.open, self.requests = int(count), int(requests)


@contextmanager
def crowded(crowd: Crowd) -> Iterator[CrowdProcess]:
    """Have a crowd connected until the end of the context; yields when nearly all are there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.connection_clients"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(asdict(crowd)) + "\n")
        process.stdin.flush()
        clients = CrowdProcess(process.stdout)
        while clients.open < 0.95 * crowd.connections:
            assert process.poll() is None, "the clients have ended"
            time.sleep(0.1)
        yield clients
    finally:
        process.stdin.close()
        process.kill()
        process.wait()


if __name__ == "__main__":
    os.nice(NICENESS)
    uvloop.run(Clients(Crowd(**json.loads(sys.stdin.readline()))).run())
