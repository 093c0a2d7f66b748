"""Every error that the model declares for an operation: what causes it, or why nothing does.

All in the original's profile of limits, through boto3. The table is checked against the model.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore import xform_name
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import ServiceModel

from blemish.api.service_model import service_model
from blemish.domain.entities import DatasetType, ModelStatus
from blemish.domain.limits import ORIGINAL
from blemish.engine.images.decode import ImageError
from blemish.wire.calls import Gate
from blemish.wire.rest_json_service import rest_json_dispatcher
from blemish.wire.throttle import Throttle
from tests.asgi_client import signer
from tests.unit.api.conftest import Switch
from tests.unit.api.requests import CIRCUITS, DATASET, MODEL, MODEL_ARN, OUTPUT, PROJECT_ARN
from tests.unit.fakes import FakeHosting, detection
from tests.unit.house import House
from tests.unit.manifests import BUCKET, json_line

THE_ORIGINAL = ServiceModel(
    Loader().load_service_model("lookoutvision", "service-2", "2020-11-20"), "lookoutvision"
)
NAMES = THE_ORIGINAL.operation_names
COMPONENT = {
    "Greengrass": {
        "S3OutputLocation": {"Bucket": BUCKET},
        "ComponentName": "component",
        "TargetDevice": "jetson_xavier",
    }
}
TAGS = [{"Key": "line", "Value": "4"}]

GOOD: dict[str, dict[str, Any]] = {
    "CreateDataset": DATASET,
    "CreateModel": {**CIRCUITS, "OutputConfig": OUTPUT},
    "CreateProject": CIRCUITS,
    "DeleteDataset": DATASET,
    "DeleteModel": MODEL,
    "DeleteProject": CIRCUITS,
    "DescribeDataset": DATASET,
    "DescribeModel": MODEL,
    "DescribeModelPackagingJob": {**CIRCUITS, "JobName": "job"},
    "DescribeProject": CIRCUITS,
    "DetectAnomalies": {**MODEL, "ContentType": "image/png", "Body": b"image"},
    "ListDatasetEntries": DATASET,
    "ListModelPackagingJobs": CIRCUITS,
    "ListModels": CIRCUITS,
    "ListProjects": {},
    "ListTagsForResource": {"ResourceArn": MODEL_ARN},
    "StartModel": {**MODEL, "MinInferenceUnits": 1},
    "StartModelPackagingJob": {**MODEL, "Configuration": COMPONENT},
    "StopModel": MODEL,
    "TagResource": {"ResourceArn": MODEL_ARN, "Tags": TAGS},
    "UntagResource": {"ResourceArn": MODEL_ARN, "TagKeys": ["line"]},
    "UpdateDatasetEntries": {**DATASET, "Changes": json_line("new.png", "normal")},
}
"""Parameters of each operation; whether they lead to anything depends on what exists."""


@dataclass(frozen=True)
class World:
    """The services of a test, and the client that calls them."""

    client: Any
    house: House
    hosting: FakeHosting

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation with its good parameters, but for some."""
        method = getattr(self.client, xform_name(operation))
        answer: dict[str, Any] = method(**GOOD[operation] | parameters)
        return answer

    def trainable(self) -> None:
        """Make a project that the original would train."""
        self.house.project()
        self.house.images(normal=20, anomaly=10)

    def model(self, status: ModelStatus = ModelStatus.TRAINED) -> None:
        """Make a model in a status."""
        self.trainable()
        if status is ModelStatus.TRAINING:
            self.house.model()
        else:
            self.house.trained(status)


@pytest.fixture
def world(client: Any, house: House, hosting: FakeHosting) -> World:
    hosting.answer = detection()
    return World(client, house, hosting)


@pytest.fixture
def house(house: House) -> House:
    """The services in the original's profile."""
    house.apply(ORIGINAL)
    return house


Cause = Callable[[World], None]


def of(*operations: str) -> Callable[[str], list[tuple[str, str]]]:
    return lambda error: [(operation, f"{error}Exception") for operation in operations]


def busy_dataset(world: World) -> None:
    world.house.project()
    world.house.datasets.create("circuits", DatasetType.TRAIN, manifest=None)
    world.call("DeleteDataset")


def many_projects(world: World) -> None:
    for number in range(ORIGINAL.max_projects):
        world.house.project(f"project-{number}")


def many_models(world: World) -> None:
    world.trainable()
    for _ in range(ORIGINAL.max_models_per_project):
        world.house.model(ModelStatus.TRAINED)


def many_hosted(world: World) -> None:
    assert ORIGINAL.max_hosted_models is not None
    world.model()
    for _ in range(ORIGINAL.max_hosted_models):
        world.house.model(ModelStatus.HOSTED)


def many_tags(world: World) -> None:
    world.model()
    tags = [{"Key": f"key-{number}", "Value": ""} for number in range(ORIGINAL.max_tags_per_model)]
    world.call("TagResource", Tags=tags)


def nothing(_: World) -> None:
    """Leave the world empty."""


def project_alone(world: World) -> None:
    world.house.project()


def packaged(world: World) -> None:
    world.model()
    world.call("StartModelPackagingJob", JobName="job")


CONFLICTS: dict[str, Cause] = {
    "CreateDataset": lambda world: world.trainable(),
    "CreateModel": busy_dataset,
    "CreateProject": project_alone,
    "DeleteDataset": busy_dataset,
    "DeleteModel": lambda world: world.model(ModelStatus.HOSTED),
    "DeleteProject": lambda world: world.model(),
    "DetectAnomalies": lambda world: world.model(),
    "StartModel": lambda world: world.model(ModelStatus.TRAINING),
    "StartModelPackagingJob": packaged,
    "StopModel": lambda world: world.model(),
    "UpdateDatasetEntries": busy_dataset,
}
QUOTAS: dict[str, Cause] = {
    "CreateModel": many_models,
    "CreateProject": many_projects,
    "StartModel": many_hosted,
    "TagResource": many_tags,
}
INVALID: dict[str, dict[str, Any]] = {
    "CreateDataset": {"DatasetType": "validation"},
    "CreateModel": {"Description": "no spaces"},
    "CreateProject": {"ProjectName": "-circuits"},
    "DeleteDataset": {"DatasetType": "validation"},
    "DeleteModel": {"ModelVersion": "latest"},
    "DeleteProject": {"ProjectName": "a b"},
    "DescribeDataset": {"ProjectName": "a b"},
    "DescribeModel": {"ModelVersion": "newest"},
    "DescribeModelPackagingJob": {"JobName": "a_b"},
    "DescribeProject": {"ProjectName": ".."},
    "DetectAnomalies": {"ContentType": "image/gif"},
    "ListDatasetEntries": {"AnomalyClass": "cracked"},
    "ListModelPackagingJobs": {"MaxResults": 101},
    "ListModels": {"MaxResults": 101},
    "ListProjects": {"MaxResults": 101},
    "ListTagsForResource": {"ResourceArn": PROJECT_ARN},
    "StartModel": {"MinInferenceUnits": 2, "MaxInferenceUnits": 1},
    "StartModelPackagingJob": {"JobName": "a_b"},
    "StopModel": {"ModelVersion": "0"},
    "TagResource": {"Tags": [{"Key": "aws:line", "Value": ""}]},
    "UntagResource": {"ResourceArn": "arn:aws:s3:::bucket"},
    "UpdateDatasetEntries": {"Changes": b"\xff"},
}
"""Parameters that no state of the world makes good."""

NAMES_NOTHING = {"CreateProject", "ListProjects"}
READS = {
    *("DescribeDataset", "DescribeModel", "DescribeProject", "ListDatasetEntries"),
    *("ListModels", "ListProjects", "ListTagsForResource"),
}
NEVER: dict[tuple[str, str], str] = {
    ("CreateDataset", "ServiceQuotaExceededException"): (
        "what a dataset may hold shows when its manifest is read: it becomes CREATE_FAILED"
    ),
    ("StartModelPackagingJob", "ServiceQuotaExceededException"): (
        "no limit on jobs is known of the original, and none is needed"
    ),
    ("TagResource", "ConflictException"): "tags may be changed in every status",
    ("UntagResource", "ConflictException"): "tags may be changed in every status",
    **{(name, "ConflictException"): "a read asks for no status" for name in READS},
    **{
        (name, "ResourceNotFoundException"): "it names nothing that has to exist"
        for name in NAMES_NOTHING
    },
}
"""What is declared and has no cause."""

OF_EVERY_OPERATION = {
    *("AccessDeniedException", "InternalServerException", "ThrottlingException"),
    "ValidationException",
}


def declared() -> set[tuple[str, str]]:
    return {
        (name, shape.name)
        for name in NAMES
        for shape in THE_ORIGINAL.operation_model(name).error_shapes
    }


def caused() -> set[tuple[str, str]]:
    return (
        {(name, error) for name in NAMES for error in OF_EVERY_OPERATION}
        | {(name, "ConflictException") for name in CONFLICTS}
        | {(name, "ServiceQuotaExceededException") for name in QUOTAS}
        | {(name, "ResourceNotFoundException") for name in set(NAMES) - NAMES_NOTHING}
    )


def test_every_declared_error_has_a_cause_or_a_reason() -> None:
    assert caused() | NEVER.keys() == declared()
    assert not caused() & NEVER.keys()


def refused(world: World, operation: str, **parameters: Any) -> Any:
    """Return the answer to a call that must fail, as botocore read it."""
    with pytest.raises(ClientError) as caught:
        world.call(operation, **parameters)
    return caught.value.response


def check_error(response: Any, error: str) -> None:
    """See that an answer is an error as the model has it, with all the members it demands."""
    shape = THE_ORIGINAL.shape_for(error)
    assert response["Error"]["Code"] == error, response
    assert (
        response["ResponseMetadata"]["HTTPStatusCode"] == shape.metadata["error"]["httpStatusCode"]
    )
    assert response["Error"]["Message"]
    demanded = set(shape.required_members) - {"Message"}
    assert demanded <= response.keys()
    if "ResourceType" in demanded:
        assert response["ResourceType"] in THE_ORIGINAL.shape_for("ResourceType").enum


@pytest.mark.parametrize("operation", CONFLICTS)
def test_a_conflict(world: World, operation: str) -> None:
    CONFLICTS[operation](world)
    more = {"JobName": "job"} if operation == "StartModelPackagingJob" else {}

    check_error(refused(world, operation, **more), "ConflictException")


@pytest.mark.parametrize("operation", QUOTAS)
def test_a_quota(world: World, operation: str) -> None:
    QUOTAS[operation](world)

    response = refused(world, operation)

    check_error(response, "ServiceQuotaExceededException")
    assert response["ServiceCode"] == "lookoutvision"


@pytest.mark.parametrize("operation", sorted(set(NAMES) - NAMES_NOTHING))
def test_nothing_of_this_name(world: World, operation: str) -> None:
    check_error(refused(world, operation), "ResourceNotFoundException")


@pytest.mark.parametrize("operation", sorted(set(NAMES) - NAMES_NOTHING - {"DeleteProject"}))
def test_nothing_of_this_name_in_the_project(world: World, operation: str) -> None:
    world.house.project()
    if operation in {"CreateDataset", "DescribeProject", "ListModels", "ListModelPackagingJobs"}:
        world.call(operation)  # what it names is there
        return

    check_error(refused(world, operation), "ResourceNotFoundException")


@pytest.mark.parametrize("operation", NAMES)
def test_a_parameter_that_is_not_valid(world: World, operation: str) -> None:
    world.model(ModelStatus.TRAINED)

    check_error(refused(world, operation, **INVALID[operation]), "ValidationException")


def test_a_image_that_is_none(world: World) -> None:
    world.model(ModelStatus.HOSTED)
    world.hosting.answer = ImageError("The image is truncated.")

    check_error(refused(world, "DetectAnomalies"), "ValidationException")


@pytest.fixture
def gated(
    operations: list[object], switch: Switch, client: Any
) -> Callable[[Sequence[Gate]], None]:
    """Put gates before the operations."""
    del client  # what it has put in place is replaced
    numbers = itertools.count()

    def put(gates: Sequence[Gate]) -> None:
        switch.application = rest_json_dispatcher(
            service_model(),
            operations,
            signer=signer,
            clock=lambda: datetime.now(UTC),
            request_ids=lambda: f"request-{next(numbers)}",
            max_body_bytes=lambda _: 1_000_000,
            gates=gates,
        )

    return put


@pytest.mark.parametrize("operation", [name for name in NAMES if name != "DetectAnomalies"])
def test_the_sixth_call_within_a_second_is_throttled(
    world: World, gated: Callable[[Sequence[Gate]], None], operation: str
) -> None:
    pace = ORIGINAL.max_requests_per_s
    assert pace is not None
    gated([Throttle(per_s=pace, exempt=(), clock_ns=lambda: 0)])
    for _ in range(pace):
        with pytest.raises(ClientError) as caught:
            world.call(operation, **INVALID[operation])
        assert caught.value.response["Error"]["Code"] == "ValidationException"

    response = refused(world, operation)

    check_error(response, "ThrottlingException")
    assert response["RetryAfterSeconds"] == 1


def test_a_image_too_many_in_the_line_is_throttled(world: World) -> None:
    world.model(ModelStatus.HOSTED)
    world.hosting.busy_for_s = 2.5

    response = refused(world, "DetectAnomalies")

    check_error(response, "ThrottlingException")
    assert response["RetryAfterSeconds"] == 3


@pytest.mark.parametrize("operation", NAMES)
def test_a_fault_of_ours_is_told_by_its_request_id_alone(world: World, operation: str) -> None:
    world.model()
    with sqlite3.connect(world.house.directory.database) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in tables:
            if not name.startswith("sqlite_"):
                database.execute(f"ALTER TABLE {name} RENAME TO lost_{name}")

    response = refused(world, operation)

    check_error(response, "InternalServerException")
    request_id = response["ResponseMetadata"]["RequestId"]
    assert response["Error"]["Message"] == f"The server failed. Request id: {request_id}"
