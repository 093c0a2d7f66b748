"""Verdicts for tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from blemish.station.verdict import Verdict, VerdictArea

TIME = datetime(2026, 1, 2, 23, 59, 59, 500_000, tzinfo=UTC)


def verdict(number: int = 1, **changes: Any) -> Verdict:
    """Return the verdict on an image with a stain; others by `changes`."""
    members: dict[str, Any] = {
        "id": f"{number:04}",
        "time": TIME + timedelta(seconds=number - 1),
        "source": "line-1",
        "image_name": f"plate {number}.png",
        "is_anomalous": True,
        "confidence": 0.9,
        "score": 1.25,
        "threshold": 1.0,
        "component": "plates",
        "component_version": "1.0.0",
        "anomalies": (VerdictArea(name="stain", share=0.25),),
        "image_path": Path(f"/srv/station/images/{number:04}.png"),
        "heat_map_path": None,
        "mask_path": None,
    }
    return Verdict(**members | changes)
