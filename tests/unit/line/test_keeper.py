from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from blemish.console.line.line_access import check_models
from blemish.console.visitor import Visitor
from blemish.domain.arns import ArnScope
from blemish.domain.errors import AccessDeniedError, ValidationError
from blemish.line.keeper import LineKeeper
from blemish.service.detection.detection import DetectionService
from blemish.storage.data_directory import DataDirectory
from tests.unit.line.test_shadow import SETTINGS


@pytest.fixture
def directory(folder: Path) -> DataDirectory:
    directory = DataDirectory(folder / "data")
    directory.create()
    return directory


@pytest.fixture
def keeper(directory: DataDirectory) -> LineKeeper:
    return LineKeeper(
        directory,
        detection=cast("DetectionService", None),
        arns=ArnScope(region="us-east-1", account="000000000000"),
        now=lambda: datetime.now(UTC),
    )


def test_whoever_configures_a_line_may_use_each_of_its_models(keeper: LineKeeper) -> None:
    checks: list[tuple[str, Any]] = []

    def check(operation: str, **members: str) -> None:
        checks.append((operation, members))
        if members["ModelVersion"] == "2":
            raise AccessDeniedError("no")

    visitor = SimpleNamespace(services=SimpleNamespace(lines=keeper), check=check)

    with pytest.raises(AccessDeniedError):
        check_models(cast("Visitor", visitor), "hall", SETTINGS)
    with pytest.raises(ValidationError, match="TOML"):
        check_models(cast("Visitor", visitor), "hall", "[model")

    assert checks == [
        ("DetectAnomalies", {"ProjectName": "plates", "ModelVersion": version})
        for version in ("1", "2")
    ]


def test_settings_that_cannot_be_read_stop_their_line_alone(
    keeper: LineKeeper, directory: DataDirectory
) -> None:
    (directory.lines / "hall" / "line.toml").mkdir(parents=True)
    (directory.lines / "yard").mkdir()
    (directory.lines / "yard" / "line.toml").write_bytes(b"\xff")

    keeper.start()
    messages = [keeper.line(name).feed.message for name in keeper.names()]
    keeper.stop()

    assert len(messages) == 2
    assert "cannot be read" in messages[0]
    assert "no TOML" in messages[1]
