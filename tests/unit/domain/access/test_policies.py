"""What policies allow, case by case, by the rules that AWS documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from blemish.domain.access.policies import Decision, parse_policy
from tests.unit.domain.policy_cases import (
    ARN,
    EXPLICIT,
    MODEL,
    NO,
    OBJECT,
    YES,
    Asked,
    Statement,
    allow,
    ask,
    decision,
    deny,
    document,
    params,
    when,
)

EFFECTS = [
    ("what is allowed is allowed", [allow()], ask(), YES),
    ("what nothing speaks of is not", [allow(Action="s3:*")], ask(), NO),
    ("a denial alone denies", [deny()], ask(), EXPLICIT),
    ("a denial wins over what allows before it", [allow(), deny()], ask(), EXPLICIT),
    ("a denial wins over what allows after it", [deny(), allow()], ask(), EXPLICIT),
    ("a denial of something else does not count", [allow(), deny(Action="s3:*")], ask(), YES),
    ("one of several that allow is enough", [allow(Action="s3:*"), allow()], ask(), YES),
    (
        "a denial on a condition that fails does not count",
        [allow(), deny(Condition={"Bool": {"aws:SecureTransport": "false"}})],
        ask(aws_securetransport="true"),
        YES,
    ),
    (
        "a denial on a condition that holds counts",
        [allow(), deny(Condition={"Bool": {"aws:SecureTransport": "false"}})],
        ask(aws_securetransport="false"),
        EXPLICIT,
    ),
]

ACTIONS = [
    ("one by name", [allow(Action="lookoutvision:DescribeModel")], ask(), YES),
    ("in any case of letters", [allow(Action="LookoutVision:describemodel")], ask(), YES),
    ("one of a list", [allow(Action=["s3:*", "lookoutvision:DescribeModel"])], ask(), YES),
    ("all of a service", [allow(Action="lookoutvision:*")], ask(), YES),
    ("all of another service", [allow(Action="s3:*")], ask(), NO),
    ("by how they begin", [allow(Action="lookoutvision:Describe*")], ask(), YES),
    ("by how they end", [allow(Action="lookoutvision:*Model")], ask(), YES),
    ("by what is in them", [allow(Action="lookoutvision:D*cribe*el")], ask(), YES),
    ("a star is nothing, too", [allow(Action="lookoutvision:DescribeModel*")], ask(), YES),
    ("a question mark is one", [allow(Action="lookoutvision:Describe?odel")], ask(), YES),
    ("and never none", [allow(Action="lookoutvision:DescribeModel?")], ask(), NO),
    ("a prefix is not enough", [allow(Action="lookoutvision:Describe")], ask(), NO),
    (
        "all but some, others",
        [{"Effect": "Allow", "NotAction": "lookoutvision:Delete*", "Resource": "*"}],
        ask(),
        YES,
    ),
    (
        "all but some, these",
        [{"Effect": "Allow", "NotAction": "lookoutvision:Describe*", "Resource": "*"}],
        ask(),
        NO,
    ),
    (
        "all but several, the second",
        [{"Effect": "Allow", "NotAction": ["s3:*", "lookoutvision:De*"], "Resource": "*"}],
        ask(),
        NO,
    ),
    (
        "a denial of all but some",
        [allow(), {"Effect": "Deny", "NotAction": "lookoutvision:List*", "Resource": "*"}],
        ask(),
        EXPLICIT,
    ),
    (
        "a denial of all but this",
        [allow(), {"Effect": "Deny", "NotAction": "lookoutvision:Des*", "Resource": "*"}],
        ask(),
        YES,
    ),
]

RESOURCES = [
    ("one by its ARN", [allow(Resource=MODEL)], ask(), YES),
    ("another one", [allow(Resource=f"{ARN}:model/circuits/2")], ask(), NO),
    ("cases of letters differ", [allow(Resource=f"{ARN}:model/Circuits/1")], ask(), NO),
    ("one of a list", [allow(Resource=[OBJECT, MODEL])], ask(), YES),
    ("all of a project", [allow(Resource=f"{ARN}:model/circuits/*")], ask(), YES),
    ("all of another project", [allow(Resource=f"{ARN}:model/plates/*")], ask(), NO),
    ("a star reaches over slashes", [allow(Resource=f"{ARN}:mod*1")], ask(), YES),
    ("a question mark is one", [allow(Resource=f"{ARN}:model/circuits/?")], ask(), YES),
    ("and not two", [allow(Resource=f"{ARN}:model/c?s/1")], ask(), NO),
    (
        "any region and account",
        [allow(Resource="arn:aws:lookoutvision:*:*:model/circuits/1")],
        ask(),
        YES,
    ),
    (
        "a star does not reach over a colon",
        [allow(Resource="arn:aws:lookoutvision:*:model/circuits/1")],
        ask(),
        NO,
    ),
    (
        "but in the last part, which may have colons itself",
        [allow(Resource="arn:aws:s3:::images/*.png")],
        ask("s3:GetObject", "arn:aws:s3:::images/a:b.png"),
        YES,
    ),
    ("parts left out stand for all", [allow(Resource="arn:aws:lookoutvision")], ask(), YES),
    ("of this service", [allow(Resource="arn:aws:s3")], ask(), NO),
    ("an action about none wants all", [allow()], ask(resource="*"), YES),
    ("and not only some", [allow(Resource=f"{ARN}:*")], ask(resource="*"), NO),
    (
        "a bucket is not its objects",
        [allow(Resource="arn:aws:s3:::images")],
        ask("s3:GetObject", OBJECT),
        NO,
    ),
    (
        "objects are not their bucket",
        [allow(Resource="arn:aws:s3:::images/*")],
        ask("s3:ListBucket", "arn:aws:s3:::images"),
        NO,
    ),
    (
        "all but some, others",
        [{"Effect": "Allow", "Action": "*", "NotResource": OBJECT}],
        ask(),
        YES,
    ),
    (
        "all but some, these",
        [{"Effect": "Allow", "Action": "*", "NotResource": f"{ARN}:model/*"}],
        ask(),
        NO,
    ),
    (
        "a denial of all but some",
        [allow(), {"Effect": "Deny", "Action": "*", "NotResource": f"{ARN}:model/plates/*"}],
        ask(),
        EXPLICIT,
    ),
    (
        "all but some, none at all",
        [{"Effect": "Allow", "Action": "*", "NotResource": OBJECT}],
        ask(resource="*"),
        YES,
    ),
]

TAGGED = "aws:ResourceTag/line"

MINE = "arn:aws:s3:::images/${aws:username}/*"
VARIABLES = [
    (
        "in a resource",
        [allow(Resource=MINE)],
        ask("s3:GetObject", OBJECT, aws_username="line-4"),
        YES,
    ),
    (
        "in a resource, of another",
        [allow(Resource=MINE)],
        ask("s3:GetObject", OBJECT, aws_username="line-5"),
        NO,
    ),
    ("in a resource, without a value", [allow(Resource=MINE)], ask("s3:GetObject", OBJECT), NO),
    (
        "in a resource, without a value, negated",
        [{"Effect": "Allow", "Action": "*", "NotResource": MINE}],
        ask("s3:GetObject", OBJECT),
        YES,
    ),
    (
        "in a value",
        [when("StringEquals", TAGGED, "${aws:PrincipalTag/line}")],
        ask(tagged={"line": "4"}, principal={"line": "4"}),
        YES,
    ),
    (
        "in a value, of another",
        [when("StringEquals", TAGGED, "${aws:PrincipalTag/line}")],
        ask(tagged={"line": "4"}, principal={"line": "5"}),
        NO,
    ),
    (
        "without a value nothing is equal",
        [when("StringEquals", TAGGED, "${aws:PrincipalTag/line}")],
        ask(tagged={"line": ""}),
        NO,
    ),
    (
        "without a value all is unequal",
        [when("StringNotEquals", TAGGED, "${aws:PrincipalTag/line}")],
        ask(tagged={"line": "4"}),
        YES,
    ),
    (
        "with a default that is not needed",
        [when("StringEquals", TAGGED, "${aws:PrincipalTag/line, 'none'}")],
        ask(tagged={"line": "none"}, principal={"line": "4"}),
        NO,
    ),
    (
        "with a default",
        [when("StringEquals", TAGGED, "${aws:PrincipalTag/line, 'none'}")],
        ask(tagged={"line": "none"}),
        YES,
    ),
    (
        "what comes in is no wildcard",
        [when("StringLike", TAGGED, "${aws:PrincipalTag/line}")],
        ask(tagged={"line": "4"}, principal={"line": "*"}),
        NO,
    ),
    (
        "beside wildcards",
        [when("StringLike", TAGGED, "${aws:PrincipalTag/line}-*")],
        ask(tagged={"line": "4-a"}, principal={"line": "4"}),
        YES,
    ),
    (
        "a star itself",
        [when("StringLike", TAGGED, "a${*}")],
        ask(tagged={"line": "a*"}),
        YES,
    ),
    (
        "a star itself and no wildcard",
        [when("StringLike", TAGGED, "a${*}")],
        ask(tagged={"line": "ab"}),
        NO,
    ),
    (
        "a dollar itself",
        [when("StringEquals", TAGGED, "${$}{x}")],
        ask(tagged={"line": "${x}"}),
        YES,
    ),
    (
        "with a colon in what comes in",
        [allow(Resource="arn:aws:s3:::images/${aws:PrincipalTag/line}/*")],
        ask("s3:GetObject", "arn:aws:s3:::images/a:b/c", principal={"line": "a:b"}),
        YES,
    ),
    (
        "whatever the case",
        [when("StringEqualsIgnoreCase", TAGGED, "${aws:username}")],
        ask(tagged={"line": "ANNA"}, aws_username="anna"),
        YES,
    ),
]

CASES = {
    "effects": EFFECTS,
    "actions": ACTIONS,
    "resources": RESOURCES,
    "variables": VARIABLES,
}


@pytest.mark.parametrize(("statements", "asked", "expected"), params(CASES))
def test_a_policy_decides_as_iam_does(
    statements: list[Statement], asked: Asked, expected: Decision
) -> None:
    assert decision(document(*statements), asked) is expected


@pytest.mark.parametrize("version", ["2008-10-17", None])
def test_variables_are_texts_in_the_older_version(version: str | None) -> None:
    policy = document(allow(Resource=MINE), version=version)

    assert decision(policy, ask("s3:GetObject", OBJECT, aws_username="line-4")) is NO
    literal = "arn:aws:s3:::images/${aws:username}/a.png"
    assert decision(policy, ask("s3:GetObject", literal, aws_username="line-4")) is YES


def test_a_single_statement_needs_no_list() -> None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": allow()})

    assert decision(policy, ask()) is YES


@pytest.mark.parametrize(
    ("statement", "reads"),
    [
        (allow(), False),
        (when("StringEquals", "aws:RequestTag/line", "4"), False),
        (when("StringEquals", "AWS:ResourceTag/line", "4"), True),
        (when("Null", "aws:ResourceTag/line", "true"), True),
        (when("StringEquals", "aws:username", "${aws:ResourceTag/owner}"), True),
        (allow(Resource="arn:aws:s3:::a/${aws:ResourceTag/owner}"), True),
    ],
)
def test_a_policy_tells_whether_tags_of_the_resource_matter(
    statement: dict[str, object], reads: bool
) -> None:
    assert parse_policy(document(statement)).reads_resource_tags is reads


def test_many_stars_take_no_time() -> None:
    policy = document(allow(Resource="arn:aws:s3:::" + "a*" * 30 + "b"))

    assert decision(policy, ask("s3:GetObject", "arn:aws:s3:::" + "a" * 1_000)) is NO


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([], False),
        ([{"Effect": "Allow", "Action": "s3:Put*", "Resource": "arn:aws:s3:::a/*"}], True),
        ([{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}], False),
        (
            [
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"},
            ],
            False,
        ),
        (
            [
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::a/*"},
            ],
            True,
        ),
        (
            [
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {
                    "Effect": "Deny",
                    "Action": "s3:PutObject",
                    "Resource": "*",
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
            ],
            True,
        ),
        (
            [
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {"Effect": "Deny", "Action": "*", "NotResource": "arn:aws:s3:::a/*"},
            ],
            True,
        ),
    ],
)
def test_an_action_is_allowed_somewhere_or_nowhere(
    statements: list[Any], *, expected: bool
) -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": statements or [DENY_ALL]})

    assert parse_policy(text).allows_somewhere("s3:PutObject") == expected


DENY_ALL = {"Effect": "Deny", "Action": "*", "Resource": "*"}
