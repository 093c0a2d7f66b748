"""Images that come as messages of an MQTT topic: each payload is an image file.

The broker stores messages of quality of service 1 for the station while it is away, and repeats
those whose verdict was not on record when the station was killed.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import socket
import time
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from blemish.station.config import WhenBusy
from blemish.station.config_table import ConfigTable
from blemish.station.errors import BusyError, SourceError, UnreadableError
from blemish.station.images import CapturedImage, image_id
from blemish.station.intake import Intake
from blemish.station.mqtt_broker import MqttBroker, mqtt_broker
from blemish.station.sources.source import Source
from blemish.station.verdict import Verdict

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

logger = logging.getLogger(__name__)

STOP_LOOK_S = 0.2
WAITING = 20
"""Messages in memory.

One more of quality of service 1 stays with the broker, which repeats it after the next connection;
one of 0 is lost, and counted.
"""


class MqttImages:
    """Gives the images of a topic; a message is acknowledged once its verdict is on record."""

    capacity = 4

    def __init__(self, name: str, broker: MqttBroker, *, topic: str, client_id: str) -> None:
        self.name = name
        self._broker = broker
        self._topic = topic
        self._client_id = client_id

    def run(self, intake: Intake) -> None:
        """Take messages until the intake stops; the client connects again by itself.

        Raises:
            SourceError: the authorities of the broker cannot be read.
        """
        try:
            client = self._broker.client(session=self._client_id)
        except OSError as error:
            raise SourceError(f"{self._broker} cannot be connected to: {error}.") from None
        messages: queue.Queue[MQTTMessage] = queue.Queue(WAITING)

        def subscribe(client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
            if reason.is_failure:
                intake.disconnected(f"{self._broker} refuses the source: {reason}.")
            else:
                client.subscribe(self._topic, qos=1)
                intake.connected()

        def lose(*_: Any) -> None:
            intake.disconnected(f"{self._broker} is away.")

        client.on_connect = subscribe
        client.on_disconnect = client.on_connect_fail = lose
        client.on_message = lambda _client, _data, message: self.take(intake, messages, message)
        intake.disconnected(f"{self._broker} has not answered yet.")
        client.connect_async(self._broker.host, self._broker.port, keepalive=30)
        client.loop_start()
        try:
            while not intake.is_stopping:
                try:
                    message = messages.get(timeout=STOP_LOOK_S)
                except queue.Empty:
                    continue
                self._offer(intake, client, message)
        finally:
            client.disconnect()
            client.loop_stop()

    def take(
        self, intake: Intake, messages: queue.Queue[MQTTMessage], message: MQTTMessage
    ) -> None:
        """Take a message while there is room in memory."""
        try:
            messages.put_nowait(message)
        except queue.Full:
            logger.warning("source %s is busy: a message of the broker is not taken", self.name)
            if message.qos == 0:
                intake.drop([str(message.mid)], is_remembered=False)

    def _offer(self, intake: Intake, client: Client, message: MQTTMessage) -> None:
        """Offer an image, and acknowledge it once it is dealt with."""
        answer: Future[Verdict] = Future()

        def acknowledge(ended: Future[Verdict]) -> None:
            error = ended.exception()
            is_replaced = isinstance(error, BusyError) and not intake.is_stopping
            if error is None or is_replaced or isinstance(error, UnreadableError):
                client.ack(message.mid, message.qos)

        answer.add_done_callback(acknowledge)
        taken_at = datetime.now(UTC)
        digest = hashlib.sha256(message.payload).hexdigest()
        image = CapturedImage(
            id=image_id(self.name, message.topic, message.mid or taken_at.isoformat(), digest),
            source=self.name,
            name=f"{message.topic} {taken_at.isoformat()}",
            content=bytes(message.payload),
            taken_at=taken_at,
            taken_s=time.monotonic(),
            answer=answer,
        )
        intake.offer(image)


def build_mqtt_images(name: str, table: ConfigTable, when_busy: WhenBusy) -> Source:
    """Build the source from its settings."""
    del when_busy  # either is fine
    broker = mqtt_broker(table)
    topic = table.text("topic")
    client_id = table.text("client_id", f"blemish-{socket.gethostname()}-{name}")
    return MqttImages(name, broker, topic=topic, client_id=client_id)
