"""Clients that cost little, in a process of their own: signed requests over many connections.

Reads a `Plan` as pickle from standard input, and writes what came of it to standard output as JSON.
A request is sent as it was signed before. Where requests are due at certain times, an answer's time
counts from then, so that clients that had to wait hide nothing.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import re
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import cast

import uvloop

from benchmarks.surroundings import ROOT

PATIENCE_S = 30.0
"""How long the last answers are waited for before they count as lost."""

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be sent, and how fast."""

    host: str
    port: int
    connections: int
    #: whole HTTP requests, sent in turn
    requests: list[bytes]
    #: requests a second, due at even times; None: the next one when a connection is free
    rate: float | None = None
    #: none is sent after so long
    seconds: float = 60.0
    #: nor are more than these
    count: int = 1_000_000


@dataclass(kw_only=True)
class Outcome:
    """What came of a plan."""

    #: one for each answer, to its last byte
    milliseconds: list[float] = field(default_factory=list)
    #: HTTP status -> answers
    statuses: dict[str, int] = field(default_factory=dict)
    #: requests that were not answered
    lost: int = 0
    #: from the first request to the last answer
    seconds: float = 0.0
    #: how late the clients were with a request, at the worst
    late_ms: float = 0.0


class Running:
    """Clients at work."""

    def __init__(self, plan: Plan) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load_clients"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert self._process.stdin is not None
        pickle.dump(plan, self._process.stdin)
        self._process.stdin.flush()

    def outcome(self) -> Outcome:
        """Wait until they are through."""
        output, _ = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"the clients ended with exit status {self._process.returncode}")
        return Outcome(**json.loads(output))


class Connection(asyncio.Protocol):
    """One connection: a request, then its answer, then the next."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._due: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write to."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def send(self, request: bytes, *, due: float) -> None:
        """Send a request that was due at a time."""
        assert self._transport is not None
        self._due, self._received = due, b""
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        self._received += data
        end = self._received.find(_HEAD_END)
        if end < 0:
            return
        length = _LENGTH.search(self._received, 0, end + 2)
        if len(self._received) < end + len(_HEAD_END) + int(length[1] if length else 0):
            return
        assert self._due is not None
        due, self._due = self._due, None
        self._clients.answered(self, self._received[9:12].decode(), due=due)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell of an answer that will not come."""
        del exc
        if self._due is not None:
            self._clients.lose(1)


class Clients:
    """Sends the requests of a plan over its connections."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._requests = islice(cycle(plan.requests), plan.count)
        self._outcome = Outcome()
        self._statuses: Counter[str] = Counter()
        self._idle: deque[Connection] = deque()
        self._overdue: deque[tuple[bytes, float]] = deque()
        self._under_way = 0
        self._ends_at = 0.0
        self._changed = asyncio.Event()

    async def run(self) -> Outcome:
        """Connect, send everything, and wait for every answer."""
        loop = asyncio.get_running_loop()
        for _ in range(self._plan.connections):
            _, connection = await loop.create_connection(
                lambda: Connection(self), self._plan.host, self._plan.port
            )
            self._idle.append(connection)
        began = time.perf_counter()
        self._ends_at = began + self._plan.seconds
        if self._plan.rate is None:
            while self._idle and self._send_next():
                pass
        else:
            await self._pace(self._plan.rate, began=began)
        await self._settle()
        self._outcome.seconds = time.perf_counter() - began
        self._outcome.statuses = dict(self._statuses)
        return self._outcome

    def answered(self, connection: Connection, status: str, *, due: float) -> None:
        """Count an answer, and use its connection again."""
        self._outcome.milliseconds.append(1_000 * (time.perf_counter() - due))
        self._statuses[status] += 1
        self._under_way -= 1
        self._idle.append(connection)
        if self._overdue:
            self._send(*self._overdue.popleft())
        elif self._plan.rate is None:
            self._send_next()
        self._changed.set()

    def lose(self, count: int) -> None:
        """Count answers that will not come."""
        self._outcome.lost += count
        self._under_way -= count
        self._changed.set()

    async def _pace(self, rate: float, *, began: float) -> None:
        for number in range(int(rate * self._plan.seconds)):
            due = began + number / rate
            if (left_s := due - time.perf_counter()) > 0:
                await asyncio.sleep(left_s)
            late_ms = 1_000 * (time.perf_counter() - due)
            self._outcome.late_ms = max(self._outcome.late_ms, late_ms)
            if self._idle:
                self._send(next(self._requests), due)
            else:
                self._overdue.append((next(self._requests), due))

    async def _settle(self) -> None:
        """Wait for the answers that are still to come."""
        try:
            async with asyncio.timeout_at(self._loop_time(self._ends_at) + PATIENCE_S):
                while self._under_way or self._overdue:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            self.lose(self._under_way)
            self._outcome.lost += len(self._overdue)

    @staticmethod
    def _loop_time(counter: float) -> float:
        return asyncio.get_running_loop().time() + counter - time.perf_counter()

    def _send_next(self) -> bool:
        request = next(self._requests, None)
        now = time.perf_counter()
        if request is None or now > self._ends_at:
            return False
        self._send(request, now)
        return True

    def _send(self, request: bytes, due: float) -> None:
        self._under_way += 1
        self._idle.popleft().send(request, due=due)


def main() -> None:
    """Carry a plan out."""
    plan: Plan = pickle.load(sys.stdin.buffer)  # noqa: S301 - of the benchmark that starts us
    print(json.dumps(vars(uvloop.run(Clients(plan).run()))))


if __name__ == "__main__":
    main()
