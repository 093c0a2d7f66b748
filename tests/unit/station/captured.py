"""Images of a station, a judge that needs no model, and sinks that remember."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from blemish.edge.components import InstalledComponent
from blemish.engine.runtime import Detection
from blemish.station.config import ImageRule, RecordsConfig, SinkConfig, WhenFull
from blemish.station.config_table import ConfigTable
from blemish.station.errors import JudgeAwayError, SinkError, UnreadableError
from blemish.station.images import CapturedImage, image_id
from blemish.station.verdict import Verdict
from tests.unit.station.verdicts import TIME, verdict

RULES = RecordsConfig(
    images=frozenset({ImageRule.ANOMALIES, ImageRule.UNCERTAIN}),
    uncertain_band=0.1,
    share_of_rest=0.0,
    image_budget_bytes=10_000_000,
    most_verdicts=1_000,
)
PNG = b"\x89PNG\r\n\x1a\n"
BROKEN = b"no image"
AWAY = b"an image that comes while the model is away"
UNEXPECTED = b"an image that the judge fails over"
DETECTION = Detection(
    score=1.25,
    threshold=1.0,
    is_anomalous=True,
    confidence=0.9,
    anomaly_map=np.zeros((8, 8), dtype=np.float32),
    stored_size=(16, 16),
    anomalies=None,
    classes=None,
    colors=(),
)


def captured(number: int = 1, *, source: str = "line-1", **changes: Any) -> CapturedImage:
    """Return an image of a folder; others by `changes`."""
    members: dict[str, Any] = {
        "id": image_id(source, number),
        "source": source,
        "name": f"plate {number}.png",
        "content": PNG + b"%d" % number,
        "taken_at": datetime.now(UTC),
        "taken_s": 0.0,
        "is_remembered": True,
    }
    return CapturedImage(**members | changes)


def verdict_on(image: CapturedImage, **changes: Any) -> Verdict:
    """Return the verdict on an image."""
    paths: dict[str, Any] = dict.fromkeys(("image_path", "heat_map_path", "mask_path"))
    members: dict[str, Any] = {"id": image.id, "source": image.source, "image_name": image.name}
    return verdict(**paths | members | changes)


def sink_config(
    name: str = "table", *, limit: int = 1_000, when_full: WhenFull = WhenFull.PAUSE
) -> SinkConfig:
    table = ConfigTable({}, name=name)
    return SinkConfig(type="csv", name=name, queue_limit=limit, when_full=when_full, table=table)


class PlainJudge:
    """Calls every image anomalous, once it may; remembers the names of the images."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.may_judge = threading.Event()
        self.may_judge.set()
        self.component = InstalledComponent(
            name="plates",
            version="1.0.0",
            folder=Path("/none"),
            autostart=False,
            info=None,
            problem=None,
            revision=0,
        )

    def judge(self, image: CapturedImage) -> tuple[Verdict, Detection]:
        self.may_judge.wait(10)
        if isinstance(image.content, bytes) and image.content == BROKEN:
            raise UnreadableError("It is no image.")
        if isinstance(image.content, bytes) and image.content == UNEXPECTED:
            raise ZeroDivisionError
        if isinstance(image.content, bytes) and image.content == AWAY:
            raise JudgeAwayError("The model is away.")
        self.names.append(image.name)
        return verdict_on(image, time=TIME), DETECTION


class MemorySink:
    """Remembers the ids of verdicts; it is away while `is_away`."""

    def __init__(self, name: str = "table") -> None:
        self.name = name
        self.ids: list[str] = []
        self.is_away = False
        self.is_closed = False
        self.error: Callable[[], Exception] = lambda: SinkError("The sink is away.")

    def deliver(self, verdict: Verdict) -> None:
        if self.is_away:
            raise self.error()
        self.ids.append(verdict.id)

    def close(self) -> None:
        self.is_closed = True
