"""Policies by chance, and what they allow: a model that shares no code with Blemish.

It reads the documents as the guide explains them (docs/guide/access.md): what no statement allows
is denied, and a Deny overrides every Allow.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

ACCOUNT = "000000000000"
LOOKOUT = f"arn:aws:lookoutvision:us-east-1:{ACCOUNT}"

ACTIONS = (
    *("*", "lookoutvision:*", "lookoutvision:Describe*", "lookoutvision:List*", "s3:*"),
    *("lookoutvision:*Project", "lookoutvision:*Dataset*", "lookoutvision:*Model", "s3:Get*"),
    *("lookoutvision:DetectAnomalies", "lookoutvision:CREATEProject", "lookoutvision:TagResource"),
    *("lookoutvision:StartTrialDetection", "lookoutvision:StartModel*", "lookoutvision:?ist*"),
    *("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:List*", "s3:CreateBucket", "s3:?et*"),
    *("s3:PutObjectTagging", "s3:AbortMultipartUpload", "s3:*Object", "iam:*"),
)
RESOURCES = (
    *("*", f"{LOOKOUT}:project/*", f"{LOOKOUT}:project/p1", f"{LOOKOUT}:project/p?"),
    *(f"{LOOKOUT}:model/*", f"{LOOKOUT}:model/p1/*", f"{LOOKOUT}:model/p1/1", f"{LOOKOUT}:*"),
    *("arn:aws:lookoutvision:*:*:model/p2/*", "arn:aws:lookoutvision:eu-west-1:*:project/*"),
    *("arn:aws:s3:::*", "arn:aws:s3:::bucket-1", "arn:aws:s3:::bucket-1/*"),
    *("arn:aws:s3:::bucket-1/a/*", "arn:aws:s3:::bucket-2*", "arn:aws:s3:::bucket-?/a/1.png"),
    *("arn:aws:s3:::bucket-1/${aws:username}/*", "arn:aws:s3:::Bucket-1/*"),
    f"arn:aws:s3:::bucket-1/{'x' * 20}/*",
)
CONDITIONS: tuple[dict[str, dict[str, Any]], ...] = (
    {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}},
    {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.0.2.0/24"]}},
    {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}},
    {"Bool": {"aws:SecureTransport": "true"}},
    {"Bool": {"aws:SecureTransport": "false"}},
    {"StringEquals": {"aws:username": ["user-1", "user-2"]}},
    {"StringLike": {"aws:username": "user-?"}},
    {"StringNotLike": {"aws:username": "user-1*"}},
    {"StringEquals": {"aws:PrincipalTag/line": "4"}},
    {"StringEqualsIfExists": {"aws:PrincipalTag/line": "4"}},
    {"Null": {"aws:PrincipalTag/line": "true"}},
    {"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
    {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}},
)


@dataclass(frozen=True, kw_only=True)
class Person:
    """The holder of a key, as the model knows it."""

    name: str
    tags: Mapping[str, str]
    policy: Mapping[str, Any]
    source_ip: str = "127.0.0.1"
    secure: bool = False

    def may(self, action: str, resource: str) -> bool:
        """Return whether the policy allows an action on a resource."""
        applying = [
            statement["Effect"]
            for statement in self.policy["Statement"]
            if self._applies(statement, action, resource)
        ]
        return "Allow" in applying and "Deny" not in applying

    def _applies(self, statement: Mapping[str, Any], action: str, resource: str) -> bool:
        if "Action" in statement:
            named = any(_like(text.lower(), action.lower()) for text in statement["Action"])
        else:
            named = not any(_like(text.lower(), action.lower()) for text in statement["NotAction"])
        if "Resource" in statement:
            covered = any(self._covers(text, resource) for text in statement["Resource"])
        else:
            covered = not any(self._covers(text, resource) for text in statement["NotResource"])
        conditions = statement.get("Condition", {})
        return named and covered and all(map(self._holds, conditions.items()))

    def _covers(self, pattern: str, resource: str) -> bool:
        if pattern == "*":
            return True
        pattern = pattern.replace("${aws:username}", self.name)
        wanted, asked = pattern.split(":", 5), resource.split(":", 5)
        # missing parts at the end match everything
        wanted = wanted[:-1] + [wanted[-1]] + ["*"] * (6 - len(wanted))
        return len(asked) == 6 and all(map(_like, wanted, asked))

    def _holds(self, condition: tuple[str, Mapping[str, Any]]) -> bool:
        operator, keys = condition
        return all(self._compared(operator, key, value) for key, value in keys.items())

    def _compared(self, operator: str, key: str, value: Any) -> bool:
        values = value if isinstance(value, list) else [value]
        actual = self._value(key)
        match operator:
            case "Null":
                return (actual is None) == (values == ["true"])
            case "StringEqualsIfExists":
                return actual is None or actual in values
            case "StringEquals" | "Bool":
                return actual in values
            case "StringLike":
                return any(_like(text, str(actual)) for text in values)
            case "StringNotLike":
                return not any(_like(text, str(actual)) for text in values)
            case "IpAddress" | "NotIpAddress":
                address = ip_address(self.source_ip)
                return any(address in ip_network(text) for text in values) != (operator[0] == "N")
            case "DateGreaterThan":
                return True  # the one date is long ago
            case "DateLessThan":
                return False
        raise AssertionError(operator)

    def _value(self, key: str) -> str | None:
        match key:
            case "aws:username":
                return self.name
            case "aws:SecureTransport":
                return str(self.secure).lower()
            case "aws:PrincipalTag/line":
                return self.tags.get("line")
        return None


def _like(pattern: str, text: str) -> bool:
    parts = re.split(r"([*?])", pattern)
    wild = {"*": ".*", "?": "."}
    expression = "".join(wild.get(part, re.escape(part)) for part in parts)
    return re.fullmatch(expression, text, re.DOTALL) is not None


def drawn_policy(generator: random.Random) -> dict[str, Any]:
    """Return a policy of one to four statements."""
    count = generator.choice([1, 1, 2, 2, 3, 4])
    return {
        "Version": "2012-10-17",
        "Statement": [_statement(generator, first=number == 0) for number in range(count)],
    }


def _statement(generator: random.Random, *, first: bool) -> dict[str, Any]:
    if first and generator.random() < 0.5:  # otherwise nearly everything is denied
        wide = generator.choice(["*", "s3:*", "lookoutvision:*"])
        return {"Effect": "Allow", "Action": [wide], "Resource": ["*"]}
    negated = [generator.random() < 0.1 for _ in range(2)]
    statement: dict[str, Any] = {
        "Effect": "Allow" if first or generator.random() < 0.6 else "Deny",
        "NotAction" if negated[0] else "Action": _some(generator, ACTIONS),
        "NotResource" if negated[1] else "Resource": _some(generator, RESOURCES),
    }
    if generator.random() < 0.25:
        statement["Condition"] = generator.choice(CONDITIONS)
    return statement


def _some(generator: random.Random, texts: Sequence[str]) -> list[str]:
    return generator.sample(texts, generator.choice([1, 1, 2, 3, 4]))
