"""Errors of the API in plain words."""

from __future__ import annotations

import pytest

from blemish.console.plain_errors import plain_text

NAME = r"[a-zA-Z0-9][a-zA-Z0-9_\-]*"
FAILED = "failed to satisfy constraint: Member must"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            f"1 validation error detected: Value 'a b' at 'projectName' {FAILED} satisfy regular "
            f"expression pattern: {NAME}",
            "The name of the project has letters, digits, - and _; it begins with a letter or "
            "digit: 'a b' is not possible.",
        ),
        (
            f"2 validation errors detected: Value '' at 'projectName' {FAILED} have length greater "
            f"than or equal to 1; Value '' at 'projectName' {FAILED} satisfy regular expression "
            f"pattern: {NAME}",
            "The name of the project must not be empty.",
        ),
        (
            f"2 validation errors detected: Value null at 'outputConfig.s3Location.bucket' {FAILED}"
            f" not be null; Value 0 at 'minInferenceUnits' {FAILED} have value greater than or "
            "equal to 1",
            "The bucket for the results is missing. The number of inference units is at least 1.",
        ),
        (
            f"1 validation error detected: Value 'x' at 'detectorSettings.sensitivity' {FAILED} "
            "satisfy enum value set: [STRICT, BALANCED]",
            "The sensitivity is one of STRICT, BALANCED, not 'x'.",
        ),
        (
            "Model arn:aws:lookoutvision:us-east-1:123456789012:model/plates/1 is TRAINED: no.",
            "Model 1 of plates is TRAINED: no.",
        ),
        (
            "User: arn:aws:iam::1:user/reader is not authorized to perform: "
            "lookoutvision:CreateProject on resource: arn:aws:lookoutvision:us-east-1:1:project/x "
            "because no identity-based policy allows the lookoutvision:CreateProject action",
            "You may not do that: your policies do not allow CreateProject.",
        ),
        ("There is no project x.", "There is no project x."),
    ],
)
def test_a_message_names_the_field_and_what_it_takes(message: str, words: str) -> None:
    assert plain_text(message) == words
