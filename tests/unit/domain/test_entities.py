from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest

from blemish.domain.entities import AccessKey, DatasetStatus, ModelStatus, ObjectRef

MODEL: dict[str, Any] = json.loads((files("blemish.api") / "service-2.json").read_text())


@pytest.mark.parametrize("statuses", [DatasetStatus, ModelStatus])
def test_the_statuses_are_those_of_the_service_model(
    statuses: type[DatasetStatus | ModelStatus],
) -> None:
    assert list(statuses) == MODEL["shapes"][statuses.__name__]["enum"]


def test_an_object_reads_as_its_address() -> None:
    assert str(ObjectRef(bucket="images", key="a/b c.png")) == "s3://images/a/b c.png"


def test_an_access_key_does_not_show_its_secret() -> None:
    key = AccessKey(
        id="BLEM1",
        sealed_secret="hidden",
        name="first",
        policy="FullAccess",
        tags={},
        enabled=True,
        created_at=datetime(2024, 1, 1, tzinfo=UTC),
    )

    assert "hidden" not in f"{key} {key!r} {[key]}"
