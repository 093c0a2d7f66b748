"""Batch and trial detections, through a client that knows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from blemish.domain.detection_jobs import (
    DetectionJob,
    DetectionJobKind,
    DetectionJobStatus,
    ImageCounts,
    TrialImage,
)
from blemish.domain.entities import ModelStatus
from tests.asgi_client import PRINCIPAL
from tests.unit.api.requests import CIRCUITS, MODEL, MODEL_ARN, OUTPUT, answer, message
from tests.unit.house import LEASE, OWNER, House
from tests.unit.manifests import BUCKET, json_line, url

BATCH, TRIAL = DetectionJobKind.BATCH, DetectionJobKind.TRIAL
LISTED = {"ImageSource": {"Images": [url("new/0.png"), url("new/1.png")]}}
MANIFEST = {"ImageSource": {"Manifest": {"Bucket": BUCKET, "Key": "new.manifest"}}}
A_BATCH = CIRCUITS | {"BatchName": "night"}
A_TRIAL = CIRCUITS | {"TrialName": "first"}
COUNTS = ImageCounts(total=3, normal=1, anomaly=1, failed=1)


@pytest.fixture
def model(trainable: House) -> House:
    """The services, with a trained model."""
    trainable.trained()
    return trainable


def start_batch(client: Any, **members: Any) -> str:
    request = MODEL | LISTED | {"OutputConfig": OUTPUT} | members
    name: str = client.start_batch_detection(**request)["BatchName"]
    return name


def start_trial(client: Any, **members: Any) -> str:
    name: str = client.start_trial_detection(**(MODEL | LISTED | members))["TrialName"]
    return name


def see_through(house: House, kind: DetectionJobKind, name: str) -> DetectionJob:
    """End a job as the work does; the trial's second image is anomalous, the third broken."""
    job = house.detection_jobs.describe("circuits", name, kind=kind)
    now = house.clock.advance(60)
    found = [
        TrialImage(
            position=position,
            source_ref=url(f"new/{position - 1}.png"),
            is_anomalous=is_anomalous,
            confidence=None if error else 0.75,
            error=error,
            verified_line=None,
        )
        for position, is_anomalous, error in ((1, False, None), (2, True, None), (3, None, "why"))
    ]
    with house.database.writing() as rows:
        attempt = rows.detection_jobs.claim(job.id, owner=OWNER, now=now, lease_until=now + LEASE)
        assert attempt is not None
        rows.detection_jobs.finish(
            job.id,
            attempt=attempt,
            target=DetectionJobStatus.SUCCEEDED,
            status_message="Done.",
            counts=COUNTS,
            now=now,
        )
        rows.trial_images.put(job.id, found if kind is TRIAL else [])
    return job


def test_a_batch_is_described_as_it_was_asked_for(extended_client: Any, model: House) -> None:
    response = extended_client.start_batch_detection(
        **MODEL, **MANIFEST, BatchName="night", OutputConfig=OUTPUT
    )

    assert answer(response) == {"BatchName": "night"}
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 202
    now = model.clock.time
    assert answer(extended_client.describe_batch_detection(**A_BATCH)) == {
        "Batch": {
            "BatchName": "night",
            "ProjectName": "circuits",
            "ModelVersion": "1",
            "Status": "CREATED",
            "StatusMessage": "The images wait to be judged.",
            "CreationTimestamp": now,
            "LastUpdatedTimestamp": now,
            "ImageStats": {"Normal": 0, "Anomaly": 0, "Failed": 0},
            "OutputConfig": OUTPUT,
        }
    }


def test_a_batch_that_is_through_says_where_its_result_is(
    extended_client: Any, model: House
) -> None:
    start_batch(extended_client, BatchName="night")
    job = see_through(model, BATCH, "night")

    found = extended_client.describe_batch_detection(**A_BATCH)["Batch"]

    assert (found["Status"], found["StatusMessage"]) == ("SUCCEEDED", "Done.")
    assert found["ImageStats"] == {"Total": 3, "Normal": 1, "Anomaly": 1, "Failed": 1}
    key = "out/BatchDetection/circuits/night/ResultManifest.json"
    assert found["ResultManifest"] == {"Bucket": BUCKET, "Key": key}
    assert found["CreationTimestamp"] == job.created_at
    assert found["LastUpdatedTimestamp"] == model.clock.time


def test_a_batch_needs_no_prefix(extended_client: Any, model: House) -> None:
    place = {"S3Location": {"Bucket": BUCKET}}
    start_batch(extended_client, BatchName="night", OutputConfig=place)
    see_through(model, BATCH, "night")

    found = extended_client.describe_batch_detection(**A_BATCH)["Batch"]

    assert found["OutputConfig"] == place
    assert found["ResultManifest"]["Key"] == "BatchDetection/circuits/night/ResultManifest.json"


@pytest.mark.usefixtures("model")
def test_cancel_batch_detection_names_who_cancelled(extended_client: Any) -> None:
    start_batch(extended_client, BatchName="night")

    response = extended_client.cancel_batch_detection(**A_BATCH)

    found = answer(response)["Batch"]
    assert (found["Status"], found["StatusMessage"]) == (
        "FAILED",
        f"Cancelled by {PRINCIPAL.name}.",
    )
    assert "ResultManifest" not in found
    assert answer(extended_client.describe_batch_detection(**A_BATCH)) == {"Batch": found}
    told = refused(extended_client, lambda: extended_client.cancel_batch_detection(**A_BATCH))
    assert told == ("ConflictException", "TRIAL", "circuits/night")


def test_a_trial_is_described_with_its_numbers(extended_client: Any, model: House) -> None:
    response = extended_client.start_trial_detection(**MODEL, **LISTED, TrialName="first")
    job = see_through(model, TRIAL, "first")

    assert answer(response) == {"TrialName": "first"}
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer(extended_client.describe_trial_detection(**A_TRIAL)) == {
        "Trial": {
            "TrialName": "first",
            "ProjectName": "circuits",
            "ModelVersion": "1",
            "Status": "SUCCEEDED",
            "StatusMessage": "Done.",
            "CreationTimestamp": job.created_at,
            "LastUpdatedTimestamp": model.clock.time,
            "ImageStats": {"Total": 3, "Normal": 1, "Anomaly": 1, "Failed": 1},
        }
    }


@pytest.mark.usefixtures("model")
def test_a_job_without_a_name_gets_one_and_latest_is_a_version(extended_client: Any) -> None:
    batch = start_batch(extended_client, ModelVersion="latest")
    trial = start_trial(extended_client, ModelVersion="latest")

    found = [
        extended_client.describe_batch_detection(**CIRCUITS, BatchName=batch)["Batch"],
        extended_client.describe_trial_detection(**CIRCUITS, TrialName=trial)["Trial"],
    ]
    assert [each["ModelVersion"] for each in found] == ["1", "1"]


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("operation", "member", "name", "begin"),
    [
        ("list_batch_detections", "Batches", "BatchName", start_batch),
        ("list_trial_detections", "Trials", "TrialName", start_trial),
    ],
)
def test_jobs_are_listed_page_after_page(
    extended_client: Any, operation: str, member: str, name: str, begin: Callable[..., str]
) -> None:
    for each in ("a", "b", "c"):
        begin(extended_client, **{name: each})
    ask = getattr(extended_client, operation)

    first = ask(**CIRCUITS, MaxResults=2)
    rest = ask(**CIRCUITS, MaxResults=2, NextToken=first["NextToken"])

    assert [job[name] for job in first[member]] == ["c", "b"]
    assert [job[name] for job in rest[member]] == ["a"]
    assert "NextToken" not in rest


@pytest.mark.usefixtures("model")
def test_a_token_is_of_one_kind_of_job(extended_client: Any) -> None:
    for each in ("a", "b"):
        start_batch(extended_client, BatchName=each)
    token = extended_client.list_batch_detections(**CIRCUITS, MaxResults=1)["NextToken"]

    with pytest.raises(extended_client.exceptions.ValidationException):
        extended_client.list_trial_detections(**CIRCUITS, NextToken=token)


def test_list_trial_images_says_what_was_found_and_verified(
    extended_client: Any, model: House
) -> None:
    start_trial(extended_client, TrialName="first")
    see_through(model, TRIAL, "first")
    line = json_line("new/1.png", "anomaly")

    verified = extended_client.verify_trial_images(**A_TRIAL, Entries=line.encode())

    assert answer(verified) == {"Verified": 1}
    normal = {"SourceRef": url("new/0.png"), "IsAnomalous": False, "Confidence": 0.75}
    anomaly = {"SourceRef": url("new/1.png"), "IsAnomalous": True, "Confidence": 0.75}
    broken = {"SourceRef": url("new/2.png"), "Error": "why"}

    def images(**members: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = answer(
            extended_client.list_trial_images(**A_TRIAL, **members)
        )["Images"]
        return found

    assert images() == [normal, anomaly | {"VerifiedEntry": line}, broken]
    assert images(Verified=True) == [anomaly | {"VerifiedEntry": line}]
    assert images(Verified=False) == [normal, broken]
    first = extended_client.list_trial_images(**A_TRIAL, MaxResults=1, Verified=False)
    assert first["Images"] == [normal]
    assert images(MaxResults=1, Verified=False, NextToken=first["NextToken"]) == [broken]


def test_add_trial_images_to_dataset_answers_the_status_that_follows(
    extended_client: Any, model: House
) -> None:
    start_trial(extended_client, TrialName="first")
    see_through(model, TRIAL, "first")
    model.put("new/1.png")
    entries = json_line("new/1.png", "anomaly").encode()
    extended_client.verify_trial_images(**A_TRIAL, Entries=entries)

    response = extended_client.add_trial_images_to_dataset(**A_TRIAL, DatasetType="train")

    assert answer(response) == {"Status": "UPDATE_IN_PROGRESS"}
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert model.settle().status == "UPDATE_COMPLETE"
    assert model.stats().anomaly == 1


def refused(client: Any, call: Callable[[], object]) -> tuple[str, str, str]:
    with pytest.raises(client.exceptions.ClientError) as caught:
        call()
    found = caught.value.response
    return found["Error"]["Code"], found["ResourceType"], found["ResourceId"]


def test_a_trial_that_is_not_through_is_in_conflict(extended_client: Any, model: House) -> None:
    client = extended_client
    start_trial(client, TrialName="first")
    entries = json_line("new/1.png", "anomaly").encode()
    calls: list[Callable[[], object]] = [
        lambda: client.verify_trial_images(**A_TRIAL, Entries=entries),
        lambda: client.add_trial_images_to_dataset(**A_TRIAL, DatasetType="train"),
        lambda: start_trial(client, TrialName="first"),
    ]

    for call in calls:
        assert refused(client, call) == ("ConflictException", "TRIAL", "circuits/first")
    assert answer(client.list_trial_images(**A_TRIAL)) == {"Images": []}
    model.put_into(model.models.describe("circuits", "1"), ModelStatus.TRAINING)
    told = refused(client, lambda: start_batch(client))
    assert told == ("ConflictException", "MODEL", MODEL_ARN)


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"BatchName": "n" * 65}, "'batchName'"),
        ({"BatchName": "my_batch"}, "'batchName'"),
        ({"ModelVersion": "0"}, "'modelVersion'"),
        ({"ImageSource": {}}, "either Manifest or Images"),
        ({"ImageSource": LISTED["ImageSource"] | MANIFEST["ImageSource"]}, "Manifest or Images"),
        ({"ImageSource": {"Images": ["no-address"]}}, "'no-address' is not"),
        ({"ImageSource": {"Images": [url("a.png")] * 2001}}, "imageSource.images'"),
        ({"OutputConfig": {"S3Location": {"Bucket": "nowhere"}}}, "the bucket nowhere"),
    ],
)
def test_a_batch_that_cannot_be_done_is_refused(
    extended_client: Any, members: dict[str, Any], told: str
) -> None:
    with pytest.raises(extended_client.exceptions.ValidationException) as caught:
        start_batch(extended_client, **members)

    assert told in message(caught)
    assert extended_client.list_batch_detections(**CIRCUITS)["Batches"] == []


def test_what_does_not_exist_is_not_found(extended_client: Any, house: House) -> None:
    client, entries = extended_client, json_line("a.png", "normal").encode()
    of_jobs: list[tuple[Callable[[], object], str]] = [
        (lambda: client.describe_batch_detection(**A_BATCH), "circuits/night"),
        (lambda: client.cancel_batch_detection(**A_BATCH), "circuits/night"),
        (lambda: client.describe_trial_detection(**A_TRIAL), "circuits/first"),
        (lambda: client.list_trial_images(**A_TRIAL), "circuits/first"),
        (lambda: client.verify_trial_images(**A_TRIAL, Entries=entries), "circuits/first"),
        (
            lambda: client.add_trial_images_to_dataset(**A_TRIAL, DatasetType="train"),
            "circuits/first",
        ),
    ]
    others: list[Callable[[], object]] = [
        lambda: start_batch(client),
        lambda: start_trial(client),
        lambda: client.list_batch_detections(**CIRCUITS),
        lambda: client.list_trial_detections(**CIRCUITS),
    ]
    for call in [*(each for each, _ in of_jobs), *others]:
        told = refused(client, call)
        assert told == ("ResourceNotFoundException", "PROJECT", "circuits")
    house.project()

    for call, resource in of_jobs:
        assert refused(client, call) == ("ResourceNotFoundException", "TRIAL", resource)
    for call in others[:2]:
        told = refused(client, call)
        assert told == ("ResourceNotFoundException", "MODEL", "circuits/1")
