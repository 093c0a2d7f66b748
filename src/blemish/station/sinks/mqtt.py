"""MQTT: each verdict, and each event of an alarm, as one message with quality of service 1."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

from blemish.station.config_table import ConfigTable
from blemish.station.drift.alarms import AlarmEvent
from blemish.station.errors import SinkError
from blemish.station.mqtt_broker import MqttBroker, mqtt_broker
from blemish.station.sinks.sink import Sink
from blemish.station.verdict import Verdict

if TYPE_CHECKING:
    from paho.mqtt.client import Client

ANSWER_S = 10.0
"""How long a broker may take to accept a connection, and to acknowledge a message."""

LOOK_S = 0.1
"""How often a delivery looks whether the connection is still there."""

KEEP_ALIVE_S = 30


class MqttSink:
    """Publishes verdicts as JSON; a verdict is delivered once the broker has acknowledged it."""

    def __init__(
        self,
        name: str,
        *,
        broker: MqttBroker,
        topic: str,
        alarm_topic: str | None = None,
    ) -> None:
        self.name = name
        self._broker, self._topic, self._alarm_topic = broker, topic, alarm_topic
        self._client: Client | None = None

    @property
    def takes_alarms(self) -> bool:
        """Whether there is a topic for alarms."""
        return self._alarm_topic is not None

    def deliver(self, verdict: Verdict) -> None:
        """Publish a verdict; a client that fails is replaced by the next delivery."""
        self._deliver(self._topic, json.dumps(verdict.to_json()))

    def deliver_alarm(self, event: AlarmEvent) -> None:
        """Publish the begin or the end of an alarm."""
        assert self._alarm_topic is not None
        self._deliver(self._alarm_topic, json.dumps(event.to_json()))

    def _deliver(self, topic: str, text: str) -> None:
        if self._client is not None and not self._client.is_connected():
            self.close()
        if self._client is None:
            self._client = self._connect()
        try:
            self._publish(self._client, topic, text)
        except SinkError:
            self.close()
            raise

    def close(self) -> None:
        """Disconnect; messages that are not acknowledged are forgotten."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _publish(self, client: Client, topic: str, text: str) -> None:
        """Publish a message, and wait while the connection lasts."""
        deadline = time.monotonic() + ANSWER_S
        try:
            message = client.publish(topic, text, qos=1)
            while not message.is_published() and client.is_connected():
                if time.monotonic() > deadline:
                    raise SinkError(f"{self._broker} did not acknowledge in {ANSWER_S:.0f} s.")
                message.wait_for_publish(LOOK_S)
            if message.is_published():
                return
        except (RuntimeError, ValueError) as error:
            raise SinkError(f"{self._broker} lost the connection: {error}.") from None
        raise SinkError(f"{self._broker} closed the connection.")

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
    alarm_topic = table.optional_text("alarm_topic")
    for key, value in (("topic", topic), ("alarm_topic", alarm_topic or "")):
        if set(value) & set("+#\0"):
            raise table.wrong(key, "a topic without '+' and '#'")
    return MqttSink(name, broker=broker, topic=topic, alarm_topic=alarm_topic)
