"""Verdicts: what a station found out about one image, as records and sinks have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class VerdictArea:
    """How much of an image one anomaly type covers."""

    name: str
    #: 0 to 1
    share: float


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The verdict on one image.

    A verdict may be delivered more than once, always with the same id.
    """

    #: follows from the source and the image: an image that is judged again has the same id
    id: str
    #: when the image was judged, in UTC
    time: datetime
    #: name of the source
    source: str
    #: name of the image in its source
    image_name: str
    is_anomalous: bool
    #: probability of the verdict, 0 to 1
    confidence: float
    score: float
    threshold: float
    component: str
    component_version: str
    #: anomaly types with at least one pixel, without the background; empty for a classification
    anomalies: tuple[VerdictArea, ...]
    #: the stored image; None if the records do not have it, or no longer
    image_path: Path | None
    #: a transparent PNG that lies over the image; stored with it
    heat_map_path: Path | None
    #: an RGB PNG in the colours of the anomaly types; None for a classification model
    mask_path: Path | None

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as JSON has it."""
        document = asdict(self)
        document["time"] = self.time.astimezone(UTC).isoformat()
        document["anomalies"] = [asdict(area) for area in self.anomalies]
        for name in ("image_path", "heat_map_path", "mask_path"):
            document[name] = None if document[name] is None else str(document[name])
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Verdict:
        """Return the verdict that `to_json` described.

        Raises:
            KeyError, TypeError, ValueError: it is no such document.
        """
        values = dict(document)
        values["time"] = datetime.fromisoformat(values["time"])
        values["anomalies"] = tuple(VerdictArea(**area) for area in values["anomalies"])
        for name in ("image_path", "heat_map_path", "mask_path"):
            values[name] = None if values[name] is None else Path(values[name])
        return cls(**values)
