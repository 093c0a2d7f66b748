"""MQTT: each verdict as one message with quality of service 1."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from blemish.station.config_table import ConfigTable
from blemish.station.errors import SinkError
from blemish.station.mqtt_broker import MqttBroker, mqtt_broker
from blemish.station.sinks.sink import Sink
from blemish.station.verdict import Verdict

if TYPE_CHECKING:
    from paho.mqtt.client import Client

ANSWER_S = 10.0
"""How long a broker may take to accept a connection, and to acknowledge a message."""

KEEP_ALIVE_S = 30


class MqttSink:
    """Publishes verdicts as JSON; a verdict is delivered once the broker has acknowledged it."""

    def __init__(
        self,
        name: str,
        *,
        broker: MqttBroker,
        topic: str,
    ) -> None:
        self.name = name
        self._broker, self._topic = broker, topic
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

    def _connect(self) -> Client:
        answered, reasons = threading.Event(), list[Any]()

        def note_answer(_client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
            reasons.append(reason)
            answered.set()

        try:
            client = self._broker.client()
            client.connect_timeout = ANSWER_S
            client.on_connect = note_answer
            client.connect(self._broker.host, self._broker.port, keepalive=KEEP_ALIVE_S)
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
    broker, topic = mqtt_broker(table), table.text("topic")
    if set(topic) & set("+#\0"):
        raise table.wrong("topic", "a topic without '+' and '#'")
    return MqttSink(name, broker=broker, topic=topic)
