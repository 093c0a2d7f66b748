"""The policies of the guide do what it says of them, and its tables what the gates do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from blemish.domain.access.conditions import OPERATORS
from blemish.domain.access.context import KEYS, TAGS
from blemish.domain.access.policies import parse_policy
from blemish.s3.authorization import ACTIONS
from tests.unit.domain.policy_cases import ARN, EXPLICIT, MODEL, NO, YES, Asked, ask

PAGE = (Path(__file__).parents[2] / "docs" / "guide" / "access.md").read_text()
POLICIES = re.findall(r"^```json\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)

DETECT = "lookoutvision:DetectAnomalies"
NEW_MODEL = f"{ARN}:model/circuits/*"
LINE_4: dict[str, Any] = {"principal": {"line": "4"}}
INSIDE: dict[str, Any] = {"aws_sourceip": "192.0.2.7"}
OUTSIDE: dict[str, Any] = {"aws_sourceip": "198.51.100.7"}


def creating(tags: dict[str, str], action: str = "CreateModel") -> Asked:
    keys: dict[str, Any] = {"aws_tagkeys": tuple(tags)}
    return ask(f"lookoutvision:{action}", NEW_MODEL, request=tags, **LINE_4, **keys)


def listing(**keys: Any) -> Asked:
    return ask("s3:ListBucket", "arn:aws:s3:::images", **LINE_4, **keys)


def putting(key: str) -> Asked:
    return ask("s3:PutObject", f"arn:aws:s3:::images/{key}", **LINE_4)


@pytest.mark.parametrize(
    ("number", "asked", "expected"),
    [
        (0, ask(DETECT, MODEL, tagged={"line": "4"}, **LINE_4), YES),
        (0, ask(DETECT, MODEL, tagged={"line": "5"}, **LINE_4), NO),
        (0, ask(DETECT, MODEL, **LINE_4), NO),
        (0, ask(DETECT, MODEL, tagged={"line": "4"}), NO),
        (0, ask("lookoutvision:StopModel", MODEL, tagged={"line": "4"}, **LINE_4), NO),
        (1, creating({"line": "4", "stage": "trial"}), YES),
        (1, creating({"line": "4"}, "TagResource"), YES),
        (1, creating({"line": "5"}), NO),
        (1, creating({}), NO),
        (1, creating({"line": "4", "owner": "anna"}), NO),
        (1, putting("4/out/a.json"), YES),
        (1, putting("5/out/a.json"), NO),
        (1, listing(s3_prefix="4/a"), YES),
        (1, listing(s3_prefix="5/a"), NO),
        (1, listing(), NO),
        (2, ask("lookoutvision:CreateProject", f"{ARN}:project/a", **INSIDE), YES),
        (2, ask("lookoutvision:CreateProject", f"{ARN}:project/a", **OUTSIDE), NO),
        (2, ask("lookoutvision:DeleteProject", f"{ARN}:project/a", **INSIDE), EXPLICIT),
    ],
)
def test_a_policy_of_the_guide_does_what_it_says(
    number: int, asked: Asked, expected: object
) -> None:
    assert len(POLICIES) == 3

    assert parse_policy(POLICIES[number]).decide(*asked) is expected


def test_every_condition_key_and_operator_is_described() -> None:
    text = re.sub(r"^```.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    told = set(re.findall(r"`([^`]+)`", text))

    assert {*KEYS, *(f"{name}/KEY" for name in TAGS)} <= told
    spelled = {name.replace("Date", "Numeric").replace("Not", "") for name in OPERATORS}
    assert {name for name in spelled if name not in told} == set()


def test_every_operation_of_s3_is_described_with_its_action() -> None:
    _, _, table = PAGE.partition("| operations of S3 |")
    rows = [line.strip("| ").split(" | ") for line in table.split("\n\n")[0].splitlines()[2:]]

    told = {
        operation: names.split("`")[1] for cell, names, _ in rows for operation in cell.split(", ")
    }

    assert told == {operation: f"s3:{action}" for operation, (action, _) in ACTIONS.items()}
