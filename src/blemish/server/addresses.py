"""Checks of addresses: which sockets they lead to, and whether other machines can connect."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


class AddressError(Exception):
    """An address cannot be listened on; the message names it, and says why."""


def leads_to(listener: socket.socket, url: str) -> bool:
    """Tell whether a connection to `url` arrives at the address that `listener` is bound to."""
    split = urlsplit(url)
    bound, port = listener.getsockname()[:2]
    if (split.port or DEFAULT_PORTS[split.scheme]) != port:
        return False
    try:
        answers = socket.getaddrinfo(split.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        return False  # the name is unknown now; it is not looked up again later
    addresses = {str(answer[4][0]) for answer in answers}
    if ip_address(bound).is_unspecified:
        return any(map(_is_of_this_machine, addresses))
    return bound in addresses


def is_loopback(address: str) -> bool:
    """Tell whether only this machine can connect to an IP address."""
    parsed = ip_address(address)
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback


def _is_of_this_machine(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
