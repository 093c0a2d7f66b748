from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from blemish.domain.errors import ServiceError, ValidationError
from blemish.engine.runtime import Detection
from blemish.line.config import exchange_models, parse_line_config
from blemish.line.line_model import LineModel
from blemish.line.shadow import Shadow, ShadowImage
from blemish.line.shadow_records import MOST_COMPARED, ModelPair, ShadowRecords
from blemish.service.detection.detection import DetectionService
from blemish.station.errors import ConfigError
from blemish.station.records import Records
from tests.unit.station.captured import DETECTION, RULES

PAIR = ModelPair(first="plates 1", second="plates 2")
OK = replace(DETECTION, is_anomalous=False, score=0.5)
SETTINGS = """# the hall
[model]  # judges
project = "plates"
version = "1"

[shadow]
project = "plates"
version = "2"

[[source]]
type = "browser"
name = "camera"
when_busy = "never-drop"
"""


@pytest.fixture
def records(folder: Path) -> ShadowRecords:
    Records(folder, rules=RULES).close()
    return ShadowRecords(folder)


def test_the_table_counts_what_both_models_say(records: ShadowRecords) -> None:
    for number, (first, second) in enumerate(
        [(OK, OK), (OK, OK), (DETECTION, OK), (OK, DETECTION)]
    ):
        records.add(f"{number}", PAIR, first=first, second=second)
    records.add("3", PAIR, first=OK, second=DETECTION)  # again, after a restart

    table = records.table(PAIR)

    assert (table.both_ok, table.both_not_ok, table.first_alone, table.second_alone) == (2, 0, 1, 1)
    assert table.images == 4
    assert [verdict.id for verdict in records.differing(PAIR, limit=9)] == ["3", "2"]
    assert records.table(ModelPair(first="plates 2", second="plates 1")).images == 0
    assert MOST_COMPARED > 4


def test_exchanging_the_models_changes_nothing_else(tmp_path: Path) -> None:
    exchanged = exchange_models(SETTINGS, directory=tmp_path)

    config = parse_line_config(exchanged, directory=tmp_path)
    assert (config.project, config.version) == ("plates", "2")
    assert config.shadow == LineModel(project="plates", version="1")
    assert "# the hall" in exchanged
    again = parse_line_config(exchange_models(exchanged, directory=tmp_path), directory=tmp_path)
    assert (again.version, again.shadow) == ("1", LineModel(project="plates", version="2"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            SETTINGS.partition("[shadow]")[0] + "[[source]]" + SETTINGS.partition("[[source]]")[2],
            "no second model",
        ),
        (SETTINGS.replace('version = "2"', 'version = "1"'), "as .model. does"),
        (
            SETTINGS.replace('[shadow]\nproject = "plates"\nversion = "2"\n', "").replace(
                "# the hall", 'shadow = {project = "plates", version = "2"}'
            ),
            "tables of their own",
        ),
    ],
    ids=["none", "the same", "inline"],
)
def test_what_cannot_be_exchanged_is_said(tmp_path: Path, settings: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        exchange_models(settings, directory=tmp_path)


class SlowDetection:
    """Detections of a hosted model that last until the test lets them end."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.error: ServiceError | None = None

    def model_for(self, *names: str, **_: object) -> object:
        return names

    async def detect(self, model: object, content: bytes) -> Detection:
        assert (model, content) == (("plates", "2"), b"image")
        await asyncio.to_thread(self.may_end.wait, 10)
        if self.error is not None:
            raise self.error
        return OK


def offered(shadow: Shadow, number: int) -> None:
    model = LineModel(project="plates", version="1")
    shadow.offer(ShadowImage(id=f"{number}", content=b"image", first=model, detection=DETECTION))


def until(is_so: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if is_so():
            return
        threading.Event().wait(0.01)
    raise AssertionError


def test_a_slow_second_model_holds_nothing_up_and_skips_images(records: ShadowRecords) -> None:
    detection = SlowDetection()
    shadow = Shadow(cast("DetectionService", detection), records)
    shadow.set_model(LineModel(project="plates", version="2"))
    shadow.start()

    for number in range(100):  # the detection of the first one does not end before
        offered(shadow, number)
    detection.may_end.set()

    until(lambda: records.table(PAIR).images > 0)
    assert shadow.skipped == 99
    assert records.table(PAIR).first_alone == 1
    shadow.stop()


def test_a_second_model_that_does_not_run_is_said(records: ShadowRecords) -> None:
    detection = SlowDetection()
    detection.error = ValidationError("It is stopped.")
    detection.may_end.set()
    shadow = Shadow(cast("DetectionService", detection), records)
    shadow.set_model(LineModel(project="plates", version="2"))
    shadow.start()

    offered(shadow, 1)

    until(lambda: bool(shadow.message))
    assert shadow.message == "The second model does not judge: It is stopped."
    assert records.table(PAIR).images == 0
    shadow.stop()
