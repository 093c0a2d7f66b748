from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from blemish.domain.entities import Tag
from blemish.domain.errors import (
    ResourceNotFoundError,
    ResourceType,
    ServiceError,
    ServiceQuotaExceededError,
    ValidationError,
)
from blemish.domain.limits import OURS
from tests.unit.house import House

Operation = Callable[[House, str], object]
ON_A_MODEL: dict[str, Operation] = {
    "tags": lambda house, arn: house.tagging.tags(arn),
    "tag": lambda house, arn: house.tagging.tag(arn, tags(line="4")),
    "untag": lambda house, arn: house.tagging.untag(arn, ["line"]),
}


def tags(**values: str) -> list[Tag]:
    return [Tag(key=key, value=value) for key, value in values.items()]


def numbered(count: int, *, start: int = 0) -> list[Tag]:
    return [Tag(key=f"key {i}", value=f"value {i}") for i in range(start, start + count)]


@pytest.fixture
def arn(trainable: House) -> str:
    """The ARN of a model without tags."""
    model = trainable.trained()
    return trainable.arns.model(model.project, model.version)


def test_tags_are_kept_by_their_key(house: House, arn: str) -> None:
    house.tagging.tag(arn, tags(stage="dev", line="4"))
    house.tagging.tag(arn, tags(stage="prod", shift=""))

    assert house.tagging.tags(arn) == tags(line="4", shift="", stage="prod")


def test_the_order_of_tags_changes_nothing(house: House, arn: str) -> None:
    house.tagging.tag(arn, numbered(5)[::-1])
    backwards = house.tagging.tags(arn)
    house.tagging.untag(arn, [tag.key for tag in numbered(5)])

    house.tagging.tag(arn, numbered(5))

    assert house.tagging.tags(arn) == backwards == numbered(5)


def test_keys_that_no_tag_has_are_ignored(house: House, arn: str) -> None:
    house.tagging.tag(arn, tags(stage="dev", line="4"))

    house.tagging.untag(arn, ["stage", "Line", "unknown"])

    assert house.tagging.tags(arn) == tags(line="4")


@pytest.mark.parametrize("change", [[], tags(line="4"), numbered(1)])
def test_tags_are_counted_after_the_change(house: House, arn: str, change: list[Tag]) -> None:
    house.tagging.tag(arn, [*numbered(49), *tags(line="3")])

    house.tagging.tag(arn, change)

    assert len(house.tagging.tags(arn)) == 50


def test_one_tag_too_many_changes_nothing(house: House, arn: str) -> None:
    house.tagging.tag(arn, numbered(49))
    before = house.tagging.tags(arn)

    with pytest.raises(ServiceQuotaExceededError) as caught:
        house.tagging.tag(arn, [Tag(key="key 0", value="new"), *tags(line="4", stage="dev")])

    assert caught.value.resource_id == arn
    assert house.tagging.tags(arn) == before


def test_the_limit_is_that_of_the_profile(house: House, arn: str) -> None:
    house.apply(replace(OURS, max_tags_per_model=2))
    house.tagging.tag(arn, numbered(2))

    with pytest.raises(ServiceQuotaExceededError):
        house.tagging.tag(arn, numbered(1, start=2))


def test_room_that_was_made_is_used(house: House, arn: str) -> None:
    house.tagging.tag(arn, numbered(50))

    house.tagging.untag(arn, ["key 7"])
    house.tagging.tag(arn, tags(line="4"))

    assert len(house.tagging.tags(arn)) == 50


def test_tags_that_are_set_at_once_do_not_pass_the_limit(house: House, arn: str) -> None:
    house.tagging.tag(arn, numbered(40))

    def add(start: int) -> str:
        try:
            house.tagging.tag(arn, numbered(4, start=start))
        except ServiceQuotaExceededError:
            return "refused"
        return "added"

    with ThreadPoolExecutor(4) as pool:
        told = sorted(pool.map(add, range(100, 140, 10)))

    assert told == ["added", "added", "refused", "refused"]
    assert len(house.tagging.tags(arn)) == 48


@pytest.mark.parametrize("key", ["line", "aws:line"])
def test_keys_are_checked_before_anything_is_changed(house: House, arn: str, key: str) -> None:
    house.tagging.tag(arn, tags(line="4", stage="dev"))
    keys = ["stage", key, "line"]

    with pytest.raises(ValidationError):
        house.tagging.tag(arn, [Tag(key=each, value="new") for each in keys])
    with pytest.raises(ValidationError):
        house.tagging.untag(arn, keys)

    assert house.tagging.tags(arn) == tags(line="4", stage="dev")


@pytest.mark.parametrize("name", ON_A_MODEL)
@pytest.mark.parametrize(
    "text", ["no arn", "arn:aws:lookoutvision:eu-west-1:123456789012:project/circuits", "x" * 300]
)
def test_only_models_have_tags(house: House, arn: str, name: str, text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ON_A_MODEL[name](house, text)

    assert caught.value.message == (
        f"ResourceArn is '{text[:200]}'; it must be the ARN of a model, "
        "arn:aws:lookoutvision:REGION:ACCOUNT:model/PROJECT/VERSION. Only models have tags."
    )
    assert house.tagging.tags(arn) == []


@pytest.mark.parametrize("name", ON_A_MODEL)
@pytest.mark.parametrize(("project", "version"), [("circuits", 2), ("unknown", 1)])
@pytest.mark.usefixtures("arn")
def test_an_unknown_model_is_not_found(house: House, name: str, project: str, version: int) -> None:
    unknown = house.arns.model(project, version)

    with pytest.raises(ResourceNotFoundError) as caught:
        ON_A_MODEL[name](house, unknown)

    assert caught.value.message == f"There is no model {unknown}."
    assert caught.value.resource_type is ResourceType.MODEL
    assert caught.value.resource_id == unknown


@pytest.mark.parametrize("name", ON_A_MODEL)
@pytest.mark.parametrize("other", [{"region": "us-east-1"}, {"account": "000000000000"}])
@pytest.mark.usefixtures("arn")
def test_a_model_of_another_region_or_account_is_not_found(
    house: House, name: str, other: dict[str, Any]
) -> None:
    elsewhere = replace(house.arns, **other).model("circuits", 1)

    with pytest.raises(ResourceNotFoundError) as caught:
        ON_A_MODEL[name](house, elsewhere)

    assert caught.value.message == (
        f"There is no model {elsewhere} here: ARNs of this server are of the region eu-west-1 "
        "and the account 123456789012."
    )


def create(house: House, given: list[Tag]) -> str:
    model = house.models.create(
        "circuits", description=None, output_bucket="images", output_prefix="", tags=given
    )
    return house.arns.model(model.project, model.version)


def test_a_model_is_made_with_its_tags(trainable: House) -> None:
    made = create(trainable, numbered(50))

    assert len(trainable.tagging.tags(made)) == 50
    assert trainable.tagging.tags(create(trainable, [])) == []


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (numbered(51), ServiceQuotaExceededError),
        ([*tags(line="4"), *tags(line="4")], ValidationError),
        ([Tag(key="aws:line", value="")], ValidationError),
    ],
)
def test_a_model_with_wrong_tags_is_not_made(
    trainable: House, given: list[Tag], error: type[ServiceError]
) -> None:
    with pytest.raises(error):
        create(trainable, given)

    assert trainable.models.page("circuits", token=None) == ([], None)
    assert trainable.stored_names() == set()
    assert create(trainable, []).endswith("/1")
