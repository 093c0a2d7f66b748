from __future__ import annotations

from typing import Any

import pytest
from botocore.model import StructureShape
from hypothesis import given
from hypothesis import strategies as st

from blemish.api.service_model import service_model
from blemish.domain.errors import ValidationError
from blemish.wire.constraints import MAX_SHOWN, check_constraints
from tests.protocol.strategies import valid_texts, values

MODEL = service_model()


def shape_of(operation: str) -> StructureShape:
    shape = MODEL.operation_model(operation).input_shape
    assert isinstance(shape, StructureShape)
    return shape


def problems(operation: str, **members: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        check_constraints(shape_of(operation), members)
    return caught.value.message


@pytest.mark.parametrize("name", MODEL.operation_names)
@given(data=st.data())
def test_members_within_their_constraints_are_accepted(name: str, data: st.DataObject) -> None:
    shape = shape_of(name)

    check_constraints(shape, data.draw(values(shape, texts=valid_texts)))


@pytest.mark.parametrize(
    ("operation", "members", "told"),
    [
        (
            "DescribeProject",
            {"ProjectName": "my project"},
            "1 validation error detected: Value 'my project' at 'projectName' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: "
            r"[a-zA-Z0-9][a-zA-Z0-9_\-]*",
        ),
        (
            "DescribeProject",
            {"ProjectName": "a" * 256},
            f"1 validation error detected: Value '{'a' * 64}...' of 256 characters at "
            "'projectName' failed to satisfy constraint: Member must have length less than or "
            "equal to 255",
        ),
        (
            "ListProjects",
            {"MaxResults": 0},
            "1 validation error detected: Value '0' at 'maxResults' failed to satisfy constraint: "
            "Member must have value greater than or equal to 1",
        ),
        (
            "CreateProject",
            {},
            "1 validation error detected: Value null at 'projectName' failed to satisfy "
            "constraint: Member must not be null",
        ),
        (
            "UpdateDatasetEntries",
            {"ProjectName": "a", "DatasetType": "train", "Changes": b"x" * 10_485_761},
            "1 validation error detected: Value of 10485761 bytes at 'changes' failed to satisfy "
            "constraint: Member must have length less than or equal to 10485760",
        ),
        (
            "UntagResource",
            {"ResourceArn": "a", "TagKeys": ["k"] * 201},
            "1 validation error detected: Value of 201 items at 'tagKeys' failed to satisfy "
            "constraint: Member must have length less than or equal to 200",
        ),
    ],
)
def test_a_problem_names_the_member_its_value_and_what_is_allowed(
    operation: str, members: dict[str, Any], told: str
) -> None:
    assert problems(operation, **members) == told


def test_all_problems_are_told_at_once_wherever_they_lie() -> None:
    message = problems(
        "StartModelPackagingJob",
        ProjectName="..",
        ModelVersion="0",
        Configuration={
            "Greengrass": {
                "S3OutputLocation": {"Prefix": "/"},
                "TargetPlatform": {"Os": "WINDOWS", "Arch": "ARM64"},
                "Tags": [{"Key": "ok", "Value": ""}, {"Key": "", "Value": "#"}],
            }
        },
    )

    assert message.startswith("8 validation errors detected: ")
    for place in [
        "'projectName'",
        "'modelVersion'",
        "null at 'configuration.greengrass.componentName'",
        "null at 'configuration.greengrass.s3OutputLocation.bucket'",
        "'/' at 'configuration.greengrass.s3OutputLocation.prefix'",
        "'configuration.greengrass.targetPlatform.os' failed to satisfy constraint: "
        "Member must satisfy enum value set: [LINUX]",
        "'' at 'configuration.greengrass.tags.2.member.key'",
        "'#' at 'configuration.greengrass.tags.2.member.value'",
    ]:
        assert place in message


def test_a_message_stays_short_and_counts_the_rest() -> None:
    message = problems("UntagResource", ResourceArn="a", TagKeys=["#"] * 50)

    assert message.startswith("50 validation errors detected: ")
    assert message.count("failed to satisfy constraint") == MAX_SHOWN
    assert message.endswith(f"; and {50 - MAX_SHOWN} more")


@pytest.mark.parametrize(
    ("operation", "name", "at_edge", "past_it"),
    [
        ("DescribeProject", "ProjectName", "a" * 255, "a" * 256),
        ("DescribeProject", "ProjectName", "a", ""),
        ("DescribeProject", "ProjectName", "A-_0", "_a"),
        ("DescribeProject", "ProjectName", "a", "a\n"),
        ("DescribeProject", "ProjectName", "a", "ä"),
        ("ListProjects", "MaxResults", 100, 101),
        ("ListProjects", "NextToken", "", "-"),
        ("ListProjects", "NextToken", "=" * 2048, "=" * 2049),
        ("CreateProject", "ClientToken", "a" * 64, "a" * 65),
    ],
)
def test_what_is_at_the_edge_passes_and_what_is_past_it_does_not(
    operation: str, name: str, at_edge: Any, past_it: Any
) -> None:
    others = {"ProjectName": "a"} if operation == "CreateProject" else {}

    check_constraints(shape_of(operation), others | {name: at_edge})

    assert problems(operation, **others | {name: past_it})


@pytest.mark.parametrize("version", ["1", "1234567890", "latest"])
def test_a_model_version_is_a_number_or_latest(version: str) -> None:
    check_constraints(shape_of("DescribeModel"), {"ProjectName": "a", "ModelVersion": version})


@pytest.mark.parametrize(
    ("operation", "version"),
    [
        ("DescribeModel", "0"),
        ("DescribeModel", "01"),
        ("DescribeModel", "-1"),
        ("DescribeModel", "Latest"),
        ("DescribeModel", "latest2"),
        ("DescribeModel", "12345678901"),
        ("DeleteModel", "latest"),
    ],
)
def test_another_model_version_is_refused(operation: str, version: str) -> None:
    assert "'modelVersion'" in problems(operation, ProjectName="a", ModelVersion=version)


@pytest.mark.parametrize("kind", ["trains", "xtest", "train|test", "TRAIN"])
def test_an_alternative_of_a_pattern_matches_the_whole_text(kind: str) -> None:
    assert "'datasetType'" in problems("DescribeDataset", ProjectName="a", DatasetType=kind)


@pytest.mark.parametrize("key", ["Prüfstand", "検査 ٣", "a.b:c/d=e+f-g@h_i"])
def test_letters_digits_and_spaces_of_any_script_make_a_tag(key: str) -> None:
    check_constraints(
        shape_of("TagResource"), {"ResourceArn": "a", "Tags": [{"Key": key, "Value": key}]}
    )


@pytest.mark.parametrize("key", ["a#b", "a\tb", "a\x00", "😀"])
def test_anything_else_makes_none(key: str) -> None:
    message = problems("TagResource", ResourceArn="a", Tags=[{"Key": key, "Value": ""}])

    assert "'tags.1.member.key'" in message
