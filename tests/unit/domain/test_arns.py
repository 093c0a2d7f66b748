from __future__ import annotations

import pytest

from blemish.domain.arns import ArnScope, ModelArn, parse_model_arn

SCOPE = ArnScope(region="eu-west-1", account="123456789012")


def test_a_project_has_an_arn() -> None:
    assert (
        SCOPE.project("circuit_boards-2")
        == "arn:aws:lookoutvision:eu-west-1:123456789012:project/circuit_boards-2"
    )


def test_a_model_has_an_arn() -> None:
    assert (
        SCOPE.model("circuit_boards-2", 17)
        == "arn:aws:lookoutvision:eu-west-1:123456789012:model/circuit_boards-2/17"
    )


@pytest.mark.parametrize(
    ("project", "version"), [("circuit_boards-2", 17), ("0" * 255, 9_999_999_999)]
)
def test_the_arn_of_a_model_is_read_as_it_was_written(project: str, version: int) -> None:
    read = parse_model_arn(SCOPE.model(project, version))

    assert read == ModelArn(scope=SCOPE, project=project, version=version)


def test_the_arn_of_a_model_elsewhere_is_read_too() -> None:
    elsewhere = ArnScope(region="us-east-1", account="000000000000")

    assert parse_model_arn(elsewhere.model("a", 1)) == ModelArn(
        scope=elsewhere, project="a", version=1
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "arn:aws:lookoutvision",
        SCOPE.project("circuits"),
        SCOPE.model("circuits", 0),
        SCOPE.model("circuits", 10_000_000_000),
        SCOPE.model("c" * 256, 1),
        SCOPE.model("", 1),
        SCOPE.model("-circuits", 1),
        SCOPE.model("circu its", 1),
        SCOPE.model("circuits", 1) + "\n",
        SCOPE.model("circuits", 1) + "/2",
        " " + SCOPE.model("circuits", 1),
        SCOPE.model("circuits", 1).replace("/1", "/01"),
        SCOPE.model("circuits", 1).replace("/1", "/latest"),
        SCOPE.model("circuits", 1).replace("/1", "/\u0661"),
        SCOPE.model("circuits", 1).replace("/1", ""),
        SCOPE.model("circuits", 1).replace("lookoutvision", "s3"),
        SCOPE.model("circuits", 1).replace(":model", ":Model"),
        SCOPE.model("circuits", 1).replace("arn:aws", "arn:other"),
        ArnScope(region="", account="123456789012").model("circuits", 1),
        ArnScope(region="eu-west-1", account="12345678901").model("circuits", 1),
    ],
)
def test_anything_else_is_not_the_arn_of_a_model(text: str) -> None:
    assert parse_model_arn(text) is None
