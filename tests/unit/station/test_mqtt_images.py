from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

import pytest

from blemish.station.config import WhenBusy
from blemish.station.config_table import ConfigTable
from blemish.station.intake import Intake
from blemish.station.records import Records
from blemish.station.sources.mqtt_images import WAITING, MqttImages, build_mqtt_images
from tests.unit.station.captured import RULES

paho = pytest.importorskip("paho.mqtt.client")


def test_messages_beyond_the_bound_wait_with_the_broker_or_are_counted(folder: Path) -> None:
    records = Records(folder, rules=RULES)
    intake = Intake(
        "camera",
        when_busy=WhenBusy.NEVER_DROP,
        records=records,
        changed=threading.Condition(),
        stopping=threading.Event(),
    )
    table = ConfigTable({"host": "127.0.0.1", "topic": "plates"}, name="[[source]] camera")
    source = build_mqtt_images("camera", table, WhenBusy.NEVER_DROP)
    assert isinstance(source, MqttImages)
    messages: queue.Queue[Any] = queue.Queue(WAITING)

    for number in range(WAITING + 2):
        message = paho.MQTTMessage(mid=number)
        message.qos = number % 2
        source.take(intake, messages, message)

    assert messages.qsize() == WAITING
    assert records.counters() == {("source camera", "dropped"): 1}
    records.close()
