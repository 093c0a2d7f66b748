"""Every operation in every status: allowed, or a conflict that names the status."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from blemish.domain.entities import DatasetStatus, DatasetType, ModelStatus
from tests.unit.api.requests import CIRCUITS, DATASET, MODEL, MODEL_ARN, OUTPUT, answer, message
from tests.unit.fakes import FakeHosting, detection
from tests.unit.house import House
from tests.unit.manifests import BUCKET, json_line, url
from tests.unit.service.models.test_thresholds import trained

D = DatasetStatus
M = ModelStatus
IMAGE = {"ContentType": "image/png", "Body": b"an image"}
NORMAL = url("train/normal-0.png")
CONFIGURATION = {
    "Greengrass": {
        "S3OutputLocation": {"Bucket": BUCKET},
        "ComponentName": "plates",
        "TargetPlatform": {"Os": "LINUX", "Arch": "X86_64"},
    }
}
CHANGES = json_line("train/normal-0.png", "normal").encode()

Ask = Callable[[Any], Any]
ON_A_MODEL: dict[str, tuple[Ask, set[ModelStatus]]] = {
    "StartModel": (
        lambda client: client.start_model(**MODEL, MinInferenceUnits=1),
        {M.TRAINED, M.HOSTING_FAILED},
    ),
    "StopModel": (
        lambda client: client.stop_model(**MODEL),
        {M.HOSTED, M.SYSTEM_UPDATING, M.HOSTING_FAILED},
    ),
    "DeleteModel": (
        lambda client: client.delete_model(**MODEL),
        {M.TRAINED, M.TRAINING_FAILED, M.HOSTING_FAILED},
    ),
    "DetectAnomalies": (
        lambda client: client.detect_anomalies(**MODEL, **IMAGE),
        {M.HOSTED, M.SYSTEM_UPDATING},
    ),
    "StartModelPackagingJob": (
        lambda client: client.start_model_packaging_job(**MODEL, Configuration=CONFIGURATION),
        set(M) - {M.TRAINING, M.TRAINING_FAILED, M.DELETING},
    ),
    "CancelModelTraining": (lambda client: client.cancel_model_training(**MODEL), {M.TRAINING}),
    "UpdateInferenceUnits": (
        lambda client: client.update_inference_units(**MODEL, MinInferenceUnits=2),
        {M.HOSTED},
    ),
    "UpdateModelThreshold": (
        lambda client: client.update_model_threshold(**MODEL, Threshold=3.5),
        {M.TRAINED, M.HOSTED, M.HOSTING_FAILED},
    ),
    "DescribeModelThreshold": (lambda client: client.describe_model_threshold(**MODEL), set(M)),
    "DescribeModel": (lambda client: client.describe_model(**MODEL), set(M)),
    "ListModels": (lambda client: client.list_models(**CIRCUITS), set(M)),
}

AT_REST = {D.CREATE_COMPLETE, D.UPDATE_COMPLETE, D.UPDATE_FAILED_ROLLBACK_COMPLETE}
ON_A_DATASET: dict[str, tuple[Ask, set[DatasetStatus]]] = {
    "UpdateDatasetEntries": (
        lambda client: client.update_dataset_entries(**DATASET, Changes=CHANGES),
        AT_REST,
    ),
    "DeleteDatasetEntries": (
        lambda client: client.delete_dataset_entries(**DATASET, SourceRefs=[NORMAL]),
        AT_REST,
    ),
    "DeleteDataset": (
        lambda client: client.delete_dataset(**DATASET),
        AT_REST | {D.CREATE_FAILED, D.DELETE_FAILED},
    ),
    "CreateDataset": (lambda client: client.create_dataset(**DATASET), {D.DELETE_IN_PROGRESS}),
    "CreateModel": (lambda client: client.create_model(**CIRCUITS, OutputConfig=OUTPUT), AT_REST),
    "DescribeDataset": (lambda client: client.describe_dataset(**DATASET), set(D)),
    "ListDatasetEntries": (lambda client: client.list_dataset_entries(**DATASET), set(D)),
    "ValidateDataset": (lambda client: client.validate_dataset(**DATASET), set(D)),
}


@pytest.mark.parametrize("status", list(M))
@pytest.mark.parametrize("name", ON_A_MODEL)
def test_a_model_is_asked_only_for_what_its_status_allows(
    extended_client: Any, trainable: House, hosting: FakeHosting, name: str, status: ModelStatus
) -> None:
    hosting.answer = detection()
    model = trained(trainable, status)
    ask, allowed = ON_A_MODEL[name]
    if status in allowed:
        ask(extended_client)
        return

    with pytest.raises(extended_client.exceptions.ConflictException) as caught:
        ask(extended_client)

    assert re.search(rf" is {status}\b", message(caught))
    assert caught.value.response["ResourceType"] == "MODEL"
    assert caught.value.response["ResourceId"] == MODEL_ARN
    assert trainable.described(model) == model


@pytest.mark.parametrize("status", list(D))
@pytest.mark.parametrize("name", ON_A_DATASET)
def test_a_dataset_is_asked_only_for_what_its_status_allows(
    extended_client: Any, trainable: House, name: str, status: DatasetStatus
) -> None:
    with trainable.database.writing() as rows:
        rows.datasets.move(
            1, sources=list(D), target=status, status_message="", now=trainable.clock()
        )
    before = trainable.datasets.describe("circuits", DatasetType.TRAIN)
    ask, allowed = ON_A_DATASET[name]
    if status in allowed:
        ask(extended_client)
        return

    with pytest.raises(extended_client.exceptions.ConflictException) as caught:
        ask(extended_client)

    assert re.search(rf" is {status}\b", message(caught))
    assert caught.value.response["ResourceType"] == "DATASET"
    assert caught.value.response["ResourceId"] == "circuits/train"
    assert trainable.datasets.describe("circuits", DatasetType.TRAIN) == before
    assert trainable.stored_names() == set()


@pytest.mark.parametrize("status", sorted(set(D) - AT_REST))
def test_a_model_waits_for_the_test_dataset_too(
    client: Any, trainable: House, status: DatasetStatus
) -> None:
    dataset = trainable.images(DatasetType.TEST, normal=1)
    with trainable.database.writing() as rows:
        rows.datasets.move(
            dataset.id, sources=list(D), target=status, status_message="", now=trainable.clock()
        )

    with pytest.raises(client.exceptions.ConflictException, match=f"test dataset .* is {status}"):
        client.create_model(**CIRCUITS, OutputConfig=OUTPUT)

    assert answer(client.list_models(**CIRCUITS)) == {"Models": []}
