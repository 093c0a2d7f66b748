"""The operation that detects anomalies in an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread

from blemish.api.members import Members
from blemish.service.detection.detection import DetectionService

if TYPE_CHECKING:
    from blemish.engine.runtime import Detection

ENCODING_THREADS = 2
"""Threads that encode masks and heat maps."""


class DetectionOperations:
    """The handler of DetectAnomalies."""

    def __init__(self, *, detection: DetectionService) -> None:
        self._detection = detection
        self._threads = CapacityLimiter(ENCODING_THREADS)

    async def detect_anomalies(
        self,
        *,
        project_name: str,
        model_version: str,
        content_type: str,
        body: bytes = b"",
        heat_map: bool = False,
    ) -> Members:
        detection = await self._detection.detect(
            project_name, model_version, body=body, media_type=content_type
        )
        answer = _with_heat_map if heat_map else _detect_anomaly_result
        if heat_map or detection.mask is not None:
            result = await to_thread.run_sync(answer, detection, limiter=self._threads)
        else:
            result = answer(detection)
        return {"DetectAnomalyResult": result}


def _detect_anomaly_result(detection: Detection) -> Members:
    result: Members = {
        "Source": {"Type": "direct"},
        "IsAnomalous": detection.is_anomalous,
        "Confidence": detection.confidence,
    }
    if detection.anomalies is not None and detection.mask is not None:
        result["Anomalies"] = [
            {
                "Name": area.name,
                "PixelAnomaly": {"TotalPercentageArea": area.share, "Color": area.color},
            }
            for area in detection.anomalies
        ]
        from blemish.engine.images.masks import encode_mask

        result["AnomalyMask"] = encode_mask(detection.mask, colors=detection.colors)
    return result


def _with_heat_map(detection: Detection) -> Members:
    from blemish.engine.heat_maps import encode_heat_map

    return _detect_anomaly_result(detection) | {
        "HeatMap": encode_heat_map(
            detection.anomaly_map, threshold=detection.threshold, size=detection.stored_size
        ),
        "AnomalyScore": detection.score,
        "Threshold": detection.threshold,
    }
