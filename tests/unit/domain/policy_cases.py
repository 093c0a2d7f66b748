"""Policies of tests, and requests that they are asked about."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from blemish.domain.access.context import Context
from blemish.domain.access.policies import Decision, parse_policy

ARN = "arn:aws:lookoutvision:eu-west-1:123456789012"
MODEL = f"{ARN}:model/circuits/1"
OBJECT = "arn:aws:s3:::images/line-4/a.png"

YES, NO, EXPLICIT = Decision.ALLOWED, Decision.NOT_ALLOWED, Decision.DENIED

Statement = dict[str, Any]
Asked = tuple[str, str, Context]
Case = tuple[str, list[Statement], Asked, Decision]


def allow(**elements: Any) -> Statement:
    """Return a statement that allows everything, but for what `elements` say."""
    return _statement("Allow", elements)


def deny(**elements: Any) -> Statement:
    """Return a statement that denies everything, but for what `elements` say."""
    return _statement("Deny", elements)


def when(operator: str, key: str, *values: Any) -> Statement:
    """Return a statement that allows everything on one condition."""
    return allow(Condition={operator: {key: list(values) if len(values) > 1 else values[0]}})


def document(*statements: Statement, version: str | None = "2012-10-17") -> str:
    """Return a policy of these statements."""
    return json.dumps(({"Version": version} if version else {}) | {"Statement": statements})


def ask(
    action: str = "lookoutvision:DescribeModel",
    resource: str = MODEL,
    *,
    request: dict[str, str] | None = None,
    tagged: dict[str, str] | None = None,
    principal: dict[str, str] | None = None,
    **keys: str | tuple[str, ...],
) -> Asked:
    """Return a request: its action, its resource, tags, and keys named `aws_sourceip`."""
    named = {name.replace("_", ":", 1).replace("_", "-"): value for name, value in keys.items()}
    found = {name: (value,) if isinstance(value, str) else value for name, value in named.items()}
    tags = {
        "aws:requesttag": request or {},
        "aws:resourcetag": tagged or {},
        "aws:principaltag": principal or {},
    }
    return action, resource, Context(keys=found, tags=tags)


def decision(policy: str, asked: Asked) -> Decision:
    """Return what a policy says of a request."""
    action, resource, context = asked
    return parse_policy(policy).decide(action, resource, context)


def params(groups: Mapping[str, Sequence[Case]]) -> list[Any]:
    """Return cases as parameters of a test: statements, a request, what is decided."""
    return [
        pytest.param(*case, id=f"{group}: {name}")
        for group, cases in groups.items()
        for name, *case in cases
    ]


def _statement(effect: str, elements: dict[str, Any]) -> Statement:
    return {"Effect": effect, "Action": "*", "Resource": "*"} | elements
