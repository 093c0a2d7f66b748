"""When conditions of policies hold, case by case, by the rules that AWS documents."""

from __future__ import annotations

import pytest

from blemish.domain.access.policies import Decision
from tests.unit.domain.policy_cases import (
    NO,
    YES,
    Asked,
    Statement,
    allow,
    ask,
    decision,
    document,
    params,
    when,
)

TAGGED = "aws:ResourceTag/line"
STRINGS = [
    ("equal", [when("StringEquals", TAGGED, "4")], ask(tagged={"line": "4"}), YES),
    ("not equal", [when("StringEquals", TAGGED, "4")], ask(tagged={"line": "5"}), NO),
    ("the case counts", [when("StringEquals", TAGGED, "a")], ask(tagged={"line": "A"}), NO),
    (
        "wildcards are characters",
        [when("StringEquals", TAGGED, "*")],
        ask(tagged={"line": "4"}),
        NO,
    ),
    ("several values", [when("StringEquals", TAGGED, "4", "5")], ask(tagged={"line": "5"}), YES),
    ("absent", [when("StringEquals", TAGGED, "4")], ask(), NO),
    ("empty and present", [when("StringEquals", TAGGED, "")], ask(tagged={"line": ""}), YES),
    ("negated, equal", [when("StringNotEquals", TAGGED, "4")], ask(tagged={"line": "4"}), NO),
    ("negated, other", [when("StringNotEquals", TAGGED, "4")], ask(tagged={"line": "5"}), YES),
    ("negated, absent", [when("StringNotEquals", TAGGED, "4")], ask(), YES),
    (
        "negated, one of several",
        [when("StringNotEquals", TAGGED, "4", "5")],
        ask(tagged={"line": "5"}),
        NO,
    ),
    (
        "negated, none of several",
        [when("StringNotEquals", TAGGED, "4", "5")],
        ask(tagged={"line": "6"}),
        YES,
    ),
    (
        "whatever the case",
        [when("StringEqualsIgnoreCase", TAGGED, "north")],
        ask(tagged={"line": "NORTH"}),
        YES,
    ),
    (
        "negated whatever the case",
        [when("StringNotEqualsIgnoreCase", TAGGED, "north")],
        ask(tagged={"line": "NORTH"}),
        NO,
    ),
    ("like", [when("StringLike", TAGGED, "line-*")], ask(tagged={"line": "line-4"}), YES),
    ("like with one", [when("StringLike", TAGGED, "line-?")], ask(tagged={"line": "line-4"}), YES),
    ("unlike", [when("StringLike", TAGGED, "line-?")], ask(tagged={"line": "line-44"}), NO),
    ("like anything, absent", [when("StringLike", TAGGED, "*")], ask(), NO),
    ("not like", [when("StringNotLike", TAGGED, "line-*")], ask(tagged={"line": "line-4"}), NO),
    ("not like, absent", [when("StringNotLike", TAGGED, "*")], ask(), YES),
    ("numbers are texts too", [when("StringEquals", TAGGED, 4)], ask(tagged={"line": "4"}), YES),
    ("if it exists, absent", [when("StringEqualsIfExists", TAGGED, "4")], ask(), YES),
    (
        "if it exists, equal",
        [when("StringEqualsIfExists", TAGGED, "4")],
        ask(tagged={"line": "4"}),
        YES,
    ),
    (
        "if it exists, other",
        [when("StringEqualsIfExists", TAGGED, "4")],
        ask(tagged={"line": "5"}),
        NO,
    ),
    (
        "not equal if it exists, equal",
        [when("StringNotEqualsIfExists", TAGGED, "4")],
        ask(tagged={"line": "4"}),
        NO,
    ),
    ("like if it exists, absent", [when("StringLikeIfExists", TAGGED, "4*")], ask(), YES),
]

KEYS = [
    (
        "names of keys in any case",
        [when("StringEquals", "AWS:RESOURCETAG/Line", "4")],
        ask(tagged={"line": "4"}),
        YES,
    ),
    (
        "of two tags that differ in case, the one written alike",
        [when("StringEquals", TAGGED, "4")],
        ask(tagged={"LINE": "5", "line": "4"}),
        YES,
    ),
    (
        "tags of the request are not those of the resource",
        [when("StringEquals", "aws:RequestTag/line", "4")],
        ask(tagged={"line": "4"}),
        NO,
    ),
    (
        "tags of the request",
        [when("StringEquals", "aws:RequestTag/line", "4")],
        ask(request={"line": "4"}),
        YES,
    ),
    (
        "tags of the principal",
        [when("StringEquals", "aws:PrincipalTag/line", "4")],
        ask(principal={"line": "4"}),
        YES,
    ),
    ("the name", [when("StringEquals", "aws:username", "line-4")], ask(aws_username="line-4"), YES),
    (
        "several keys are all meant, and met",
        [
            allow(
                Condition={"StringEquals": {TAGGED: "4", "aws:username": "anna"}},
            )
        ],
        ask(tagged={"line": "4"}, aws_username="anna"),
        YES,
    ),
    (
        "several keys are all meant, and one is not met",
        [allow(Condition={"StringEquals": {TAGGED: "4", "aws:username": "anna"}})],
        ask(tagged={"line": "4"}, aws_username="bert"),
        NO,
    ),
    (
        "several operators are all meant",
        [
            allow(
                Condition={
                    "StringEquals": {TAGGED: "4"},
                    "Bool": {"aws:SecureTransport": "true"},
                }
            )
        ],
        ask(tagged={"line": "4"}, aws_securetransport="false"),
        NO,
    ),
    ("null, absent", [when("Null", TAGGED, "true")], ask(), YES),
    ("null, present", [when("Null", TAGGED, True)], ask(tagged={"line": ""}), NO),
    ("not null, absent", [when("Null", TAGGED, "false")], ask(), NO),
    ("not null, present", [when("Null", TAGGED, False)], ask(tagged={"line": "4"}), YES),
    ("null of several", [when("Null", "aws:TagKeys", "false")], ask(aws_tagkeys=("a", "b")), YES),
]

TAG_KEYS = "aws:TagKeys"
SETS = [
    (
        "all are",
        [when("ForAllValues:StringEquals", TAG_KEYS, "a", "b")],
        ask(aws_tagkeys=("a",)),
        YES,
    ),
    (
        "all are, one is not",
        [when("ForAllValues:StringEquals", TAG_KEYS, "a", "b")],
        ask(aws_tagkeys=("a", "c")),
        NO,
    ),
    ("all of none are", [when("ForAllValues:StringEquals", TAG_KEYS, "a")], ask(), YES),
    (
        "all of an empty set are",
        [when("ForAllValues:StringEquals", TAG_KEYS, "a")],
        ask(aws_tagkeys=()),
        YES,
    ),
    (
        "all are like",
        [when("ForAllValues:StringLike", TAG_KEYS, "line-*")],
        ask(aws_tagkeys=("line-4", "line-5")),
        YES,
    ),
    (
        "none is",
        [when("ForAllValues:StringNotEquals", TAG_KEYS, "a", "b")],
        ask(aws_tagkeys=("c", "d")),
        YES,
    ),
    (
        "none is, one is",
        [when("ForAllValues:StringNotEquals", TAG_KEYS, "a", "b")],
        ask(aws_tagkeys=("b", "d")),
        NO,
    ),
    ("none of none is", [when("ForAllValues:StringNotEquals", TAG_KEYS, "a")], ask(), YES),
    (
        "all are, with if it exists",
        [when("ForAllValues:StringEqualsIfExists", TAG_KEYS, "a")],
        ask(),
        YES,
    ),
    (
        "any is",
        [when("ForAnyValue:StringEquals", TAG_KEYS, "a", "b")],
        ask(aws_tagkeys=("c", "a")),
        YES,
    ),
    (
        "any is, none is",
        [when("ForAnyValue:StringEquals", TAG_KEYS, "a")],
        ask(aws_tagkeys=("c",)),
        NO,
    ),
    ("any of none is", [when("ForAnyValue:StringEquals", TAG_KEYS, "a")], ask(), NO),
    (
        "any of none is, if it exists all the same",
        [when("ForAnyValue:StringEqualsIfExists", TAG_KEYS, "a")],
        ask(),
        NO,
    ),
    (
        "any is not",
        [when("ForAnyValue:StringNotEquals", TAG_KEYS, "a")],
        ask(aws_tagkeys=("a", "c")),
        YES,
    ),
    (
        "any is not, all are",
        [when("ForAnyValue:StringNotEquals", TAG_KEYS, "a", "b")],
        ask(aws_tagkeys=("a", "b")),
        NO,
    ),
    ("any of none is not", [when("ForAnyValue:StringNotEquals", TAG_KEYS, "a")], ask(), NO),
    (
        "all of a single value",
        [when("ForAllValues:StringEquals", TAGGED, "4")],
        ask(tagged={"line": "5"}),
        NO,
    ),
    (
        "all are, and there must be one",
        [
            allow(
                Condition={
                    "ForAllValues:StringEquals": {TAG_KEYS: "a"},
                    "Null": {TAG_KEYS: "false"},
                }
            )
        ],
        ask(),
        NO,
    ),
]

SECURE, IP, NOW = "aws:SecureTransport", "aws:SourceIp", "aws:CurrentTime"
EPOCH, COUNT = "aws:EpochTime", "s3:max-keys"
NOON = "2024-05-01T12:00:00+00:00"
OTHERS = [
    ("true", [when("Bool", SECURE, "true")], ask(aws_securetransport="true"), YES),
    ("true in JSON", [when("Bool", SECURE, True)], ask(aws_securetransport="true"), YES),
    ("false", [when("Bool", SECURE, "False")], ask(aws_securetransport="true"), NO),
    ("truth, absent", [when("Bool", SECURE, "false")], ask(), NO),
    ("truth if it exists, absent", [when("BoolIfExists", SECURE, "true")], ask(), YES),
    ("an address", [when("IpAddress", IP, "192.0.2.7")], ask(aws_sourceip="192.0.2.7"), YES),
    ("in a range", [when("IpAddress", IP, "192.0.2.0/24")], ask(aws_sourceip="192.0.2.7"), YES),
    ("outside a range", [when("IpAddress", IP, "192.0.2.0/24")], ask(aws_sourceip="192.0.3.7"), NO),
    (
        "in one of several ranges",
        [when("IpAddress", IP, "10.0.0.0/8", "192.0.2.0/24")],
        ask(aws_sourceip="10.9.9.9"),
        YES,
    ),
    (
        "of version 6",
        [when("IpAddress", IP, "2001:db8::/32")],
        ask(aws_sourceip="2001:db8::1"),
        YES,
    ),
    (
        "of another version",
        [when("IpAddress", IP, "0.0.0.0/0")],
        ask(aws_sourceip="2001:db8::1"),
        NO,
    ),
    (
        "of version 4 on a socket of version 6",
        [when("IpAddress", IP, "192.0.2.0/24")],
        ask(aws_sourceip="::ffff:192.0.2.7"),
        YES,
    ),
    ("no address", [when("IpAddress", IP, "192.0.2.0/24")], ask(), NO),
    (
        "not in a range",
        [when("NotIpAddress", IP, "192.0.2.0/24")],
        ask(aws_sourceip="10.0.0.1"),
        YES,
    ),
    (
        "not in, in it",
        [when("NotIpAddress", IP, "192.0.2.0/24")],
        ask(aws_sourceip="192.0.2.7"),
        NO,
    ),
    ("not in, no address", [when("NotIpAddress", IP, "192.0.2.0/24")], ask(), YES),
    (
        "before",
        [when("DateLessThan", NOW, "2024-05-01T12:00:01Z")],
        ask(aws_currenttime=NOON),
        YES,
    ),
    (
        "not before",
        [when("DateLessThan", NOW, "2024-05-01T12:00:00Z")],
        ask(aws_currenttime=NOON),
        NO,
    ),
    (
        "not after",
        [when("DateLessThanEquals", NOW, "2024-05-01T12:00:00Z")],
        ask(aws_currenttime=NOON),
        YES,
    ),
    ("a day", [when("DateGreaterThan", NOW, "2024-05-01")], ask(aws_currenttime=NOON), YES),
    (
        "another zone",
        [when("DateGreaterThan", NOW, "2024-05-01T13:59:00+02:00")],
        ask(aws_currenttime=NOON),
        YES,
    ),
    ("since 1970", [when("DateEquals", NOW, 1714564800)], ask(aws_currenttime=NOON), YES),
    (
        "the epoch's time",
        [when("DateGreaterThanEquals", EPOCH, "2024-05-01T12:00:00Z")],
        ask(aws_epochtime="1714564800"),
        YES,
    ),
    ("another time", [when("DateNotEquals", NOW, "2024-05-01")], ask(aws_currenttime=NOON), YES),
    ("a time, absent", [when("DateGreaterThan", NOW, "2024-05-01")], ask(), NO),
    ("as many", [when("NumericLessThanEquals", COUNT, 10)], ask(s3_max_keys="10"), YES),
    ("too many", [when("NumericLessThanEquals", COUNT, "10")], ask(s3_max_keys="11"), NO),
    ("fewer as a number", [when("NumericLessThan", COUNT, 10)], ask(s3_max_keys="9"), YES),
    ("equal as a number", [when("NumericEquals", TAGGED, "4.0")], ask(tagged={"line": "4"}), YES),
    ("more", [when("NumericGreaterThan", TAGGED, "4")], ask(tagged={"line": "4.5"}), YES),
    ("at least", [when("NumericGreaterThanEquals", TAGGED, "4")], ask(tagged={"line": "4"}), YES),
    ("no number", [when("NumericLessThan", TAGGED, 4)], ask(tagged={"line": "three"}), NO),
    ("not the number", [when("NumericNotEquals", TAGGED, 4)], ask(tagged={"line": "three"}), YES),
    (
        "an ARN",
        [when("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::*:user/line-*")],
        ask(aws_principalarn="arn:aws:iam::123456789012:user/line-4"),
        YES,
    ),
    (
        "an ARN, part by part",
        [when("ArnLike", "aws:PrincipalArn", "arn:aws:iam:*:user/line-4")],
        ask(aws_principalarn="arn:aws:iam::123456789012:user/line-4"),
        NO,
    ),
    (
        "another ARN",
        [when("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:user/line-*")],
        ask(aws_principalarn="arn:aws:iam::123456789012:user/anna"),
        YES,
    ),
]


CASES = {"strings": STRINGS, "keys": KEYS, "sets": SETS, "others": OTHERS}


@pytest.mark.parametrize(("statements", "asked", "expected"), params(CASES))
def test_a_condition_holds_as_iam_says(
    statements: list[Statement], asked: Asked, expected: Decision
) -> None:
    assert decision(document(*statements), asked) is expected
