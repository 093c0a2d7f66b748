from __future__ import annotations

import socket
from pathlib import Path

import pytest

from blemish.server.notify import tell_ready


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_told_on_the_socket_that_it_names(tmp_path: Path, abstract: bool) -> None:
    name = f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}" if abstract else name)

        tell_ready({"NOTIFY_SOCKET": f"@{name}" if abstract else name})

        assert systemd.recv(100) == b"READY=1"


def test_nobody_is_told_where_nobody_waits() -> None:
    tell_ready({})
