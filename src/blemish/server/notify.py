"""Tells systemd that the server is ready, by a datagram to the socket that systemd names.

Source: sd_notify(3), "Standalone Implementations".
"""

from __future__ import annotations

import socket
from collections.abc import Mapping


def tell_ready(environment: Mapping[str, str]) -> None:
    """Tell systemd, if it waits for it, that the server answers connections from now on.

    Raises:
        OSError: the socket that the environment names cannot be written to.
    """
    address = environment.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        channel.sendall(b"READY=1")
