"""Triggers: what says when a camera takes an image."""

from __future__ import annotations

import logging
import time
from typing import Any

from blemish.station.config import WhenBusy
from blemish.station.config_table import ConfigTable
from blemish.station.errors import BusyError, SourceError
from blemish.station.listener import (
    Answer,
    HttpAddress,
    HttpListener,
    PostedRequest,
    http_address,
)
from blemish.station.mqtt_broker import MqttBroker, mqtt_broker
from blemish.station.sources.camera import Shutter, Trigger
from blemish.station.sources.posted import offered_answer

logger = logging.getLogger(__name__)

PORT = 8079
WORD_BYTES = 200
"""Of a message that becomes the name of an image."""


class EveryFrame:
    """Takes every frame, or as many as are judged."""

    def run(self, shutter: Shutter) -> None:
        """Take frame after frame until the intake stops."""
        while not shutter.intake.is_stopping:
            _take(shutter, is_awaited=False)


class Interval:
    """Takes an image again and again after the same time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def run(self, shutter: Shutter) -> None:
        """Take images until the intake stops; where images wait, the next moment is later."""
        due_s = time.monotonic()
        while not shutter.intake.is_stopping:
            _take(shutter, is_awaited=False)
            due_s = max(due_s + self._seconds, time.monotonic())
            shutter.intake.pause(due_s - time.monotonic())


class HttpTrigger:
    """Takes an image with POST /capture; the answer is the verdict."""

    def __init__(self, address: HttpAddress) -> None:
        self._address = address

    def run(self, shutter: Shutter) -> None:
        """Listen until the intake stops."""
        with HttpListener(self._address, lambda request: self._answer(request, shutter)):
            while not shutter.intake.is_stopping:
                shutter.intake.pause(1.0)

    def _answer(self, request: PostedRequest, shutter: Shutter) -> Answer:
        if request.path != "/capture":
            return 404, {"error": f"There is no {request.path}. Send requests to /capture."}
        try:
            image, answer = shutter.capture(request.name)
        except SourceError as error:
            return 503, {"error": str(error)}
        return offered_answer(shutter.intake, image, answer)


class MqttTrigger:
    """Takes an image with every message of a topic; its text becomes the image's name."""

    def __init__(self, broker: MqttBroker, topic: str) -> None:
        self._broker = broker
        self._topic = topic

    def run(self, shutter: Shutter) -> None:
        """Take images until the intake stops; the client connects again by itself."""
        try:
            client = self._broker.client()
        except OSError as error:
            raise SourceError(f"{self._broker} cannot be connected to: {error}.") from None

        def subscribe(client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
            if reason.is_failure:
                report(f"{self._broker} refuses the trigger: {reason}.")
            else:
                report("")
                client.subscribe(self._topic, qos=1)

        def report(message: str) -> None:
            if message and message != shutter.intake.trigger_message:
                logger.warning("%s", message)
            shutter.intake.trigger_message = message

        def lose(*_: Any) -> None:
            report(f"{self._broker} is away.")

        def capture(_client: Any, _data: Any, message: Any) -> None:
            if message.retain:
                return  # its moment was over before the station came
            name = message.payload[:WORD_BYTES].decode("utf-8", "replace").strip()
            _take(shutter, name or None, patience_s=0)

        client.on_connect, client.on_message = subscribe, capture
        client.on_disconnect = client.on_connect_fail = lose
        report(f"{self._broker} has not answered yet.")
        client.connect_async(self._broker.host, self._broker.port, keepalive=30)
        client.loop_start()
        try:
            while not shutter.intake.is_stopping:
                shutter.intake.pause(1.0)
        finally:
            client.disconnect()
            client.loop_stop()


def build_trigger(source: ConfigTable, when_busy: WhenBusy) -> Trigger:
    """Build the trigger that the table `trigger` of a source describes.

    Raises:
        ConfigError: a setting is unknown, missing or wrong.
    """
    table = source.table("trigger")
    trigger: Trigger
    match table.choice("type", ("every-frame", "interval", "http", "mqtt")):
        case "every-frame":
            if when_busy is WhenBusy.NEVER_DROP:
                raise source.wrong(
                    "when_busy", "newest-wins for a trigger every-frame, as a camera waits for none"
                )
            trigger = EveryFrame()
        case "interval":
            trigger = Interval(table.number("interval_s", least=0.01, most=86_400))
        case "http":
            trigger = HttpTrigger(http_address(table, port=PORT))
        case _:
            trigger = MqttTrigger(mqtt_broker(table), table.text("topic"))
    table.finish()
    return trigger


def _take(
    shutter: Shutter,
    name: str | None = None,
    *,
    patience_s: float | None = None,
    is_awaited: bool = True,
) -> None:
    """Take an image and offer it; one that nobody can take is counted as dropped.

    Args:
        shutter: of the camera.
        name: of the image; its time without one.
        patience_s: how long it may wait for room.
        is_awaited: whether there is a part that nobody judges if the camera is away.
    """
    intake = shutter.intake
    try:
        image, _ = shutter.capture(name)
    except SourceError as error:
        if is_awaited and not intake.is_stopping:
            logger.warning("%s", error)
            intake.drop(["-"], is_remembered=False)
        return
    try:
        intake.offer(image, patience_s=patience_s)
    except BusyError as error:
        if intake.is_stopping:
            return
        logger.error("image %s of %s is dropped: %s", image.name, image.source, error)
        intake.drop([image.id], is_remembered=False)
