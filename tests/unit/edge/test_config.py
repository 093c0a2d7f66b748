from __future__ import annotations

from pathlib import Path

import pytest

from blemish.edge.config import COMPONENTS, SOCKET, AgentTls, read_config
from blemish.edge.errors import EdgeError

TLS = """
[tls]
certificate = "/etc/agent.pem"
key = "/etc/agent.key"
client_ca = "/etc/clients.pem"
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "edge.toml"
    file.write_text(text)
    return file


def test_the_default_socket_is_the_originals() -> None:
    config = read_config(None)

    assert config.socket == SOCKET
    assert config.socket.endswith("/aws.iot.lookoutvision.EdgeAgent.sock")
    assert config.components == COMPONENTS
    assert not config.is_tcp


def test_options_count_more_than_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, 'socket = "unix:/a"\ncomponents = "/b"')

    assert read_config(file).socket == "unix:/a"
    config = read_config(file, socket="unix-abstract:c", components=Path("/d"))

    assert (config.socket, config.components) == ("unix-abstract:c", Path("/d"))


def test_tcp_needs_tls_with_client_certificates(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="needs TLS with client certificates"):
        read_config(None, socket="0.0.0.0:50051")

    config = read_config(written(tmp_path, TLS), socket="0.0.0.0:50051")

    assert config.is_tcp
    assert config.tls == AgentTls(
        certificate=Path("/etc/agent.pem"),
        key=Path("/etc/agent.key"),
        client_ca=Path("/etc/clients.pem"),
    )


@pytest.mark.parametrize("socket", ["agent.sock", "unix:", "unix-abstract:"])
def test_a_text_that_is_no_socket_is_refused(socket: str) -> None:
    with pytest.raises(EdgeError, match=f"The socket is '{socket}'; it must be unix:PATH"):
        read_config(None, socket=socket)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sockets = 1", "sockets is no setting; there are components, socket, tls"),
        ("socket = 1", "socket is 1; it must be a text"),
        ("socket = ", "is no TOML"),
        ("tls = 1", "tls must be a table"),
        ('[tls]\ncertificate = "a"', r"\[tls\] lacks client_ca, key"),
        ("[tls]\nkeys = 1", "tls.keys is no setting"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(EdgeError, match=reason):
        read_config(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match="cannot be read: No such file"):
        read_config(tmp_path / "none.toml")
