"""Move the threshold of a trained detector, and count the verdicts on the test images.

A bundle has the threshold twice: in bundle.json, and in the graph as the default of the input
`threshold`. Both are moved together.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from blemish.engine.bundle import Bundle, MeasuredScores
from blemish.engine.errors import BundleError
from blemish.engine.metrics import PrecisionRecallF1, precision_recall_f1

MOST = float(np.finfo(np.float32).max)
"""The highest threshold that a graph can hold."""

MOST_TURNS = 100
"""Thresholds that `turning_points` returns at most."""

# Source: onnx.proto, the numbers of the fields; Protocol Buffers, "Encoding"
_GRAPH, _INITIALIZER, _NAME, _RAW_DATA = 7, 5, 8, 9


@dataclass(frozen=True, kw_only=True)
class ThresholdEffect:
    """The verdicts on the test images at a threshold; an anomaly is a positive."""

    threshold: float
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    metrics: PrecisionRecallF1


def move_threshold(bundle: Bundle, threshold: float | None) -> Bundle:
    """Return the bundle with another threshold; None is the trained one.

    Args:
        bundle: the bundle, which is not changed.
        threshold: 0 to `MOST`; the graph takes the nearest float32.

    Raises:
        BundleError: its graph has no threshold that can be moved.
    """
    info = bundle.info
    trained = info.trained_threshold
    wanted = trained if threshold is None else float(np.float32(threshold))
    return Bundle(
        info=replace(info, threshold=wanted, moved_from=None if wanted == trained else trained),
        model=_with_default(bundle.model, wanted),
    )


def threshold_effect(scores: MeasuredScores, threshold: float) -> ThresholdEffect:
    """Count the verdicts on the test images, compared in float32 as in the graph."""
    limit = np.float32(threshold)
    normal, anomaly = _float32(scores.normal) >= limit, _float32(scores.anomaly) >= limit
    truth = np.repeat([False, True], [len(normal), len(anomaly)])
    return ThresholdEffect(
        threshold=threshold,
        true_positives=int(anomaly.sum()),
        false_positives=int(normal.sum()),
        true_negatives=int((~normal).sum()),
        false_negatives=int((~anomaly).sum()),
        metrics=precision_recall_f1(truth, np.concatenate([normal, anomaly])),
    )


def turning_points(scores: MeasuredScores) -> list[float]:
    """Return thresholds between which verdicts differ, ascending: all, or an even sample of them.

    The first calls every test image anomalous, the last none; the others lie in the middle between
    neighbouring scores.
    """
    levels = np.unique(_float32(scores.normal + scores.anomaly))
    if not len(levels):
        return []
    above = np.nextafter(levels[-1], np.float32(np.inf))
    lower, upper = levels[:-1], levels[1:]
    middles = lower + (upper - lower) / 2
    middles = np.where(middles > lower, middles, upper)  # between neighbours there is no float32
    points = np.concatenate([levels[:1], middles, [above]]).astype(np.float32)
    rows = np.linspace(0, len(points) - 1, min(len(points), MOST_TURNS)).round().astype(int)
    return [float(point) for point in points[rows]]


def _float32(values: tuple[float, ...]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def _with_default(model: bytes, threshold: float) -> bytes:
    """Overwrite the default of the graph's input `threshold`: four bytes.

    This code parses the file itself because the server does not import the package onnx, and
    because nothing else of the graph may change.
    """
    for start, end in _fields(model, 0, len(model), number=_GRAPH):
        for tensor, tensor_end in _fields(model, start, end, number=_INITIALIZER):
            names = [model[at:to] for at, to in _fields(model, tensor, tensor_end, number=_NAME)]
            values = list(_fields(model, tensor, tensor_end, number=_RAW_DATA))
            if names == [b"threshold"] and [to - at for at, to in values] == [4]:
                ((at, to),) = values
                return model[:at] + struct.pack("<f", threshold) + model[to:]
    raise BundleError("The bundle's graph has no threshold that can be moved.")


def _fields(data: bytes, start: int, end: int, *, number: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of the contents of a message's fields with this number."""
    while start < end:
        key, start = _varint(data, start)
        match key & 7:
            case 0:
                _, start = _varint(data, start)
            case 1:
                start += 8
            case 5:
                start += 4
            case 2:
                length, start = _varint(data, start)
                if key >> 3 == number:
                    yield start, start + length
                start += length
            case _:
                return  # no message


def _varint(data: bytes, start: int) -> tuple[int, int]:
    """Return a number and the offset after it."""
    value = shift = 0
    while True:
        byte = data[start]
        start += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, start
        shift += 7
