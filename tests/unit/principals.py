"""Principals and calls for the tests of gates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, Shape, StructureShape

from blemish.domain.access.authorization import Circumstances
from blemish.domain.access.object_rights import ObjectRights
from blemish.domain.access.policies import parse_policy
from blemish.domain.access.principals import Principal
from blemish.wire.calls import Call
from blemish.wire.signature import Caller

ARN = "arn:aws:iam::123456789012:user/anna"


def document(*statements: Mapping[str, Any]) -> str:
    """Return a policy of these statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def principal(*statements: Mapping[str, Any], tags: dict[str, str] | None = None) -> Principal:
    """Return somebody who may do what these statements say."""
    return Principal(
        access_key_id="BLEMKEY",
        name="anna",
        arn=ARN,
        tags=tags or {},
        policy=parse_policy(document(*statements)),
    )


def allow(action: str, resource: str = "*", **condition: dict[str, Any]) -> dict[str, Any]:
    """Return a statement; conditions by their operators, with `__` for a colon."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": action, "Resource": resource}
    if condition:
        statement["Condition"] = {name.replace("__", ":"): keys for name, keys in condition.items()}
    return statement


def call_of(who: Principal, operation: str, members: Mapping[str, Any], **fields: Any) -> Call:
    """Return a call as gates see it."""
    return Call(
        request_id="1",
        received_at=datetime(2024, 5, 1, 12, tzinfo=UTC),
        source_ip="192.0.2.7",
        user_agent=None,
        operation=operation,
        caller=Caller(principal=who, region="eu-west-1", service="any"),
        members=members,
        **fields,
    )


def sample(shape: Shape | None, named: Mapping[str, Any]) -> Any:
    """Return a value of a shape, with all that it must have; `named` are members by their names."""
    match shape:
        case StructureShape():
            return {
                name: named.get(name, sample(member, named))
                for name, member in shape.members.items()
                if name in named or name in shape.required_members
            }
        case ListShape():
            return [sample(shape.member, named)]
        case Shape(type_name="integer"):
            return 1
        case Shape(type_name="blob"):
            return b"a"
        case Shape(type_name="boolean"):
            return True
        case Shape(type_name="string"):
            return shape.enum[0] if shape.enum else "aaa"
        case None:
            return {}
    raise NotImplementedError(shape)


def rights_of(*statements: Mapping[str, Any]) -> ObjectRights:
    """Return what somebody may do with objects whose policy has these statements."""
    circumstances = Circumstances(
        at=datetime(2024, 5, 1, 12, tzinfo=UTC), source_ip="192.0.2.7", secure=False
    )
    return ObjectRights(principal=principal(*statements), circumstances=circumstances)
