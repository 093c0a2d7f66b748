from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from blemish.station.verdict import Verdict, VerdictArea

VERDICT = Verdict(
    id="0123",
    time=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
    source="line-1",
    image_name="plate 7.png",
    is_anomalous=True,
    confidence=0.9,
    score=1.25,
    threshold=1.0,
    component="plates",
    component_version="1.0.0",
    anomalies=(VerdictArea(name="stain", share=0.25),),
    image_path=Path("/srv/station/images/0123.png"),
    heat_map_path=None,
    mask_path=None,
)


def test_a_verdict_goes_through_json_unchanged() -> None:
    text = json.dumps(VERDICT.to_json())

    assert Verdict.from_json(json.loads(text)) == VERDICT
    assert '"time": "2026-01-02T03:04:05.000678+00:00"' in text
