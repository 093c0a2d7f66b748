from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from blemish.server.addresses import AddressError
from blemish.server.listener import bind, bind_console
from blemish.settings import Settings

pytestmark = pytest.mark.acceptance


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_the_console_has_the_next_port_and_says_when_it_is_busy(busy_port: int) -> None:
    with pytest.raises(AddressError) as refused:
        bind_console(Settings(port=busy_port - 1))

    assert f"127.0.0.1:{busy_port} cannot be listened on: Address already in use" in str(
        refused.value
    )
    assert "BLEMISH_CONSOLE_PORT" in str(refused.value)


def test_the_console_takes_a_free_port_where_the_api_does() -> None:
    settings = Settings(port=0)

    console = bind_console(settings)

    assert console is not None
    with bind(settings) as api, console:
        assert api.getsockname() != console.getsockname()


def test_the_console_can_share_the_port_of_the_api() -> None:
    assert bind_console(Settings(port=8000, console_port=0)) is None
    assert bind_console(Settings(port=8000, console_port=8000)) is None


def test_no_port_comes_after_the_last() -> None:
    with pytest.raises(AddressError, match="No port comes after 65535"):
        bind_console(Settings(port=65_535))
