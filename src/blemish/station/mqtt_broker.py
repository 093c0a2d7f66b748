"""Where an MQTT broker is, and how to sign in there."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from blemish.station.config_table import ConfigTable, SecretText
from blemish.station.libraries import check_library

if TYPE_CHECKING:
    from paho.mqtt.client import Client

PLAIN_PORT, TLS_PORT = 1883, 8883


@dataclass(frozen=True, kw_only=True)
class MqttBroker:
    """A broker; `client` needs the library paho-mqtt."""

    host: str
    port: int
    username: str | None
    password: SecretText | None
    tls: bool
    ca_file: Path | None

    def __str__(self) -> str:
        return f"The MQTT broker {self.host}:{self.port}"

    def client(self, *, session: str | None = None) -> Client:
        """Return a client that is not connected.

        Args:
            session: its name, under which the broker stores messages while it is away. Such a
                client acknowledges messages itself.

        Raises:
            OSError: `ca_file` cannot be read.
        """
        from paho.mqtt.client import Client  # noqa: PLC0415 - of an extra
        from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415

        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=session or "",
            clean_session=session is None,
            manual_ack=session is not None,
        )
        if self.username is not None:
            password = None if self.password is None else self.password.reveal()
            client.username_pw_set(self.username, password)
        if self.tls:
            client.tls_set_context(ssl.create_default_context(cafile=self.ca_file))
        return client


def mqtt_broker(table: ConfigTable) -> MqttBroker:
    """Read the settings of a broker.

    Raises:
        ConfigError: one is missing or wrong.
    """
    check_library("paho", user=table.name)
    tls = table.flag("tls", default=False)
    ca_file = table.optional_path("ca_file")
    username, password = table.optional_text("username"), table.secret("password_env")
    if ca_file is not None and not tls:
        raise table.wrong("ca_file", "used with tls = true")
    if password is not None and username is None:
        raise table.wrong("username", "a text, since there is a password")
    return MqttBroker(
        host=table.host("host"),
        port=table.integer("port", TLS_PORT if tls else PLAIN_PORT, least=1, most=65_535),
        username=username,
        password=password,
        tls=tls,
        ca_file=ca_file,
    )
