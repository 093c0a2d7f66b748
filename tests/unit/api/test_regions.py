"""Listings for requests that are signed for another region, where a setting makes them empty."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from blemish.api.regions import listing_own_region
from blemish.api.service_model import service_model
from blemish.wire.dispatch import Dispatcher
from blemish.wire.rest_json_service import rest_json_dispatcher
from tests.asgi_client import boto3_client, installed_models, signer
from tests.unit.house import House

OWN, OTHER = "eu-west-1", "ap-northeast-1"


@pytest.fixture
def app(operations: list[object]) -> Dispatcher:
    return rest_json_dispatcher(
        service_model(),
        listing_own_region(service_model(), operations, region=OWN),
        signer=signer,
        clock=lambda: datetime.now(UTC),
        request_ids=lambda: "request-1",
        max_body_bytes=lambda _: 1_000_000,
    )


def names(client: Any) -> list[str]:
    return [project["ProjectName"] for project in client.list_projects()["Projects"]]


def test_a_script_that_asks_every_region_sees_a_project_once(house: House, app: Dispatcher) -> None:
    house.project()
    regions = (OWN, OTHER, "us-east-1")

    listed = [names(boto3_client(app, region=region)) for region in regions]

    assert listed == [["circuits"], [], []]


def test_every_listing_is_empty_elsewhere(house: House, app: Dispatcher) -> None:
    house.project()
    client = boto3_client(app, region=OTHER, models=installed_models())

    listings = {
        "list_models": client.list_models(ProjectName="circuits")["Models"],
        "list_dataset_entries": client.list_dataset_entries(
            ProjectName="circuits", DatasetType="train"
        )["DatasetEntries"],
        "list_batch_detections": client.list_batch_detections(ProjectName="circuits")["Batches"],
    }

    assert set(map(len, listings.values())) == {0}


def test_what_is_named_is_there_for_every_region(house: House, app: Dispatcher) -> None:
    house.project()

    answer = boto3_client(app, region=OTHER).describe_project(ProjectName="circuits")

    assert answer["ProjectDescription"]["ProjectName"] == "circuits"
