"""Who reaches a socket of this process, and by which names of this machine."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


class AddressError(Exception):
    """An address cannot be listened on; the message names it, and says why."""


def leads_to(listener: socket.socket, url: str) -> bool:
    """Tell whether who connects to `url` reaches the address that `listener` is bound to."""
    split = urlsplit(url)
    bound, port = listener.getsockname()[:2]
    if (split.port or DEFAULT_PORTS[split.scheme]) != port:
        return False
    try:
        found = socket.getaddrinfo(split.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        return False  # unknown now; a name that is known later is not looked at again
    addresses = {str(each[4][0]) for each in found}
    if ip_address(bound).is_unspecified:
        return any(map(_is_of_this_machine, addresses))
    return bound in addresses


def is_loopback(address: str) -> bool:
    """Tell whether only this machine can reach what listens on an IP address."""
    found = ip_address(address)
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def _is_of_this_machine(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
