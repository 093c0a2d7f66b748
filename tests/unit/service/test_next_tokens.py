from __future__ import annotations

import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.domain.errors import ValidationError
from blemish.service.next_tokens import next_token, token_position

REFUSED = "NextToken is not one that this operation returned. Begin again without a token."


def encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def as_token(value: object) -> str:
    return encoded(json.dumps(value))


@given(scope=st.text(max_size=300), position=st.integers(0, 2**63 - 1))
def test_a_token_gives_back_its_position(scope: str, position: int) -> None:
    assert token_position(next_token(scope, position), scope) == position


@given(scope=st.text(max_size=300), position=st.integers(0, 2**63 - 1))
def test_a_token_is_made_of_what_the_service_model_allows(scope: str, position: int) -> None:
    token = next_token(f"models/{len(scope)}", position)

    assert re.fullmatch(r"[a-zA-Z0-9/+=]{1,2048}", token)


def test_no_token_is_no_position() -> None:
    assert token_position(None, "projects") is None


def test_the_token_of_another_list_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        token_position(next_token("models/1", 5), "models/2")

    assert caught.value.message == REFUSED


@given(st.text(max_size=60) | st.lists(st.integers() | st.text(), max_size=3).map(as_token))
def test_anything_else_is_refused(token: str) -> None:
    with pytest.raises(ValidationError):
        token_position(token, "projects")


@pytest.mark.parametrize(
    "value",
    [
        "[" * 1_500,
        f'["projects", {2**63}]',
        '["projects", -1]',
        '["projects", 1.5]',
        '["projects"]',
    ],
)
def test_a_token_that_was_made_up_is_refused(value: str) -> None:
    with pytest.raises(ValidationError):
        token_position(encoded(value), "projects")
