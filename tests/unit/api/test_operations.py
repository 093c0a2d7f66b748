from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image

from blemish.api.operations import Operations
from blemish.domain.entities import DatasetStatus, DatasetType, ModelStatus
from blemish.engine.images import ImageError
from blemish.engine.runtime import AnomalyArea
from tests.unit.fakes import FakeHosting, detection
from tests.unit.house import House
from tests.unit.manifests import BUCKET, json_line, label_fields, url

S = ModelStatus
TRAIN = DatasetType.TRAIN
PROJECT_ARN = "arn:aws:lookoutvision:eu-west-1:123456789012:project/circuits"
MODEL_ARN = "arn:aws:lookoutvision:eu-west-1:123456789012:model/circuits/1"
SOURCE = {"GroundTruthManifest": {"S3Object": {"Bucket": BUCKET, "Key": "the.manifest"}}}
OUTPUT = {"S3Location": {"Bucket": BUCKET, "Prefix": "out/"}}
CIRCUITS = {"ProjectName": "circuits"}
DATASET = {"ProjectName": "circuits", "DatasetType": "train"}
MODEL = {"ProjectName": "circuits", "ModelVersion": "1"}

LATER = (
    "describe_model_packaging_job",
    "list_model_packaging_jobs",
    "list_tags_for_resource",
    "start_model_packaging_job",
    "tag_resource",
    "untag_resource",
)


def answer(response: dict[str, Any]) -> dict[str, Any]:
    """Return an answer without what botocore adds."""
    return {name: value for name, value in response.items() if name != "ResponseMetadata"}


def message(caught: pytest.ExceptionInfo[Any]) -> str:
    return str(caught.value.response["Error"]["Message"])


@pytest.fixture
def trainable(house: House) -> House:
    """A project with a training dataset of fifteen pictures."""
    house.project()
    house.pictures(normal=15)
    return house


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


def test_a_version_of_an_object_is_not_taken_for_its_newest(client: Any, house: House) -> None:
    house.project()
    place = SOURCE["GroundTruthManifest"]["S3Object"] | {"VersionId": "abc"}

    with pytest.raises(client.exceptions.ValidationException) as caught:
        client.create_dataset(**DATASET, DatasetSource={"GroundTruthManifest": {"S3Object": place}})

    assert message(caught) == "VersionId is not supported by this server. Leave it out."


def test_describe_dataset_counts_the_images(client: Any, house: House) -> None:
    house.project()
    made = house.clock.time
    house.pictures(normal=3, anomaly=2, other=1)

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
    house.pictures(normal=1)

    assert answer(client.delete_dataset(**DATASET)) == {}
    status = client.describe_dataset(**DATASET)["DatasetDescription"]["Status"]
    assert status == DatasetStatus.DELETE_IN_PROGRESS


@pytest.mark.parametrize("changes", [json_line("ä.png", "normal"), json_line("b.png").encode()])
def test_update_dataset_entries_takes_text_and_bytes(
    client: Any, house: House, changes: str | bytes
) -> None:
    house.project()
    house.pictures(normal=1)
    for key in ("ä.png", "b.png"):
        house.put(key)

    response = client.update_dataset_entries(**DATASET, Changes=changes)

    assert answer(response) == {"Status": "UPDATE_IN_PROGRESS"}
    assert house.settle().status is DatasetStatus.UPDATE_COMPLETE


@pytest.fixture
def dated(house: House) -> House:
    """A dataset of three pictures, labelled on three days, and one without a label."""
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


def test_create_model_answers_what_is_trained(client: Any, trainable: House) -> None:
    response = client.create_model(**CIRCUITS, Description="first-try", OutputConfig=OUTPUT)

    assert answer(response) == {
        "ModelMetadata": {
            "CreationTimestamp": trainable.clock.time,
            "ModelVersion": "1",
            "ModelArn": MODEL_ARN,
            "Description": "first-try",
            "Status": "TRAINING",
            "StatusMessage": "The model is being trained.",
        }
    }


@pytest.mark.parametrize(
    ("member", "value"), [("KmsKeyId", "alias/key"), ("Tags", [{"Key": "line", "Value": "4"}])]
)
def test_what_cannot_be_done_yet_is_refused(
    client: Any, trainable: House, member: str, value: object
) -> None:
    with pytest.raises(client.exceptions.ValidationException) as caught:
        client.create_model(**CIRCUITS, OutputConfig=OUTPUT, **{member: value})

    assert message(caught) == f"{member} is not supported by this server. Leave it out."
    assert trainable.models.page("circuits", token=None) == ([], None)


def test_describe_model_in_training_has_all_that_clients_read(
    client: Any, trainable: House
) -> None:
    client.create_model(**CIRCUITS, OutputConfig={"S3Location": {"Bucket": BUCKET}})

    response = client.describe_model(ProjectName="circuits", ModelVersion="latest")

    assert answer(response) == {
        "ModelDescription": {
            "ModelVersion": "1",
            "ModelArn": MODEL_ARN,
            "CreationTimestamp": trainable.clock.time,
            "Status": "TRAINING",
            "StatusMessage": "The model is being trained.",
            "OutputConfig": {"S3Location": {"Bucket": BUCKET, "Prefix": ""}},
        }
    }


def test_describe_model_after_training_has_all_that_clients_read(
    client: Any, trainable: House
) -> None:
    made = trainable.clock.time
    trainable.trained()

    response = client.describe_model(**MODEL)

    assert answer(response) == {
        "ModelDescription": {
            "ModelVersion": "1",
            "ModelArn": MODEL_ARN,
            "CreationTimestamp": made,
            "Status": "TRAINED",
            "StatusMessage": "Training completed successfully.",
            "Performance": {"F1Score": 0.5, "Recall": 0.25, "Precision": 0.75},
            "OutputConfig": {"S3Location": {"Bucket": BUCKET, "Prefix": "out/"}},
            "EvaluationManifest": {
                "Bucket": BUCKET,
                "Key": "out/EvaluationManifest-circuits-1.json",
            },
            "EvaluationResult": {"Bucket": BUCKET, "Key": "out/EvaluationResult-circuits-1.json"},
            "EvaluationEndTimestamp": trainable.clock.time,
        }
    }


@pytest.mark.parametrize(
    "units", [{"MinInferenceUnits": 1}, {"MinInferenceUnits": 2, "MaxInferenceUnits": 3}]
)
def test_describe_model_tells_the_inference_units(
    client: Any, trainable: House, units: dict[str, int]
) -> None:
    trainable.trained()

    response = client.start_model(**MODEL, **units)

    assert answer(response) == {"Status": "STARTING_HOSTING"}
    description = client.describe_model(**MODEL)["ModelDescription"]
    assert {name: description[name] for name in description if "Units" in name} == units


def test_stop_model_answers_the_status(client: Any, trainable: House) -> None:
    trainable.trained(S.HOSTED)

    assert answer(client.stop_model(**MODEL)) == {"Status": "STOPPING_HOSTING"}


def test_list_models_gives_page_after_page(client: Any, trainable: House) -> None:
    trainable.trained()
    client.create_model(**CIRCUITS, Description="d", OutputConfig=OUTPUT)

    pages = list(
        client.get_paginator("list_models").paginate(**CIRCUITS, PaginationConfig={"PageSize": 1})
    )

    (newest,), (oldest,) = [page["Models"] for page in pages]
    assert (newest["ModelVersion"], oldest["ModelVersion"]) == ("2", "1")
    assert "Description" in newest
    assert "Description" not in oldest
    assert oldest["ModelArn"] == MODEL_ARN
    assert oldest["Performance"] == {"F1Score": 0.5, "Recall": 0.25, "Precision": 0.75}
    assert "Performance" not in newest


def test_delete_model_answers_the_arn(client: Any, trainable: House) -> None:
    trainable.trained()

    assert answer(client.delete_model(**MODEL)) == {"ModelArn": MODEL_ARN}
    assert client.describe_model(**MODEL)["ModelDescription"]["Status"] == "DELETING"


def detect(client: Any, **members: Any) -> dict[str, Any]:
    request = MODEL | {"ContentType": "image/png", "Body": b"a picture"} | members
    result: dict[str, Any] = client.detect_anomalies(**request)["DetectAnomalyResult"]
    return result


@pytest.mark.parametrize("is_anomalous", [True, False])
def test_a_classification_model_answers_a_verdict_alone(
    client: Any, trainable: House, hosting: FakeHosting, *, is_anomalous: bool
) -> None:
    trainable.trained(S.HOSTED)
    hosting.answer = detection(is_anomalous=is_anomalous, confidence=0.625)

    assert detect(client) == {
        "Source": {"Type": "direct"},
        "IsAnomalous": is_anomalous,
        "Confidence": 0.625,
    }
    assert hosting.asked[0]["data"] == b"a picture"


def test_a_segmentation_model_answers_areas_and_a_mask(
    client: Any, trainable: House, hosting: FakeHosting
) -> None:
    trainable.trained(S.HOSTED)
    hosting.answer = detection(
        anomalies=(
            AnomalyArea(name="background", share=4 / 6, color="#FFFFFF"),
            AnomalyArea(name="dent", share=2 / 6, color="#23A436"),
        ),
        mask=[[0, 0, 2], [2, 0, 0]],
        colors=("#FFFFFF", "#14A3B3", "#23A436"),
    )

    result = detect(client)

    assert result["Anomalies"] == [
        {
            "Name": "background",
            "PixelAnomaly": {"TotalPercentageArea": 4 / 6, "Color": "#FFFFFF"},
        },
        {"Name": "dent", "PixelAnomaly": {"TotalPercentageArea": 2 / 6, "Color": "#23A436"}},
    ]
    with Image.open(io.BytesIO(result["AnomalyMask"])) as mask:
        assert (mask.format, mask.mode, mask.size) == ("PNG", "RGB", (3, 2))
        white, green = (255, 255, 255), (0x23, 0xA4, 0x36)
        assert np.asarray(mask).tolist() == [
            [list(color) for color in row] for row in ((white, white, green), (green, white, white))
        ]


def test_a_normal_picture_of_a_segmentation_model_has_a_mask_of_background(
    client: Any, trainable: House, hosting: FakeHosting
) -> None:
    trainable.trained(S.HOSTED)
    hosting.answer = detection(
        is_anomalous=False,
        anomalies=(AnomalyArea(name="background", share=1.0, color="#FFFFFF"),),
        mask=[[0, 0, 0], [0, 0, 0]],
        colors=("#FFFFFF", "#23A436"),
    )

    result = detect(client)

    assert result["Anomalies"] == [
        {"Name": "background", "PixelAnomaly": {"TotalPercentageArea": 1.0, "Color": "#FFFFFF"}}
    ]
    with Image.open(io.BytesIO(result["AnomalyMask"])) as mask:
        assert mask.getcolors() == [(6, (255, 255, 255))]


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


def test_a_broken_picture_is_the_callers_fault(
    client: Any, trainable: House, hosting: FakeHosting
) -> None:
    trainable.trained(S.HOSTED)
    hosting.answer = ImageError("The image is truncated.")

    with pytest.raises(client.exceptions.ValidationException) as caught:
        detect(client)

    assert message(caught) == "The image is truncated."


def test_a_quota_is_named_by_its_code(client: Any, trainable: House) -> None:
    trainable.trained()

    with pytest.raises(client.exceptions.ServiceQuotaExceededException) as caught:
        client.start_model(**MODEL, MinInferenceUnits=65)

    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 402
    assert response["ServiceCode"] == "lookoutvision"
    assert response["QuotaCode"].startswith("L-")


@pytest.mark.parametrize("name", LATER)
def test_operations_of_later_versions_have_no_method(name: str) -> None:
    assert not hasattr(Operations, name)
