"""Detections as messages: numbers and texts as JSON, arrays as bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from blemish.engine.normal_images import Comparison, MeasuredRange
from blemish.engine.runtime import AnomalyArea, Detection
from blemish.line.channel import LineMessage


def detection_document(detection: Detection) -> tuple[dict[str, Any], list[bytes]]:
    """Return a detection as a document and the bytes of the arrays."""
    heat = np.ascontiguousarray(detection.anomaly_map, dtype=np.float32)
    classes = detection.classes
    document = {
        "score": detection.score,
        "threshold": detection.threshold,
        "is_anomalous": detection.is_anomalous,
        "confidence": detection.confidence,
        "stored_size": list(detection.stored_size),
        "anomalies": None
        if detection.anomalies is None
        else [asdict(area) for area in detection.anomalies],
        "colors": list(detection.colors),
        "orientation": detection.orientation,
        "map_shape": list(heat.shape),
        "classes_shape": None if classes is None else list(classes.shape),
        "comparison": None if detection.compare is None else asdict(detection.compare()),
    }
    parts = [heat.tobytes()]
    if classes is not None:
        parts.append(np.ascontiguousarray(classes, dtype=np.uint8).tobytes())
    return document, parts


def detection_of(message: LineMessage) -> Detection:
    """Return the detection that `detection_document` described."""
    document, content = message.document, message.content
    height, width = document["map_shape"]
    map_bytes = 4 * height * width
    shape = document["classes_shape"]
    areas = document["anomalies"]
    return Detection(
        score=document["score"],
        threshold=document["threshold"],
        is_anomalous=document["is_anomalous"],
        confidence=document["confidence"],
        anomaly_map=np.frombuffer(content[:map_bytes], np.float32).reshape(height, width),
        stored_size=(document["stored_size"][0], document["stored_size"][1]),
        anomalies=None if areas is None else tuple(AnomalyArea(**area) for area in areas),
        classes=None
        if shape is None
        else np.frombuffer(content[map_bytes:], np.uint8).reshape(shape),
        colors=tuple(document["colors"]),
        orientation=document["orientation"],
        compare=_comparison(document["comparison"]),
    )


def _comparison(document: Mapping[str, Any] | None) -> Callable[[], Comparison] | None:
    if document is None:
        return None
    comparison = Comparison(
        values=document["values"],
        ranges={name: MeasuredRange(**entry) for name, entry in document["ranges"].items()},
    )
    return lambda: comparison
