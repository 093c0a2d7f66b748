from __future__ import annotations

import io
import os
from dataclasses import replace

import numpy as np
import pytest

from blemish.engine.runtime import AnomalyArea
from blemish.line.channel import Channel, ChannelClosedError
from blemish.line.detection_message import detection_document, detection_of
from tests.unit.station.captured import DETECTION


def looped() -> Channel:
    """Return a channel that receives what it sends."""
    reading, writing = os.pipe()
    return Channel(reading=os.fdopen(reading, "rb"), writing=os.fdopen(writing, "wb"))


def test_a_detection_arrives_as_it_was_sent() -> None:
    channel = looped()
    sent = replace(
        DETECTION,
        anomaly_map=np.arange(12, dtype=np.float32).reshape(3, 4),
        anomalies=(AnomalyArea(name="stain", share=0.5, color="#FF0000"),),
        classes=np.eye(5, dtype=np.uint8),
        colors=("#FFFFFF", "#FF0000"),
        orientation=6,
    )
    channel.send("detection", *detection_document(sent))

    received = detection_of(channel.receive())
    channel.close()

    np.testing.assert_array_equal(received.anomaly_map, sent.anomaly_map)
    assert received.classes is not None
    np.testing.assert_array_equal(received.classes, np.eye(5, dtype=np.uint8))
    assert replace(received, anomaly_map=sent.anomaly_map, classes=sent.classes) == sent


def test_an_end_in_a_message_is_an_end() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"\0\0\0\x09\0\0\0\0{")
    os.close(writing)
    channel = Channel(reading=os.fdopen(reading, "rb"), writing=io.BytesIO())

    with pytest.raises(ChannelClosedError):
        channel.receive()
    channel.close()
