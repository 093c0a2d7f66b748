from __future__ import annotations

import socket

import pytest

from blemish.server.addresses import is_loopback, leads_to

pytestmark = pytest.mark.acceptance  # it binds, on loopback


@pytest.mark.parametrize(
    ("bound", "host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "localhost", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "no-such-host.invalid", False),
        ("0.0.0.0", "127.0.0.2", True),
        ("0.0.0.0", "192.0.2.1", False),
    ],
)
def test_every_name_of_ours_is_ours(bound: str, host: str, expected: bool) -> None:
    with socket.create_server((bound, 0)) as listener:
        port = listener.getsockname()[1]

        assert leads_to(listener, f"http://{host}:{port}") == expected
        assert not leads_to(listener, f"http://{host}:{port ^ 1}")
        assert not leads_to(listener, f"https://{host}")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_this_machine_alone(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "10.0.0.7", "192.168.1.2", "fe80::1%eth0", "::ffff:10.0.0.7"]
)
def test_anything_else_may_be_reached_by_others(address: str) -> None:
    assert not is_loopback(address)
