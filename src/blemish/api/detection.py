"""The operation that judges a picture."""

from __future__ import annotations

from concurrent.futures import Future

from blemish.api.members import Members
from blemish.engine.images import encode_mask
from blemish.engine.runtime import Detection
from blemish.service.detection import DetectionService


class DetectionOperations:
    """The handler of DetectAnomalies."""

    def __init__(self, *, detection: DetectionService) -> None:
        self._detection = detection

    def detect_anomalies(
        self, *, project_name: str, model_version: str, content_type: str, body: bytes = b""
    ) -> Future[Members]:
        return self._detection.submit(
            project_name,
            model_version,
            body=body,
            media_type=content_type,
            answer=lambda detection: {"DetectAnomalyResult": _detect_anomaly_result(detection)},
        )


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
        result["AnomalyMask"] = encode_mask(detection.mask, colors=detection.colors)
    return result
