"""What follows a deletion at once, as AWS's own SDK calls it: the deletion is never in its way."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.product import start_training
from tests.acceptance.served import ServedDirectory, dataset_status, line, wait_for
from tests.asgi_client import installed_models

pytestmark = pytest.mark.acceptance

PROJECT = "plates"
TRAIN = {"ProjectName": PROJECT, "DatasetType": "train"}
ROUNDS = 25
IMAGES = 300


@pytest.fixture
def source(served: ServedDirectory) -> dict[str, Any]:
    """A manifest large enough that the deletion of its dataset takes a while."""
    lines = [
        line(served.put(f"images/{number}.png", str(number).encode()), "normal")
        for number in range(IMAGES)
    ]
    return served.put_manifest("the.manifest", lines)


def create(client: Any, source: dict[str, Any]) -> None:
    client.create_dataset(**TRAIN, DatasetSource=source)
    status = dataset_status(client, PROJECT, "train")
    wait_for(status, {"CREATE_COMPLETE"}, while_in={"CREATE_IN_PROGRESS"})


def test_a_dataset_is_created_as_soon_as_the_one_before_is_deleted(
    served: ServedDirectory, source: dict[str, Any]
) -> None:
    client = served.client()
    client.create_project(ProjectName=PROJECT)
    create(client, source)

    for _ in range(ROUNDS):
        client.delete_dataset(**TRAIN)
        create(client, source)

    stats = client.describe_dataset(**TRAIN)["DatasetDescription"]["ImageStats"]
    assert stats == {"Total": IMAGES, "Labeled": IMAGES, "Normal": IMAGES, "Anomaly": 0}


def test_an_empty_dataset_follows_a_full_one_and_the_other_way_round(
    served: ServedDirectory, source: dict[str, Any]
) -> None:
    client = served.client()
    client.create_project(ProjectName=PROJECT)

    for _ in range(ROUNDS):
        client.create_dataset(**TRAIN)
        client.delete_dataset(**TRAIN)
        create(client, source)
        client.delete_dataset(**TRAIN)

    client.create_dataset(**TRAIN)
    stats = client.describe_dataset(**TRAIN)["DatasetDescription"]["ImageStats"]
    assert stats == {"Total": 0, "Labeled": 0, "Normal": 0, "Anomaly": 0}


def test_a_project_is_deleted_as_soon_as_its_datasets_and_models_are(
    served: ServedDirectory, source: dict[str, Any]
) -> None:
    client = served.client(models=installed_models())

    for _ in range(5):
        client.create_project(ProjectName=PROJECT)
        create(client, source)
        version = start_training(client)
        client.cancel_model_training(ProjectName=PROJECT, ModelVersion=version)
        client.delete_model(ProjectName=PROJECT, ModelVersion=version)
        client.delete_dataset(**TRAIN)
        client.delete_project(ProjectName=PROJECT)

    assert client.list_projects()["Projects"] == []
    assert list((served.folder / "bundles").iterdir()) == []
