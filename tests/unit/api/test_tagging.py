from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.api.requests import (
    CIRCUITS,
    MODEL,
    MODEL_ARN,
    OUTPUT,
    PROJECT_ARN,
    answer,
    message,
)
from tests.unit.house import House

RESOURCE = {"ResourceArn": MODEL_ARN}


def tags(*keys: str, value: str = "4") -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key in keys]


def numbered(count: int) -> list[str]:
    return [f"key {i}" for i in range(count)]


def listed(client: Any) -> list[dict[str, str]]:
    found: list[dict[str, str]] = client.list_tags_for_resource(**RESOURCE)["Tags"]
    return found


@pytest.fixture
def model(trainable: House) -> House:
    """The services, with a model without tags."""
    trainable.trained()
    return trainable


@pytest.mark.usefixtures("model")
def test_a_model_without_tags_has_an_empty_list(client: Any) -> None:
    assert answer(client.list_tags_for_resource(**RESOURCE)) == {"Tags": []}


@pytest.mark.usefixtures("model")
def test_tag_resource_replaces_the_value_of_an_existing_key(client: Any) -> None:
    first = client.tag_resource(**RESOURCE, Tags=tags("stage", "line", value="dev"))

    second = client.tag_resource(**RESOURCE, Tags=tags("stage", value="prod"))

    assert answer(first) == answer(second) == {}
    assert listed(client) == [*tags("line", value="dev"), *tags("stage", value="prod")]


@pytest.mark.usefixtures("model")
def test_untag_resource_ignores_unknown_keys(client: Any) -> None:
    client.tag_resource(**RESOURCE, Tags=tags("a b", "stage", "ä+/"))

    response = client.untag_resource(**RESOURCE, TagKeys=["a b", "ä+/", "no such key"])

    assert answer(response) == {}
    assert listed(client) == tags("stage")


@pytest.mark.usefixtures("model")
def test_no_tag_is_no_error(client: Any) -> None:
    assert answer(client.tag_resource(**RESOURCE, Tags=[])) == {}


@pytest.mark.usefixtures("model")
def test_letters_digits_and_spaces_of_any_script_are_kept(client: Any) -> None:
    text = "Prüfstand 検査 ٣ a.b:c/d=e+f-g@h_i"

    client.tag_resource(**RESOURCE, Tags=tags(text, value=text))

    assert listed(client) == tags(text, value=text)


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    "given", [tags("k" * 128), tags("key", value=""), tags("key", value="v" * 256)]
)
def test_a_tag_is_as_long_as_it_may_be(client: Any, given: list[dict[str, str]]) -> None:
    client.tag_resource(**RESOURCE, Tags=given)

    assert listed(client) == given


REFUSED: list[tuple[list[dict[str, str]], str]] = [
    (tags("k" * 129), "1.member.key"),
    (tags("key", value="v" * 257), "1.member.value"),
    (tags("a#b"), "1.member.key"),
    (tags("key", value="😀"), "1.member.value"),
    (tags(*numbered(201)), "201 items at 'tags'"),
    (tags("key", "other", "key"), "The tag key 'key' is there 2 times."),
    (tags("aws:key"), "The tag key 'aws:key' is reserved"),
]


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(("given", "told"), REFUSED)
def test_a_tag_that_is_none_is_refused(client: Any, given: list[dict[str, str]], told: str) -> None:
    with pytest.raises(client.exceptions.ValidationException) as caught:
        client.tag_resource(**RESOURCE, Tags=given)

    assert told in message(caught)
    assert listed(client) == []


@pytest.mark.usefixtures("trainable")
@pytest.mark.parametrize(("given", "told"), REFUSED)
def test_no_model_is_made_with_it(client: Any, given: list[dict[str, str]], told: str) -> None:
    with pytest.raises(client.exceptions.ValidationException) as caught:
        client.create_model(**CIRCUITS, OutputConfig=OUTPUT, Tags=given)

    assert told in message(caught)
    assert client.list_models(**CIRCUITS)["Models"] == []


@pytest.mark.usefixtures("model")
def test_a_model_has_at_most_fifty_tags(client: Any) -> None:
    client.tag_resource(**RESOURCE, Tags=tags(*numbered(50)))

    with pytest.raises(client.exceptions.ServiceQuotaExceededException) as caught:
        client.tag_resource(**RESOURCE, Tags=tags("key 1", "one more", value="5"))

    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 402
    assert response["ResourceType"] == "MODEL"
    assert response["ResourceId"] == MODEL_ARN
    assert response["ServiceCode"] == "lookoutvision"
    assert sorted(listed(client), key=lambda tag: int(tag["Key"].split()[1])) == tags(*numbered(50))


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ([f"key {i}" for i in range(201)], "'tagKeys'"),
        (["k" * 129], "'tagKeys.1.member'"),
        (["key", "key"], "The tag key 'key' is there 2 times."),
        (["aws:key"], "The tag key 'aws:key' is reserved"),
    ],
)
def test_untag_resource_refuses_what_is_no_key(client: Any, keys: list[str], told: str) -> None:
    client.tag_resource(**RESOURCE, Tags=tags("key"))

    with pytest.raises(client.exceptions.ValidationException) as caught:
        client.untag_resource(**RESOURCE, TagKeys=keys)

    assert told in message(caught)
    assert listed(client) == tags("key")


def test_untag_resource_takes_two_hundred_keys(client: Any, model: House) -> None:
    client.tag_resource(**RESOURCE, Tags=tags(*numbered(50)))

    client.untag_resource(**RESOURCE, TagKeys=numbered(200))

    assert model.tagging.tags(MODEL_ARN) == []


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    ("arn", "error"),
    [
        ("circuits/1", "ValidationException"),
        (PROJECT_ARN, "ValidationException"),
        ("a" * 1011, "ValidationException"),
        ("a" * 1012, "ValidationException"),
        (MODEL_ARN.replace("/1", "/2"), "ResourceNotFoundException"),
        (MODEL_ARN.replace("eu-west-1", "us-east-1"), "ResourceNotFoundException"),
    ],
)
def test_an_arn_that_names_no_model_is_refused(client: Any, arn: str, error: str) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: client.tag_resource(ResourceArn=arn, Tags=tags("key")),
        lambda: client.untag_resource(ResourceArn=arn, TagKeys=["key"]),
        lambda: client.list_tags_for_resource(ResourceArn=arn),
    ]
    for call in calls:
        with pytest.raises(client.exceptions.ClientError) as caught:
            call()
        response = caught.value.response
        assert response["Error"]["Code"] == error
        if error == "ResourceNotFoundException":
            assert (response["ResourceType"], response["ResourceId"]) == ("MODEL", arn)
        else:
            assert ("length" in message(caught)) == (len(arn) > 1011)


def test_create_model_tags_the_model(client: Any, trainable: House) -> None:
    client.create_model(**CIRCUITS, OutputConfig=OUTPUT, Tags=tags("stage", "line"))

    assert listed(client) == tags("line", "stage")
    assert trainable.tagging.tags(MODEL_ARN)


@pytest.mark.usefixtures("trainable")
def test_create_model_counts_the_tags(client: Any) -> None:
    with pytest.raises(client.exceptions.ServiceQuotaExceededException):
        client.create_model(**CIRCUITS, OutputConfig=OUTPUT, Tags=tags(*numbered(51)))
    client.create_model(**CIRCUITS, OutputConfig=OUTPUT, Tags=tags(*numbered(50)))

    assert client.describe_model(**MODEL)["ModelDescription"]["ModelVersion"] == "1"
    assert len(listed(client)) == 50
