"""What is ours, through a client that knows it, and one that does not."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from botocore import xform_name
from botocore.exceptions import ParamValidationError
from PIL import Image

from blemish.api.service_model import service_model
from blemish.domain.entities import Label, ModelStatus
from blemish.engine.runtime import Detection
from tests.asgi_client import PRINCIPAL
from tests.products import png
from tests.unit.api.requests import DATASET, MODEL, answer, message
from tests.unit.fakes import FakeHosting, detection
from tests.unit.house import House
from tests.unit.manifests import BUCKET, url
from tests.unit.service.models.test_thresholds import BUNDLE, trained


def test_a_client_of_the_original_has_none_of_our_operations(
    client: Any, extended_client: Any
) -> None:
    names = set(service_model().operation_names)

    known = {name for name in names if hasattr(client, xform_name(name))}

    assert len(known) == 22
    assert all(hasattr(extended_client, xform_name(name)) for name in names)


def test_cancel_model_training_names_who_cancelled(
    extended_client: Any, client: Any, trainable: House
) -> None:
    trainable.model()

    response = extended_client.cancel_model_training(**MODEL)

    assert answer(response) == {"Status": "TRAINING_FAILED"}
    model = client.describe_model(**MODEL)["ModelDescription"]
    assert (model["Status"], model["StatusMessage"]) == (
        "TRAINING_FAILED",
        f"Cancelled by {PRINCIPAL.name}.",
    )


def test_validate_dataset_lists_the_problems_of_every_page(
    extended_client: Any, trainable: House
) -> None:
    bucket = trainable.directory.buckets / BUCKET
    keys = sorted(path.relative_to(bucket).as_posix() for path in bucket.rglob("train/*.png"))
    for key in keys:
        (bucket / key).write_bytes(png(np.zeros((64, 80, 3), np.uint8)))
    (bucket / keys[0]).write_bytes(b"hello")
    (bucket / keys[1]).write_bytes(png(np.zeros((70, 80, 3), np.uint8)))
    (bucket / keys[2]).unlink()

    first = answer(extended_client.validate_dataset(**DATASET, MaxResults=10))
    problems, page, pages = first["Problems"], first, 1
    while token := page.get("NextToken"):
        page = answer(extended_client.validate_dataset(**DATASET, NextToken=token, MaxResults=10))
        problems += page["Problems"]
        pages += 1

    assert first["CheckedImages"] == 10
    assert pages > 1
    reasons = {problem["SourceRef"]: problem["Reason"] for problem in problems}
    assert set(reasons) == {url(key) for key in keys[:3]}
    assert "is a text" in reasons[url(keys[0])]
    assert "it must have 80 x 64 pixels" in reasons[url(keys[1])]
    assert "cannot be read" in reasons[url(keys[2])]


def test_cancel_model_training_takes_no_latest(extended_client: Any, trainable: House) -> None:
    model = trainable.model()

    with pytest.raises(extended_client.exceptions.ValidationException, match="at 'modelVersion'"):
        extended_client.cancel_model_training(ProjectName="circuits", ModelVersion="latest")

    assert trainable.described(model) == model


def test_cancel_model_training_after_its_end_is_a_conflict(
    extended_client: Any, trainable: House
) -> None:
    trainable.trained()

    with pytest.raises(extended_client.exceptions.ConflictException) as caught:
        extended_client.cancel_model_training(**MODEL)

    assert "is TRAINED; only a training can be cancelled" in message(caught)


def test_delete_dataset_entries_answers_the_status_that_follows(
    extended_client: Any, house: House
) -> None:
    house.project()
    lines = house.lines(Label.NORMAL, 3)
    house.dataset(lines)

    response = extended_client.delete_dataset_entries(**DATASET, SourceRefs=[url("normal-1.png")])

    assert answer(response) == {"Status": "UPDATE_IN_PROGRESS"}
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 202
    house.settle()
    assert house.entry_lines() == [lines[0], lines[2]]


def test_delete_dataset_entries_of_a_dataset_that_was_never_made_is_a_conflict(
    extended_client: Any, house: House
) -> None:
    house.project()
    house.dataset(["no JSON"])

    with pytest.raises(extended_client.exceptions.ConflictException) as caught:
        extended_client.delete_dataset_entries(**DATASET, SourceRefs=[url("normal-1.png")])

    assert "is CREATE_FAILED" in message(caught)
    assert house.stored_names() == set()


@pytest.mark.parametrize("refs", [[""], ["x" * 2049]])
def test_delete_dataset_entries_takes_addresses_within_the_model(
    extended_client: Any, house: House, refs: list[str]
) -> None:
    house.project()
    house.dataset(house.lines(Label.NORMAL, 3))

    with pytest.raises((extended_client.exceptions.ValidationException, ParamValidationError)):
        extended_client.delete_dataset_entries(**DATASET, SourceRefs=refs)


IMAGE = MODEL | {"ContentType": "image/png", "Body": b"an image"}
MASKED = detection(anomalies=(), mask=[[0, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize("found", [detection(), MASKED], ids=["classifying", "segmenting"])
def test_any_detection_has_a_heat_map_where_it_is_asked_for(
    extended_client: Any, trainable: House, hosting: FakeHosting, found: Detection
) -> None:
    trainable.trained(ModelStatus.HOSTED)
    hosting.answer = found
    plain = extended_client.detect_anomalies(**IMAGE)["DetectAnomalyResult"]

    result = extended_client.detect_anomalies(**IMAGE, HeatMap=True)["DetectAnomalyResult"]

    with Image.open(io.BytesIO(result["HeatMap"])) as image:
        assert (image.format, image.size) == ("PNG", found.stored_size)
    more = {"HeatMap": result["HeatMap"], "AnomalyScore": 2.5, "Threshold": 2.0}
    assert result == plain | more
    assert plain.keys().isdisjoint(more)


def test_who_asks_for_no_heat_map_gets_none(
    extended_client: Any, trainable: House, hosting: FakeHosting
) -> None:
    trainable.trained(ModelStatus.HOSTED)
    hosting.answer = detection()

    result = extended_client.detect_anomalies(**IMAGE, HeatMap=False)["DetectAnomalyResult"]

    assert result.keys() == {"Source", "IsAnomalous", "Confidence"}


@pytest.mark.parametrize(("maximum", "told"), [({}, {}), ({"MaxInferenceUnits": 5},) * 2])
def test_update_inference_units_answers_the_status_that_follows(
    extended_client: Any, trainable: House, maximum: dict[str, int], told: dict[str, int]
) -> None:
    trainable.trained(ModelStatus.HOSTED)

    response = extended_client.update_inference_units(**MODEL, MinInferenceUnits=3, **maximum)

    assert answer(response) == {"Status": "SYSTEM_UPDATING"}
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 202
    model = extended_client.describe_model(**MODEL)["ModelDescription"]
    units = {name: model[name] for name in model if name.endswith("InferenceUnits")}
    assert units == {"MinInferenceUnits": 3} | told


EFFECT = {
    "Threshold": 3.5,
    "Precision": 1.0,
    "Recall": 0.5,
    "F1Score": pytest.approx(2 / 3),
    "TruePositives": 1,
    "FalsePositives": 0,
    "TrueNegatives": 3,
    "FalseNegatives": 1,
}


def test_update_model_threshold_answers_what_is_in_force(
    extended_client: Any, trainable: House
) -> None:
    trained(trainable, ModelStatus.HOSTED)

    response = extended_client.update_model_threshold(**MODEL, Threshold=3.5)

    wanted = {"Status": "SYSTEM_UPDATING", "Threshold": 3.5, "TrainedThreshold": 2.5}
    assert answer(response) == wanted
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 202


def test_update_model_threshold_without_one_goes_back(
    extended_client: Any, trainable: House
) -> None:
    trained(trainable)
    extended_client.update_model_threshold(**MODEL, Threshold=3.5)

    response = extended_client.update_model_threshold(**MODEL)

    assert answer(response) == {"Status": "TRAINED", "Threshold": 2.5, "TrainedThreshold": 2.5}


def test_describe_model_threshold_says_what_thresholds_do(
    extended_client: Any, trainable: House
) -> None:
    trained(trainable)
    extended_client.update_model_threshold(**MODEL, Threshold=3.5)

    response = extended_client.describe_model_threshold(**MODEL, Thresholds=[1e6, 3.5])

    found = answer(response)
    assert (found["Threshold"], found["TrainedThreshold"]) == (3.5, 2.5)
    assert found["CurrentEffect"] == EFFECT
    assert found["TrainedEffect"]["FalsePositives"] == 1
    hopeless, same = found["Effects"]
    assert same == EFFECT
    assert "Precision" not in hopeless  # nothing is found anomalous
    assert (hopeless["Recall"], hopeless["FalseNegatives"]) == (0.0, 2)
    assert "StatusMessage" not in found


def test_describe_model_threshold_of_an_older_model_says_why_there_are_no_effects(
    extended_client: Any, trainable: House
) -> None:
    trained(trainable, bundle=replace(BUNDLE, info=replace(BUNDLE.info, test_scores=None)))

    found = answer(extended_client.describe_model_threshold(**MODEL))

    assert found.keys() == {"Threshold", "TrainedThreshold", "StatusMessage"}
    assert "Train it again" in found["StatusMessage"]


@pytest.mark.parametrize("threshold", [1e39, 1e308])
def test_a_threshold_that_no_model_can_hold_is_refused(
    extended_client: Any, trainable: House, threshold: float
) -> None:
    model = trained(trainable)

    with pytest.raises(extended_client.exceptions.ValidationException, match="at 'threshold'"):
        extended_client.update_model_threshold(**MODEL, Threshold=threshold)
    with pytest.raises(extended_client.exceptions.ValidationException, match="at 'thresholds"):
        extended_client.describe_model_threshold(**MODEL, Thresholds=[1.0, threshold])

    assert trainable.described(model) == model
