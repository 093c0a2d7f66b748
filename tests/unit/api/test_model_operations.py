from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from blemish.domain.entities import EvaluationMethod, ModelStatus
from blemish.engine.images.decode import ImageError
from blemish.engine.runtime import AnomalyArea
from tests.unit.api.requests import CIRCUITS, MODEL, MODEL_ARN, OUTPUT, answer, message
from tests.unit.fakes import FakeHosting, detection
from tests.unit.house import House
from tests.unit.manifests import BUCKET
from tests.unit.storage.sealing import key

S = ModelStatus


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


def test_describe_model_names_the_key_as_create_model_did(client: Any, trainable: House) -> None:
    trainable.keyring.add(key(2, alias="line-4"))
    client.create_model(**CIRCUITS, OutputConfig=OUTPUT, KmsKeyId="alias/line-4")

    response = client.describe_model(**CIRCUITS, ModelVersion="latest")

    assert response["ModelDescription"]["KmsKeyId"] == "alias/line-4"


def test_a_key_that_is_not_there_is_refused(client: Any, trainable: House) -> None:
    with pytest.raises(client.exceptions.ValidationException) as caught:
        client.create_model(**CIRCUITS, OutputConfig=OUTPUT, KmsKeyId="alias/line-4")

    assert message(caught).startswith("KmsKeyId alias/line-4 cannot be used: There is no key ")
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


def test_a_client_that_knows_the_member_reads_how_performance_was_measured(
    client: Any, extended_client: Any, trainable: House
) -> None:
    trainable.trained(method=EvaluationMethod.CROSS_VALIDATION)

    described = extended_client.describe_model(**MODEL)["ModelDescription"]

    assert described["EvaluationMethod"] == "cross-validation"
    assert "EvaluationMethod" not in client.describe_model(**MODEL)["ModelDescription"]


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
    request = MODEL | {"ContentType": "image/png", "Body": b"an image"} | members
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
    assert hosting.requests[0]["data"] == b"an image"


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


def test_a_normal_image_of_a_segmentation_model_has_a_mask_of_background(
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


def test_a_broken_image_is_the_callers_fault(
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
