from __future__ import annotations

import pytest

from blemish.domain.errors import ResourceType, ServiceQuotaExceededError, ValidationError
from blemish.domain.tags import check_tag_count, check_tag_keys


@pytest.mark.parametrize(
    "keys", [[], ["line"], ["line", "Line"], ["aws", "a:aws:", "awsome:", "my aws:"]]
)
def test_keys_that_differ_are_allowed(keys: list[str]) -> None:
    check_tag_keys(keys)


def test_a_key_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        check_tag_keys(["line", "stage", "line"])

    assert caught.value.message == "The tag key 'line' is there 2 times. Name it once."


@pytest.mark.parametrize("key", ["aws:", "aws:cloudformation:stack-name", "AWS:a", "aWs:a"])
def test_a_reserved_key_is_refused(key: str) -> None:
    with pytest.raises(ValidationError, match=f"The tag key '{key}' is reserved"):
        check_tag_keys(["line", key])


def test_a_model_has_as_many_tags_as_it_may_and_no_more() -> None:
    check_tag_count(50, most=50, resource_id="the model")

    with pytest.raises(ServiceQuotaExceededError) as caught:
        check_tag_count(51, most=50, resource_id="the model")

    assert caught.value.message == (
        "The model would have 51 tags; it can have at most 50. Remove some first."
    )
    assert caught.value.resource_type is ResourceType.MODEL
    assert caught.value.resource_id == "the model"
