from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from blemish.domain.entities import ModelStatus
from blemish.domain.packaging import PackagingJobStatus
from tests.unit.api.requests import CIRCUITS, DEVICE, MODEL, MODEL_ARN, PLACE, answer, message
from tests.unit.house import House
from tests.unit.manifests import BUCKET

PLATFORM = {
    "ComponentName": "circuits",
    "S3OutputLocation": PLACE,
    "TargetPlatform": {"Os": "LINUX", "Arch": "X86_64"},
}
FULL = {
    "ComponentName": "circuits.line_4-b",
    "ComponentVersion": "123456.0.7",
    "ComponentDescription": "For line 4, b (it's new): why?",
    "S3OutputLocation": {"Bucket": BUCKET, "Prefix": "components/"},
    "TargetPlatform": {"Os": "LINUX", "Arch": "ARM64", "Accelerator": "NVIDIA"},
    "CompilerOptions": '{"gpu-code": "sm_72", "trt-ver": "7.1.3", "cuda-ver": "10.2"}',
    "Tags": [{"Key": "line", "Value": "4"}, {"Key": "Stage", "Value": ""}],
}


@pytest.fixture
def model(trainable: House) -> House:
    """The services, with a trained model."""
    trainable.trained()
    return trainable


def start(client: Any, greengrass: dict[str, Any], **members: Any) -> str:
    request = MODEL | {"Configuration": {"Greengrass": greengrass}} | members
    name: str = client.start_model_packaging_job(**request)["JobName"]
    return name


def describe(client: Any, name: str) -> dict[str, Any]:
    found = client.describe_model_packaging_job(**CIRCUITS, JobName=name)
    description: dict[str, Any] = found["ModelPackagingDescription"]
    return description


def test_start_model_packaging_job_answers_the_name(client: Any, model: House) -> None:
    response = client.start_model_packaging_job(
        **MODEL, JobName="first-try", Configuration={"Greengrass": DEVICE}
    )

    assert answer(response) == {"JobName": "first-try"}
    assert model.packaging.describe("circuits", "first-try")


def test_describe_model_packaging_job_repeats_what_was_asked(client: Any, model: House) -> None:
    start(client, FULL, JobName="a", Description="The first, (a try)")

    response = client.describe_model_packaging_job(**CIRCUITS, JobName="a")

    assert answer(response) == {
        "ModelPackagingDescription": {
            "JobName": "a",
            "ProjectName": "circuits",
            "ModelVersion": "1",
            "ModelPackagingConfiguration": {"Greengrass": FULL},
            "ModelPackagingJobDescription": "The first, (a try)",
            "ModelPackagingMethod": "Greengrass",
            "Status": "CREATED",
            "StatusMessage": "The model waits to be packaged.",
            "CreationTimestamp": model.clock.time,
            "LastUpdatedTimestamp": model.clock.time,
        }
    }


def test_a_job_that_succeeded_names_the_component(client: Any, model: House) -> None:
    start(client, FULL, JobName="a")
    now = model.clock()
    with model.database.writing() as rows:
        job = rows.packaging_jobs.find("circuits", "a")
        assert job is not None
        attempt = rows.packaging_jobs.claim(
            job.id, owner="test", now=now, lease_until=model.clock.advance(1)
        )
        assert attempt is not None
        rows.packaging_jobs.finish(
            job.id,
            attempt=attempt,
            target=PackagingJobStatus.SUCCEEDED,
            status_message="Done.",
            now=now,
        )

    description = describe(client, "a")

    assert description["Status"] == "SUCCEEDED"
    assert description["ModelPackagingOutputDetails"]["Greengrass"] == {
        "ComponentVersionArn": (
            "arn:aws:greengrass:eu-west-1:123456789012:components:circuits.line_4-b"
            ":versions:123456.0.7"
        ),
        "ComponentName": "circuits.line_4-b",
        "ComponentVersion": "123456.0.7",
    }


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("greengrass", [DEVICE, PLATFORM])
def test_what_was_left_out_is_absent_but_for_the_version(
    client: Any, greengrass: dict[str, Any]
) -> None:
    description = describe(client, start(client, greengrass, ModelVersion="latest"))

    assert description["ModelVersion"] == "1"
    assert description["ModelPackagingConfiguration"] == {
        "Greengrass": greengrass | {"ComponentVersion": "1.0.0"}
    }
    assert "ModelPackagingJobDescription" not in description


@pytest.mark.usefixtures("model")
def test_list_model_packaging_jobs_gives_page_after_page(client: Any) -> None:
    for name in ("a", "b", "c"):
        start(client, DEVICE | {"ComponentName": name}, JobName=name, Description=name)

    pages = list(
        client.get_paginator("list_model_packaging_jobs").paginate(
            **CIRCUITS, PaginationConfig={"PageSize": 2}
        )
    )

    found = [[job["JobName"] for job in page["ModelPackagingJobs"]] for page in pages]
    assert found == [["c", "b"], ["a"]]
    whole = describe(client, "a")
    del whole["ModelPackagingConfiguration"]
    assert pages[1]["ModelPackagingJobs"] == [whole]
    assert "NextToken" not in pages[1]


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("members", "greengrass"),
    [
        ({"JobName": "j" * 64, "Description": "d" * 256}, {}),
        ({}, {"ComponentName": "n" * 128, "ComponentDescription": "d" * 256}),
        ({}, {"ComponentVersion": "999999.999999.999999"}),
        ({}, {"Tags": [{"Key": f"key {i}", "Value": ""} for i in range(200)]}),
        (
            {},
            {
                "TargetDevice": None,
                "TargetPlatform": PLATFORM["TargetPlatform"],
                "CompilerOptions": '{"mcpu": "' + "m" * 1012 + '"}',
            },
        ),
    ],
)
def test_a_job_is_as_long_as_it_may_be(
    client: Any, members: dict[str, Any], greengrass: dict[str, Any]
) -> None:
    asked = {name: value for name, value in (DEVICE | greengrass).items() if value is not None}

    description = describe(client, start(client, asked, **members))

    configuration = description["ModelPackagingConfiguration"]["Greengrass"]
    assert configuration == {"ComponentVersion": "1.0.0"} | asked
    assert members.get("Description") == description.get("ModelPackagingJobDescription")


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("members", "greengrass", "told"),
    [
        ({"JobName": "j" * 65}, DEVICE, "'jobName'"),
        ({"JobName": "my_job"}, DEVICE, "'jobName'"),
        ({"Description": "d" * 257}, DEVICE, "'description'"),
        ({"ModelVersion": "0"}, DEVICE, "'modelVersion'"),
        ({}, DEVICE | {"ComponentName": "n" * 129}, "componentName'"),
        ({}, DEVICE | {"ComponentName": "a b"}, "componentName'"),
        ({}, DEVICE | {"ComponentVersion": "1.0"}, "componentVersion'"),
        ({}, DEVICE | {"ComponentVersion": "1000000.0.0"}, "componentVersion'"),
        ({}, DEVICE | {"ComponentDescription": "d" * 257}, "componentDescription'"),
        ({}, DEVICE | {"TargetDevice": "jetson_nano"}, "[jetson_xavier]"),
        ({}, PLATFORM | {"TargetPlatform": {"Os": "LINUX", "Arch": "RISCV"}}, "[ARM64, X86_64]"),
        ({}, PLATFORM | {"CompilerOptions": "o" * 1025}, "compilerOptions'"),
        ({}, PLATFORM | {"CompilerOptions": "mcpu=a"}, "CompilerOptions is no JSON object."),
        ({}, FULL | {"CompilerOptions": "{}x"}, "CompilerOptions is no JSON object."),
        ({}, FULL | {"CompilerOptions": '{"gpu-code": "a"}'}, "lacks trt-ver, cuda-ver."),
        ({}, DEVICE | {"CompilerOptions": '{"mcpu": "a"}'}, "not with TargetDevice."),
        ({}, DEVICE | PLATFORM, "it names both."),
        ({}, {"ComponentName": "a", "S3OutputLocation": PLACE}, "it names neither."),
        ({}, DEVICE | {"S3OutputLocation": {"Bucket": "nowhere"}}, "the bucket nowhere"),
        ({}, DEVICE | {"S3OutputLocation": PLACE | {"Prefix": "p" * 1025}}, ".prefix'"),
        ({}, DEVICE | {"Tags": [{"Key": "aws:a", "Value": ""}]}, "'aws:a' is reserved"),
        ({}, DEVICE | {"Tags": [{"Key": "a", "Value": ""}] * 2}, "'a' is there 2 times"),
        ({}, DEVICE | {"Tags": [{"Key": "a", "Value": ""}] * 201}, "greengrass.tags'"),
    ],
)
def test_a_job_that_cannot_be_done_is_refused(
    client: Any, members: dict[str, Any], greengrass: dict[str, Any], told: str
) -> None:
    with pytest.raises(client.exceptions.ValidationException) as caught:
        start(client, greengrass, **members)

    assert told in message(caught)
    assert client.list_model_packaging_jobs(**CIRCUITS)["ModelPackagingJobs"] == []


def refused(client: Any, call: Callable[[], object]) -> tuple[str, str, str]:
    with pytest.raises(client.exceptions.ClientError) as caught:
        call()
    found = caught.value.response
    return found["Error"]["Code"], found["ResourceType"], found["ResourceId"]


@pytest.mark.usefixtures("model")
def test_a_name_is_given_once(client: Any) -> None:
    start(client, DEVICE, JobName="a")

    told = refused(client, lambda: start(client, FULL, JobName="a"))

    assert told == ("ConflictException", "MODEL_PACKAGE_JOB", "circuits/a")


def test_a_model_in_training_is_not_packaged(client: Any, trainable: House) -> None:
    trainable.model(ModelStatus.TRAINING)

    told = refused(client, lambda: start(client, DEVICE))

    assert told == ("ConflictException", "MODEL", MODEL_ARN)


def test_what_does_not_exist_is_not_found(client: Any, house: House) -> None:
    calls: list[Callable[[], object]] = [
        lambda: start(client, DEVICE),
        lambda: describe(client, "a"),
        lambda: client.list_model_packaging_jobs(**CIRCUITS),
    ]
    for call in calls:
        told = refused(client, call)
        assert told == ("ResourceNotFoundException", "PROJECT", "circuits")
    house.project()

    model = refused(client, lambda: start(client, DEVICE))
    job = refused(client, lambda: describe(client, "a"))

    assert model == ("ResourceNotFoundException", "MODEL", "circuits/1")
    assert job == ("ResourceNotFoundException", "MODEL_PACKAGE_JOB", "circuits/a")


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("members", [{"MaxResults": 101}, {"NextToken": "AAAA"}])
def test_a_page_that_there_is_not_is_refused(client: Any, members: dict[str, Any]) -> None:
    with pytest.raises(client.exceptions.ValidationException):
        client.list_model_packaging_jobs(**CIRCUITS, **members)


@pytest.mark.usefixtures("model")
def test_a_page_of_jobs_has_at_most_a_hundred(client: Any) -> None:
    for i in range(101):
        start(client, DEVICE | {"ComponentVersion": f"{i}.0.0"})

    whole = client.list_model_packaging_jobs(**CIRCUITS)
    same = client.list_model_packaging_jobs(**CIRCUITS, MaxResults=100)
    rest = client.list_model_packaging_jobs(**CIRCUITS, NextToken=whole["NextToken"])

    assert len(whole["ModelPackagingJobs"]) == 100
    assert answer(same) == answer(whole)
    assert len(rest["ModelPackagingJobs"]) == 1
