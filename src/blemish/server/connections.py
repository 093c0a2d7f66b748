"""How many connections may be open, and which of them goes if another one comes.

A connection that waits for the head of a request, or for the end of its TLS handshake, holds a
descriptor and nothing else. If there are too many, the one that has waited the longest makes way.
One with a request under way stays.
"""

from __future__ import annotations

import resource
from collections import Counter
from typing import Protocol

from blemish.wire.asgi import is_loopback_client
from blemish.wire.wrong_secrets import address_group

MAX_DESCRIPTORS = 65_536
"""The soft limit of open files is raised up to this, as far as the hard limit allows."""

RESERVED_DESCRIPTORS = 1_024
"""Kept back for files, databases, trainings and the buckets; a quarter where there are fewer."""

MAX_CONNECTIONS = 16_384
"""Each takes about 20 KB of memory, and up to 64 KiB more while its head comes."""

SHARE_OF_ADDRESS = 0.5
"""Share of all connections that one address may have. Loopback may have all: it is a proxy."""


class WaitingConnection(Protocol):
    """A connection on which no request is under way."""

    def make_way(self) -> None:
        """Close the connection."""


class Slot:
    """The right of one connection to be open."""

    def __init__(self, connections: Connections, address: str) -> None:
        self._connections = connections
        self._address: str | None = address

    def wait(self, connection: WaitingConnection) -> None:
        """Note that the connection waits for the head of a request, unless it has made way."""
        if self._address is not None:
            self._connections.waiting[self] = connection

    def work(self) -> None:
        """Note that a request is under way."""
        self._connections.waiting.pop(self, None)

    def release(self) -> None:
        """Give the slot back; further calls do nothing."""
        self.work()
        if self._address is not None:
            self._connections.forget(self._address)
            self._address = None


class Connections:
    """Gives slots to connections; belongs to the thread of the event loop."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._limit_of_address = max(1, int(limit * SHARE_OF_ADDRESS))
        self._of_address: Counter[str] = Counter()
        self._open = 0
        #: in the order in which they began to wait
        self.waiting: dict[Slot, WaitingConnection] = {}

    @property
    def open(self) -> int:
        """The number of slots that are taken."""
        return self._open

    def admit(self, address: str) -> Slot | None:
        """Return a slot for a connection from an address; None if it must be closed."""
        network = address_group(address)
        is_full = self._of_address[network] >= self._limit_of_address
        if is_full and not is_loopback_client(address):
            return None
        if self._open >= self.limit and not self._close_longest_waiting():
            return None
        self._open += 1
        self._of_address[network] += 1
        return Slot(self, network)

    def forget(self, network: str) -> None:
        """Count a connection down; `Slot.release` calls this."""
        self._open -= 1
        self._of_address[network] -= 1
        if not self._of_address[network]:
            del self._of_address[network]

    def _close_longest_waiting(self) -> bool:
        slot = next(iter(self.waiting), None)
        if slot is None:
            return False
        connection = self.waiting[slot]
        slot.release()
        connection.make_way()
        return True


def connection_limit() -> int:
    """Raise the soft limit of open files; return how many connections it leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return connections_within(MAX_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft)


def connections_within(descriptors: int) -> int:
    """Return how many connections a limit of open files leaves room for."""
    reserved = min(RESERVED_DESCRIPTORS, descriptors // 4)
    return min(MAX_CONNECTIONS, descriptors - reserved)
