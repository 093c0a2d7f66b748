"""MQTT: each verdict as one message with quality of service 1."""

from __future__ import annotations

import json
import ssl
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blemish.station.config_table import ConfigTable, SecretText
from blemish.station.errors import SinkError
from blemish.station.libraries import check_library
from blemish.station.sinks.sink import Sink
from blemish.station.verdict import Verdict

if TYPE_CHECKING:
    from paho.mqtt.client import Client

ANSWER_S = 10.0
"""How long a broker may take to accept a connection, and to acknowledge a message."""

PLAIN_PORT, TLS_PORT = 1883, 8883
KEEP_ALIVE_S = 30


class MqttSink:
    """Publishes verdicts as JSON; a verdict is delivered once the broker has acknowledged it."""

    def __init__(
        self,
        name: str,
        *,
        host: str,
        port: int,
        topic: str,
        username: str | None = None,
        password: SecretText | None = None,
        tls: bool = False,
        ca_file: Path | None = None,
    ) -> None:
        self.name = name
        self._host, self._port, self._topic = host, port, topic
        self._username, self._password = username, password
        self._tls, self._ca_file = tls, ca_file
        self._client: Client | None = None

    def deliver(self, verdict: Verdict) -> None:
        """Publish a verdict; a client that fails is replaced by the next delivery."""
        if self._client is not None and not self._client.is_connected():
            self.close()
        if self._client is None:
            self._client = self._connect()
        try:
            message = self._client.publish(self._topic, json.dumps(verdict.to_json()), qos=1)
            message.wait_for_publish(ANSWER_S)
            is_published = message.is_published()
        except (RuntimeError, ValueError) as error:
            self.close()
            raise SinkError(f"{self._broker} lost the connection: {error}.") from None
        if not is_published:
            self.close()
            raise SinkError(f"{self._broker} did not acknowledge within {ANSWER_S:.0f} s.")

    def close(self) -> None:
        """Disconnect; messages that are not acknowledged are forgotten."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    @property
    def _broker(self) -> str:
        return f"The MQTT broker {self._host}:{self._port}"

    def _connect(self) -> Client:
        from paho.mqtt.client import Client  # noqa: PLC0415
        from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415

        client = Client(CallbackAPIVersion.VERSION2)
        client.connect_timeout = ANSWER_S
        if self._username is not None:
            client.username_pw_set(
                self._username, None if self._password is None else self._password.reveal()
            )
        answered, reasons = threading.Event(), list[Any]()

        def note_answer(_client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
            reasons.append(reason)
            answered.set()

        client.on_connect = note_answer
        try:
            if self._tls:
                client.tls_set_context(ssl.create_default_context(cafile=self._ca_file))
            client.connect(self._host, self._port, keepalive=KEEP_ALIVE_S)
        except (OSError, ValueError) as error:
            raise SinkError(f"{self._broker} cannot be connected to: {error}.") from None
        client.loop_start()
        if answered.wait(ANSWER_S) and not reasons[0].is_failure:
            return client
        client.disconnect()
        client.loop_stop()
        reason = f"refuses the connection: {reasons[0]}" if reasons else "does not answer"
        raise SinkError(f"{self._broker} {reason}.")


def build_mqtt_sink(name: str, table: ConfigTable) -> Sink:
    """Build the sink from its settings."""
    check_library("paho", user=table.name)
    tls = table.flag("tls", default=False)
    ca_file = table.optional_path("ca_file")
    username, password = table.optional_text("username"), table.secret("password_env")
    if ca_file is not None and not tls:
        raise table.wrong("ca_file", "used with tls = true")
    if password is not None and username is None:
        raise table.wrong("username", "a text, since there is a password")
    topic = table.text("topic")
    if set(topic) & set("+#\0"):
        raise table.wrong("topic", "a topic without '+' and '#'")
    return MqttSink(
        name,
        host=table.text("host"),
        port=table.integer("port", TLS_PORT if tls else PLAIN_PORT, least=1, most=65_535),
        topic=topic,
        username=username,
        password=password,
        tls=tls,
        ca_file=ca_file,
    )
