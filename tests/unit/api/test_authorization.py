from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.model import ServiceModel

from blemish.api.authorization import ApiGate
from blemish.api.service_model import service_model
from blemish.domain.access.principals import Principal
from blemish.domain.entities import Model, ModelStatus
from blemish.domain.errors import AccessDeniedError
from tests.unit.house import PROJECT, House
from tests.unit.principals import ARN, allow, call_of, principal, sample

SCOPE = "arn:aws:lookoutvision:eu-west-1:123456789012"
MODEL = f"{SCOPE}:model/circuits/1"
MEMBERS = {"ProjectName": PROJECT, "ModelVersion": "1", "ResourceArn": MODEL}

ON_PROJECT = {"CreateProject", "DeleteProject", "DescribeProject", "UpdateDetectorSettings"}
ON_MODEL = {
    "DeleteModel",
    "DescribeModel",
    "DetectAnomalies",
    "ListTagsForResource",
    "StartModel",
    "StartModelPackagingJob",
    "StopModel",
    "TagResource",
    "UntagResource",
}
ON_NOTHING = {
    "CreateDataset",
    "DeleteDataset",
    "DescribeDataset",
    "DescribeModelPackagingJob",
    "ListDatasetEntries",
    "ListModelPackagingJobs",
    "ListModels",
    "ListProjects",
    "UpdateDatasetEntries",
    "DescribeTrialDetection",
    "ListTrialDetections",
}
ON_DETECTING_MODELS = {"StartTrialDetection", "StartBatchDetection"}


def resource_of(operation: str) -> str:
    """Return what an operation is about, as the original's table of actions has it."""
    if operation == "CreateModel":
        return f"{SCOPE}:model/circuits/*"
    if operation in ON_PROJECT:
        return f"{SCOPE}:project/circuits"
    if operation in ON_NOTHING:
        return "*"
    shape = service_model().operation_model(operation).input_shape
    ours = "ModelVersion" in (shape.members if shape else {})
    return MODEL if operation in ON_MODEL or ours else "*"


OPERATIONS = service_model().operation_names


@pytest.fixture
def gate(house: House) -> ApiGate:
    return ApiGate(service_model(), house.database, arns=house.arns)


def passes(
    gate: ApiGate, who: Principal, operation: str, members: dict[str, Any] | None = None
) -> bool:
    try:
        gate(call_of(who, operation, members_of(operation, members or {})))
    except AccessDeniedError:
        return False
    return True


def members_of(operation: str, members: dict[str, Any]) -> dict[str, Any]:
    shape = service_model().operation_model(operation).input_shape
    found: dict[str, Any] = sample(shape, MEMBERS | members)
    return found


def denial(
    gate: ApiGate, who: Principal, operation: str, members: dict[str, Any] | None = None
) -> str:
    with pytest.raises(AccessDeniedError) as caught:
        gate(call_of(who, operation, members_of(operation, members or {})))
    return caught.value.message


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_operation_wants_its_own_action_on_its_own_resource(
    gate: ApiGate, operation: str
) -> None:
    action, resource = f"lookoutvision:{operation}", resource_of(operation)
    objects = allow("s3:*")
    if operation in ON_DETECTING_MODELS:
        objects["Action"] = ["s3:*", "lookoutvision:DetectAnomalies"]

    assert passes(gate, principal(allow(action, resource), objects), operation)
    assert not passes(gate, principal(objects), operation)
    others = {"Effect": "Allow", "NotAction": action, "Resource": "*"}
    assert not passes(gate, principal(others), operation)
    elsewhere = {"Effect": "Allow", "Action": action, "NotResource": resource}
    if resource == "*":
        elsewhere = allow(action, "arn:aws:lookoutvision:*:*:*")
    assert not passes(gate, principal(elsewhere, objects), operation)


@pytest.mark.parametrize("operation", sorted(ON_DETECTING_MODELS))
@pytest.mark.parametrize("action", ["lookoutvision:*", "lookoutvision:DetectAnomalies"])
def test_whoever_may_not_detect_with_a_model_starts_no_job_with_it(
    gate: ApiGate, operation: str, action: str
) -> None:
    denied = {"Effect": "Deny", "Action": action, "Resource": MODEL}

    assert passes(gate, principal(allow("*")), operation)
    assert not passes(gate, principal(allow("*"), denied), operation)
    assert passes(gate, principal(allow("*"), denied), operation, {"ModelVersion": "2"})


def test_a_denial_says_who_what_and_where_in_the_words_of_iam(gate: ApiGate) -> None:
    nobody = principal(allow("s3:*"))
    said = f"User: {ARN} is not authorized to perform: lookoutvision:DeleteModel on resource:"

    assert denial(gate, nobody, "DeleteModel") == (
        f"{said} {MODEL} because no identity-based policy allows the lookoutvision:DeleteModel "
        "action"
    )
    refused = principal(allow("*"), {"Effect": "Deny", "Action": "*", "Resource": MODEL})
    assert denial(gate, refused, "DeleteModel") == (
        f"{said} {MODEL} with an explicit deny in an identity-based policy"
    )
    assert "on resource: * because" in denial(gate, nobody, "ListProjects")


TAGS = [{"Key": "line", "Value": "4"}]
OUTPUT = {"OutputConfig": {"S3Location": {"Bucket": "images", "Prefix": "out/"}}}
PUT = allow("s3:PutObject", "arn:aws:s3:::images/out/*")


def test_a_model_with_tags_needs_to_be_tagged_too(gate: ApiGate) -> None:
    creator = principal(allow("lookoutvision:CreateModel"), PUT)
    tagger = principal(allow("lookoutvision:CreateModel"), allow("lookoutvision:TagResource"), PUT)

    assert passes(gate, creator, "CreateModel", OUTPUT)
    assert passes(gate, creator, "CreateModel", OUTPUT | {"Tags": []})
    assert "lookoutvision:TagResource" in denial(
        gate, creator, "CreateModel", OUTPUT | {"Tags": TAGS}
    )
    assert passes(gate, tagger, "CreateModel", OUTPUT | {"Tags": TAGS})


@pytest.mark.parametrize("operation", ["CreateModel", "TagResource"])
def test_tags_of_a_request_are_seen(gate: ApiGate, operation: str) -> None:
    who = principal(
        allow("lookoutvision:*", StringEquals={"aws:RequestTag/line": "4"}), allow("s3:*")
    )

    assert passes(gate, who, operation, {"Tags": TAGS})
    assert not passes(gate, who, operation, {"Tags": [{"Key": "line", "Value": "5"}]})


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("CreateModel", {"Tags": TAGS}),
        ("TagResource", {"Tags": TAGS}),
        ("UntagResource", {"TagKeys": ["line"]}),
    ],
)
def test_keys_of_tags_are_seen(gate: ApiGate, operation: str, members: dict[str, Any]) -> None:
    def only(key: str) -> Principal:
        return principal(
            allow("lookoutvision:*", ForAnyValue__StringEquals={"aws:TagKeys": key}), allow("s3:*")
        )

    assert passes(gate, only("line"), operation, members)
    assert not passes(gate, only("stage"), operation, members)


@pytest.fixture
def model(trainable: House) -> Model:
    model = trainable.trained()
    with trainable.database.writing() as rows:
        rows.tags.put(model, {"line": "4"})
    return model


OF_LINE_4 = allow("lookoutvision:*", StringEquals={"aws:ResourceTag/line": "4"})
OF_LINE_5 = allow("lookoutvision:*", StringEquals={"aws:ResourceTag/line": "5"})


@pytest.mark.parametrize("operation", sorted(ON_MODEL))
@pytest.mark.usefixtures("model")
def test_tags_of_a_model_are_seen(gate: ApiGate, operation: str) -> None:
    assert passes(gate, principal(OF_LINE_4, allow("s3:*")), operation)
    assert not passes(gate, principal(OF_LINE_5, allow("s3:*")), operation)


@pytest.mark.usefixtures("model")
def test_tags_of_a_model_are_not_those_of_a_model_that_is_made(gate: ApiGate) -> None:
    assert not passes(gate, principal(OF_LINE_4, allow("s3:*")), "CreateModel", OUTPUT)


@pytest.mark.parametrize("operation", ["DescribeModel", "StartModel", "DetectAnomalies"])
def test_latest_is_the_newest_version(
    gate: ApiGate, trainable: House, model: Model, operation: str
) -> None:
    latest = {"ModelVersion": "latest"}
    first = principal(allow("lookoutvision:*", MODEL))
    assert passes(gate, first, operation, latest)
    assert passes(gate, principal(OF_LINE_4), operation, latest)

    second = trainable.trained()

    assert (model.version, second.version) == (1, 2)
    said = denial(gate, first, operation, latest)
    assert f"on resource: {SCOPE}:model/circuits/latest because" in said
    assert "circuits/2" not in said
    assert not passes(gate, principal(OF_LINE_4), operation, latest)
    assert passes(gate, principal(allow("*", f"{SCOPE}:model/circuits/2")), operation, latest)


@pytest.mark.parametrize("operation", sorted(ON_MODEL))
@pytest.mark.parametrize("version", ["1", "latest"])
def test_who_is_denied_is_told_the_same_of_a_model_whether_it_is_there_or_not(
    gate: ApiGate, trainable: House, operation: str, version: str
) -> None:
    who = principal(OF_LINE_5, allow("lookoutvision:*", f"{SCOPE}:model/plates/*"))
    members = {"ModelVersion": version}
    before = denial(gate, who, operation, members)

    model = trainable.trained(ModelStatus.HOSTED)
    with trainable.database.writing() as rows:
        rows.tags.put(model, {"line": "4"})

    assert denial(gate, who, operation, members) == before


@pytest.mark.parametrize(
    "arn", ["", "no ARN", f"{SCOPE}:project/circuits", MODEL.replace("eu-west-1", "eu-north-1")]
)
@pytest.mark.usefixtures("model")
def test_what_has_no_tags_is_a_resource_by_its_name_alone(gate: ApiGate, arn: str) -> None:
    members = {"ResourceArn": arn}

    assert passes(gate, principal(allow("*")), "ListTagsForResource", members)
    assert not passes(gate, principal(OF_LINE_4), "ListTagsForResource", members)


def test_who_makes_a_dataset_of_a_manifest_must_be_allowed_to_read_it(gate: ApiGate) -> None:
    source = {
        "DatasetSource": {
            "GroundTruthManifest": {"S3Object": {"Bucket": "images", "Key": "a/the.manifest"}}
        }
    }
    maker = allow("lookoutvision:CreateDataset")
    read = allow("s3:GetObject", "arn:aws:s3:::images/a/*")

    assert passes(gate, principal(maker), "CreateDataset")
    assert passes(gate, principal(maker, read), "CreateDataset", source)
    assert "s3:GetObject on resource: arn:aws:s3:::images/a/the.manifest" in denial(
        gate, principal(maker), "CreateDataset", source
    )


def test_who_makes_a_model_must_be_allowed_to_write_where_its_files_go(gate: ApiGate) -> None:
    maker = allow("lookoutvision:CreateModel")

    assert passes(gate, principal(maker, PUT), "CreateModel", OUTPUT)
    assert "s3:PutObject on resource: arn:aws:s3:::images/out/*" in denial(
        gate, principal(maker), "CreateModel", OUTPUT
    )


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
        ({"DateLessThan": {"aws:CurrentTime": "2024-05-01T12:00:01Z"}}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2024-05-01T12:00:00Z"}}, False),
        ({"NumericEquals": {"aws:EpochTime": "1714564800"}}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"StringEquals": {"aws:username": "anna"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/anna"}}, True),
        ({"StringEquals": {"aws:PrincipalTag/team": "optics"}}, True),
        ({"StringEquals": {"aws:PrincipalTag/team": "paint"}}, False),
    ],
)
def test_conditions_see_the_request(gate: ApiGate, condition: dict[str, Any], fits: bool) -> None:
    who = principal(allow("*", **condition), tags={"team": "optics"})
    call = call_of(who, "ListProjects", {}, secure=True)

    if fits:
        gate(call)
    else:
        with pytest.raises(AccessDeniedError):
            gate(call)


def test_who_comes_without_tls_is_seen_to(gate: ApiGate) -> None:
    who = principal(allow("*", Bool={"aws:SecureTransport": "true"}))

    gate(call_of(who, "ListProjects", {}, secure=True))
    with pytest.raises(AccessDeniedError):
        gate(call_of(who, "ListProjects", {}, secure=False))


def model_of_ours() -> ServiceModel:
    """Return a model of an operation that names objects in every way."""
    place = {"Bucket": {"shape": "Text"}, "Key": {"shape": "Text"}, "Prefix": {"shape": "Text"}}
    members = {
        "Images": {"shape": "Texts"},
        "Manifest": {"shape": "Place"},
        "OutputConfig": {"shape": "Output"},
        "SourceRefs": {"shape": "Texts"},
    }
    return ServiceModel(
        {
            "metadata": {},
            "operations": {"Judge": {"name": "Judge", "input": {"shape": "JudgeRequest"}}},
            "shapes": {
                "JudgeRequest": {"type": "structure", "members": members},
                "Output": {"type": "structure", "members": {"S3Location": {"shape": "Place"}}},
                "Place": {"type": "structure", "members": place},
                "Texts": {"type": "list", "member": {"shape": "Text"}},
                "Text": {"type": "string"},
            },
        }
    )


@pytest.mark.parametrize(
    ("members", "action", "resource"),
    [
        ({"Images": ["s3://images/a.png"]}, "s3:GetObject", "arn:aws:s3:::images/a.png"),
        (
            {"Manifest": {"Bucket": "images", "Key": "a"}},
            "s3:GetObject",
            "arn:aws:s3:::images/a",
        ),
        (
            {"Manifest": {"Bucket": "images", "Prefix": "a/"}},
            "s3:GetObject",
            "arn:aws:s3:::images/a/*",
        ),
        (
            {"OutputConfig": {"S3Location": {"Bucket": "images"}}},
            "s3:PutObject",
            "arn:aws:s3:::images/*",
        ),
    ],
)
def test_objects_that_a_new_operation_names_are_asked_for(
    house: House, members: dict[str, Any], action: str, resource: str
) -> None:
    gate = ApiGate(model_of_ours(), house.database, arns=house.arns)
    judge = allow("lookoutvision:Judge")

    gate(call_of(principal(judge, allow(action, resource)), "Judge", members))
    with pytest.raises(AccessDeniedError, match=re.escape(f"{action} on resource: {resource} ")):
        gate(call_of(principal(judge), "Judge", members))
    gate(call_of(principal(judge), "Judge", {"SourceRefs": ["s3://images/a.png"]}))
