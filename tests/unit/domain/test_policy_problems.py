"""Documents that are no policies: refused when they are given, with every reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from blemish.domain.access.policies import PolicyError, parse_policy
from tests.unit.domain.policy_cases import allow, deny, document, when


def problems(policy: str) -> tuple[str, ...]:
    with pytest.raises(PolicyError) as caught:
        parse_policy(policy)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "must be a JSON object"),
        ('{"Version": "2012-10-17"}', "Statement must be"),
        ('{"Version": "2012-10-17", "Statement": []}', "Statement must be"),
        ('{"Version": "2012-10-17", "Statement": ["Allow"]}', "Statement must be"),
        ('{"Version": "2012-10-17", "Version": "2012-10-17"}', "Version stands twice"),
    ],
)
def test_what_has_no_statements_is_no_policy(text: str, said: str) -> None:
    (problem,) = problems(text)

    assert said in problem


@pytest.mark.parametrize(
    ("version", "said"), [("2012-10-18", "'2012-10-18'"), (["2012-10-17"], "['2012-10-17']")]
)
def test_a_version_that_iam_does_not_know_is_refused(version: Any, said: str) -> None:
    (problem,) = problems(json.dumps({"Version": version, "Statement": [allow()]}))

    assert problem == f"Version must be 2008-10-17 or 2012-10-17, not {said}."


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in allow().items() if key != name}


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (without("Effect"), "Effect must be Allow or Deny, not None"),
        (allow(Effect="allow"), "Effect must be Allow or Deny, not 'allow'"),
        (allow(Effect=["Allow"]), "Effect must be Allow or Deny, not ['Allow']"),
        (without("Action"), "either Action or NotAction"),
        (allow(NotAction="s3:*"), "either Action or NotAction"),
        (without("Resource"), "either Resource or NotResource"),
        (allow(NotResource="*"), "either Resource or NotResource"),
        (allow(Action=[]), "Action must be a text or a list of texts"),
        (allow(Action={"s3": "*"}), "Action must be a text or a list of texts"),
        (allow(Resource=[1]), "Resource must be a text or a list of texts"),
        (allow(Sid=4), "Sid must be a text"),
        (allow(Principal="*"), "Principal must not be there"),
        (allow(Conditions={}), "Conditions is no element of a statement"),
        (allow(Action="DescribeModel"), "not 'DescribeModel'"),
        (allow(Action="*:*"), "not '*:*'"),
        (allow(Action="lookoutvision:"), "not 'lookoutvision:'"),
        (allow(Action="s3:${aws:username}"), "an action must be"),
        (allow(Resource="images"), "not 'images'"),
        (allow(Resource="**"), "not '**'"),
        (allow(Resource="arn:aws:*:::images"), "names its service"),
        (allow(Resource="arn:*:s3:::images"), "names its service"),
        (allow(Resource="arn:aws"), "names its service"),
        (allow(Resource="arn:aws:s3::${aws:username}:a"), "before its fifth colon"),
        (allow(Resource="arn:aws:s3:::${aws:username"), "not closed"),
        (allow(Resource="arn:aws:s3:::${aws:user}"), "'aws:user' is no condition key"),
        (allow(Resource="arn:aws:s3:::${aws:TagKeys}"), "has several values"),
        (allow(Condition=[]), "Condition must be an object"),
        (allow(Condition={"StringEquals": {}}), "Condition StringEquals must be an object"),
        (allow(Condition={"StringEquals": "a"}), "Condition StringEquals must be an object"),
        (when("StringEqual", "aws:username", "a"), "there is no such operator"),
        (when("stringequals", "aws:username", "a"), "there is no such operator"),
        (when("StringEqualsIfexists", "aws:username", "a"), "there is no such operator"),
        (when("ForAll:StringEquals", "aws:TagKeys", "a"), "there is no such operator"),
        (when("BinaryEquals", "aws:username", "a"), "there is no such operator"),
        (when("NullIfExists", "aws:username", "true"), "Null takes neither"),
        (when("ForAnyValue:Null", "aws:TagKeys", "true"), "Null takes neither"),
        (when("StringEquals", "aws:SourceVpc", "a"), "'aws:SourceVpc' is no condition key"),
        (when("StringEquals", "aws:ResourceTag/", "a"), "is no condition key"),
        (when("StringEquals", "aws:TagKeys", "a"), "say ForAnyValue: or ForAllValues:"),
        (allow(Condition={"StringEquals": {"aws:username": []}}), "there must be a value"),
        (when("StringEquals", "aws:username", None), "a value must be a text"),
        (when("Bool", "aws:SecureTransport", "yes"), "true or false, not 'yes'"),
        (when("Null", "aws:username", "yes"), "true or false, not 'yes'"),
        (when("NumericEquals", "s3:max-keys", "ten"), "a number, not 'ten'"),
        (when("NumericEquals", "s3:max-keys", "NaN"), "a number, not 'NaN'"),
        (when("DateLessThan", "aws:CurrentTime", "soon"), "a time such as"),
        (when("IpAddress", "aws:SourceIp", "localhost"), "not 'localhost'"),
        (when("IpAddress", "aws:SourceIp", "${aws:username}"), "an IP address"),
        (when("ArnLike", "aws:PrincipalArn", "anna"), "must be an ARN"),
        (when("StringEquals", "aws:username", "${aws:nobody}"), "'aws:nobody' is no condition key"),
        (when("StringEquals", "aws:username", "${}"), "'' is no condition key"),
    ],
)
def test_what_iam_does_not_know_is_refused(statement: dict[str, Any], said: str) -> None:
    (problem,) = problems(document(statement))

    assert problem.startswith("Statement 1: ")
    assert said in problem


def test_elements_of_the_policy_are_known() -> None:
    (problem,) = problems(json.dumps({"Statement": [allow()], "version": "2012-10-17"}))

    assert problem == "version is no element of a policy; there are Version, Id, Statement."


def test_a_sid_stands_once() -> None:
    assert problems(document(allow(Sid="a"), deny(Sid="a"))) == (
        "Two statements have the Sid 'a'.",
    )


def test_every_problem_is_told() -> None:
    found = problems(
        document(
            allow(Action=["x", "s3:*", "y"], Effect="No"),
            when("StringEqual", "aws:username", "a"),
            version="1",
        )
    )

    assert [problem[:20] for problem in found] == [
        "Version must be 2008",
        "Statement 1: Effect ",
        "Statement 1: an acti",
        "Statement 1: an acti",
        "Statement 2: Conditi",
    ]
