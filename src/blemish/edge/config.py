"""The settings of an agent: a TOML file, and options of the command line that count more.

socket = "unix:/run/blemish-edge/agent.sock"
components = "/var/lib/blemish-edge/components"

[tls]                                   # for a socket of HOST:PORT
certificate = "/etc/blemish-edge/agent.pem"
key = "/etc/blemish-edge/agent.key"
client_ca = "/etc/blemish-edge/clients.pem"
"""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blemish.edge.errors import EdgeError

SOCKET = f"unix:{tempfile.gettempdir()}/aws.iot.lookoutvision.EdgeAgent.sock"
COMPONENTS = Path("/var/lib/blemish-edge/components")

_UNIX = ("unix:", "unix-abstract:")
_NAMES = frozenset({"socket", "components", "tls"})
_TLS_NAMES = frozenset({"certificate", "key", "client_ca"})


@dataclass(frozen=True, kw_only=True)
class AgentTls:
    """The files of TLS: whom the agent shows itself to, and whom it believes."""

    certificate: Path
    key: Path
    #: of the authorities whose clients may connect
    client_ca: Path


@dataclass(frozen=True, kw_only=True)
class AgentConfig:
    """The settings of an agent."""

    socket: str
    components: Path
    tls: AgentTls | None

    @property
    def is_tcp(self) -> bool:
        """Whether the socket is HOST:PORT."""
        return not self.socket.startswith(_UNIX)


def read_config(
    file: Path | None, *, socket: str | None = None, components: Path | None = None
) -> AgentConfig:
    """Read the settings.

    Raises:
        EdgeError: the file cannot be read, a setting is unknown or wrong, or a TCP socket has no
            certificates.
    """
    document = _document(file) if file else {}
    _check_names(document, _NAMES, "")
    config = AgentConfig(
        socket=socket or _text(document, "socket") or SOCKET,
        components=components or Path(_text(document, "components") or COMPONENTS),
        tls=_tls(document.get("tls")),
    )
    _check_socket(config)
    if config.is_tcp and config.tls is None:
        raise EdgeError(
            f"The socket {config.socket} is reached over the network, which needs TLS with client "
            "certificates: name [tls] certificate, key and client_ca in the file of --config, "
            "or take a socket that begins with unix: or unix-abstract:."
        )
    return config


def _check_socket(config: AgentConfig) -> None:
    """Refuse a text that gRPC would take, and listen where no client looks."""
    _, _, address = config.socket.partition(":")
    if not address:
        raise EdgeError(
            f"The socket is {config.socket!r}; "
            "it must be unix:PATH, unix-abstract:NAME or HOST:PORT."
        )


def _document(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise EdgeError(f"{file} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise EdgeError(f"{file} is no TOML: {error}.") from None


def _tls(table: Any) -> AgentTls | None:
    if table is None:
        return None
    if not isinstance(table, Mapping):
        raise EdgeError("tls must be a table: [tls].")
    _check_names(table, _TLS_NAMES, "tls.")
    paths = {name: _text(table, name) for name in sorted(_TLS_NAMES)}
    if missing := [name for name, path in paths.items() if path is None]:
        raise EdgeError(f"[tls] lacks {', '.join(missing)}.")
    return AgentTls(**{name: Path(path) for name, path in paths.items() if path})


def _check_names(table: Mapping[str, Any], known: frozenset[str], prefix: str) -> None:
    if unknown := sorted(table.keys() - known):
        names = ", ".join(f"{prefix}{name}" for name in sorted(known))
        raise EdgeError(f"{prefix}{unknown[0]} is no setting; there are {names}.")


def _text(table: Mapping[str, Any], name: str) -> str | None:
    value = table.get(name)
    if value is not None and not (isinstance(value, str) and value):
        raise EdgeError(f"{name} is {value!r}; it must be a text.")
    return value
