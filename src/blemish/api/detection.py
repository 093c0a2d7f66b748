"""The operation that detects anomalies in an image."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from blemish.api.members import Members
from blemish.service.detection.detection import DetectionService

if TYPE_CHECKING:
    from blemish.engine.runtime import Detection


class DetectionOperations:
    """The handler of DetectAnomalies."""

    def __init__(self, *, detection: DetectionService) -> None:
        self._detection = detection

    def detect_anomalies(
        self,
        *,
        project_name: str,
        model_version: str,
        content_type: str,
        body: bytes = b"",
        heat_map: bool = False,
    ) -> Callable[[], Awaitable[Callable[[], Members]]]:
        model = self._detection.model_for(
            project_name, model_version, body=body, media_type=content_type
        )

        async def detect() -> Callable[[], Members]:
            detection = await self._detection.detect(model, body)
            return partial(_detection_members, detection, heat_map=heat_map)

        return detect


def _detection_members(detection: Detection, *, heat_map: bool) -> Members:
    result = _detect_anomaly_result(detection)
    return {"DetectAnomalyResult": result | (_heat_map_members(detection) if heat_map else {})}


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


def _heat_map_members(detection: Detection) -> Members:
    from blemish.engine.heat_maps import encode_heat_map

    return {
        "HeatMap": encode_heat_map(
            detection.anomaly_map, threshold=detection.threshold, size=detection.stored_size
        ),
        "AnomalyScore": detection.score,
        "Threshold": detection.threshold,
    }
