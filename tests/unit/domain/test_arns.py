from __future__ import annotations

from blemish.domain.arns import ArnScope

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
