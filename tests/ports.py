"""Ports for servers that end and start again at the same address.

The system never gives these ports to a program that asks for any free port, so no other test takes
one while its server is down.
"""

from __future__ import annotations

import itertools
import os
import socket

FIRST_PORT = 20_000
PORTS_OF_WORKER = 1_000
"""For each of the processes that run tests; Linux gives away 32,768 and more."""


def free_port() -> int:
    """Return a port on loopback that is free; so is the next one, for the console."""
    return next(port for port in _candidates if _is_free(port) and _is_free(port + 1))


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _first_port() -> int:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return FIRST_PORT + PORTS_OF_WORKER * (int(worker) % 10)


_candidates = itertools.count(_first_port(), 2)
