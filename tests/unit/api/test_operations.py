from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import xform_name

from blemish.api.service_model import service_model
from blemish.domain.entities import DatasetStatus, DatasetType, Label
from tests.unit.api.requests import (
    CIRCUITS,
    DATASET,
    PROJECT_ARN,
    SOURCE,
    answer,
    message,
)
from tests.unit.fakes import FakeHosting
from tests.unit.house import House
from tests.unit.manifests import json_line, label_fields, url

S = DatasetStatus
TRAIN = DatasetType.TRAIN


def source_of(version: str) -> dict[str, Any]:
    place = SOURCE["GroundTruthManifest"]["S3Object"] | {"VersionId": version}
    return {"GroundTruthManifest": {"S3Object": place}}


def test_create_project_answers_what_was_made(client: Any, house: House) -> None:
    response = client.create_project(ProjectName="circuits")

    assert answer(response) == {
        "ProjectMetadata": {
            "ProjectArn": PROJECT_ARN,
            "ProjectName": "circuits",
            "CreationTimestamp": house.clock.time,
        }
    }


def test_describe_project_tells_of_its_datasets(client: Any, house: House) -> None:
    house.project()
    assert answer(client.describe_project(**CIRCUITS))["ProjectDescription"]["Datasets"] == []
    house.datasets.create("circuits", TRAIN, manifest=None)

    response = client.describe_project(**CIRCUITS)

    assert answer(response) == {
        "ProjectDescription": {
            "ProjectArn": PROJECT_ARN,
            "ProjectName": "circuits",
            "CreationTimestamp": house.clock.time,
            "Datasets": [
                {
                    "DatasetType": "train",
                    "CreationTimestamp": house.clock.time,
                    "Status": "CREATE_COMPLETE",
                    "StatusMessage": "The dataset was created successfully.",
                }
            ],
        }
    }


def test_list_projects_gives_page_after_page(client: Any, house: House) -> None:
    for name in ("a", "b", "c"):
        house.project(name)

    pages = list(client.get_paginator("list_projects").paginate(PaginationConfig={"PageSize": 2}))

    assert [[found["ProjectName"] for found in page["Projects"]] for page in pages] == [
        ["c", "b"],
        ["a"],
    ]
    assert pages[0]["Projects"][0]["ProjectArn"].endswith(":project/c")
    assert "NextToken" not in pages[1]


def test_delete_project_answers_the_arn(client: Any, house: House) -> None:
    house.project()

    assert answer(client.delete_project(**CIRCUITS)) == {"ProjectArn": PROJECT_ARN}
    assert client.list_projects()["Projects"] == []


def test_create_dataset_answers_status_and_message(client: Any, house: House) -> None:
    house.project()

    empty = client.create_dataset(ProjectName="circuits", DatasetType="test")
    filled = client.create_dataset(**DATASET, DatasetSource=SOURCE)

    assert empty["DatasetMetadata"]["Status"] == "CREATE_COMPLETE"
    assert answer(filled) == {
        "DatasetMetadata": {
            "DatasetType": "train",
            "CreationTimestamp": house.clock.time,
            "Status": "CREATE_IN_PROGRESS",
            "StatusMessage": "The dataset is creating.",
        }
    }


def test_a_dataset_source_must_name_an_object(client: Any, house: House) -> None:
    house.project()

    with pytest.raises(client.exceptions.ValidationException) as caught:
        client.create_dataset(**DATASET, DatasetSource={"GroundTruthManifest": {}})

    assert message(caught) == "DatasetSource must name GroundTruthManifest.S3Object."


@pytest.mark.parametrize(
    ("version", "status"),
    [("null", S.CREATE_COMPLETE), ("abc", S.CREATE_FAILED), ("v" * 1024, S.CREATE_FAILED)],
)
def test_a_manifest_is_read_in_the_version_that_was_named(
    client: Any, house: House, version: str, status: DatasetStatus
) -> None:
    house.project()
    house.put_manifest(house.lines(Label.NORMAL, 1))

    response = client.create_dataset(**DATASET, DatasetSource=source_of(version))

    assert response["DatasetMetadata"]["Status"] == "CREATE_IN_PROGRESS"
    assert house.settle().status is status


def test_a_version_that_is_too_long_is_refused(client: Any, house: House) -> None:
    house.project()

    with pytest.raises(client.exceptions.ValidationException) as caught:
        client.create_dataset(**DATASET, DatasetSource=source_of("v" * 1025))

    assert "s3Object.versionId'" in message(caught)
    assert client.describe_project(**CIRCUITS)["ProjectDescription"]["Datasets"] == []


def test_describe_dataset_counts_the_images(client: Any, house: House) -> None:
    house.project()
    made = house.clock.time
    house.images(normal=3, anomaly=2, other=1)

    response = client.describe_dataset(**DATASET)

    assert answer(response) == {
        "DatasetDescription": {
            "ProjectName": "circuits",
            "DatasetType": "train",
            "CreationTimestamp": made,
            "LastUpdatedTimestamp": house.clock.time,
            "Status": "CREATE_COMPLETE",
            "StatusMessage": "The dataset was created successfully.",
            "ImageStats": {"Total": 6, "Labeled": 5, "Normal": 3, "Anomaly": 2},
        }
    }


def test_delete_dataset_answers_nothing(client: Any, house: House) -> None:
    house.project()
    house.images(normal=1)

    assert answer(client.delete_dataset(**DATASET)) == {}
    status = client.describe_dataset(**DATASET)["DatasetDescription"]["Status"]
    assert status == DatasetStatus.DELETE_IN_PROGRESS


@pytest.mark.parametrize("changes", [json_line("ä.png", "normal"), json_line("b.png").encode()])
def test_update_dataset_entries_takes_text_and_bytes(
    client: Any, house: House, changes: str | bytes
) -> None:
    house.project()
    house.images(normal=1)
    for key in ("ä.png", "b.png"):
        house.put(key)

    response = client.update_dataset_entries(**DATASET, Changes=changes)

    assert answer(response) == {"Status": "UPDATE_IN_PROGRESS"}
    assert house.settle().status is DatasetStatus.UPDATE_COMPLETE


@pytest.fixture
def dated(house: House) -> House:
    """A dataset of three images, labelled on three days, and one without a label."""
    house.project()
    lines = []
    for day, label in enumerate(("normal", "anomaly", "normal"), start=1):
        house.put(f"{day}.png")
        date = f"2024-01-0{day}T00:00:00Z"
        lines.append(json_line(f"{day}.png", **label_fields(label, date=date)))
    house.dataset([*lines, *house.lines(None, 1)])
    return house


@pytest.mark.parametrize(
    ("filters", "keys"),
    [
        ({}, ["1.png", "2.png", "3.png", "unlabelled-0.png"]),
        ({"Labeled": True}, ["1.png", "2.png", "3.png"]),
        ({"Labeled": False}, ["unlabelled-0.png"]),
        ({"AnomalyClass": "normal"}, ["1.png", "3.png"]),
        ({"AnomalyClass": "anomaly"}, ["2.png"]),
        ({"BeforeCreationDate": datetime(2024, 1, 2, tzinfo=UTC)}, ["1.png"]),
        (
            {"AfterCreationDate": datetime(2024, 1, 2, tzinfo=UTC), "Labeled": True},
            ["3.png"],
        ),
        ({"SourceRefContains": "lab"}, ["unlabelled-0.png"]),
    ],
)
@pytest.mark.usefixtures("dated")
def test_list_dataset_entries_filters(
    client: Any, filters: dict[str, Any], keys: list[str]
) -> None:
    entries = client.list_dataset_entries(**DATASET, **filters)["DatasetEntries"]

    assert [json.loads(line)["source-ref"] for line in entries] == [url(key) for key in keys]


@pytest.mark.usefixtures("dated")
def test_list_dataset_entries_gives_page_after_page(client: Any) -> None:
    pages = client.get_paginator("list_dataset_entries").paginate(
        **DATASET, PaginationConfig={"PageSize": 3}
    )

    assert [len(page["DatasetEntries"]) for page in pages] == [3, 1]


Call = Callable[[Any, House, FakeHosting], object]


ERRORS: list[tuple[Call, str, dict[str, str]]] = [
    (
        lambda client, house, _: client.create_project(ProjectName=house.project()),
        "ConflictException",
        {"ResourceType": "PROJECT", "ResourceId": "circuits"},
    ),
    (
        lambda client, *_: client.describe_project(ProjectName=".."),
        "ValidationException",
        {},
    ),
    (
        lambda client, *_: client.describe_dataset(**DATASET),
        "ResourceNotFoundException",
        {"ResourceType": "PROJECT", "ResourceId": "circuits"},
    ),
    (
        lambda client, house, _: client.list_dataset_entries(
            ProjectName=house.project(), DatasetType="test"
        ),
        "ResourceNotFoundException",
        {"ResourceType": "DATASET", "ResourceId": "circuits/test"},
    ),
    (
        lambda client, house, _: client.describe_model(
            ProjectName=house.project(), ModelVersion="7"
        ),
        "ResourceNotFoundException",
        {"ResourceType": "MODEL", "ResourceId": "circuits/7"},
    ),
    (
        lambda client, house, _: client.describe_model(
            ProjectName=house.project(), ModelVersion="0"
        ),
        "ValidationException",
        {},
    ),
    (
        lambda client, *_: client.list_projects(NextToken="AAAA"),
        "ValidationException",
        {},
    ),
]


@pytest.mark.parametrize(("call", "name", "members"), ERRORS)
def test_an_error_is_the_one_that_clients_catch(
    client: Any,
    house: House,
    hosting: FakeHosting,
    call: Call,
    name: str,
    members: dict[str, str],
) -> None:
    with pytest.raises(client.exceptions.ClientError) as caught:
        call(client, house, hosting)

    assert caught.value.response["Error"]["Code"] == name
    for member, value in members.items():
        assert caught.value.response[member] == value


@pytest.mark.parametrize("name", service_model().operation_names)
def test_every_operation_has_a_method(operations: list[object], name: str) -> None:
    assert any(hasattr(group, xform_name(name)) for group in operations)
