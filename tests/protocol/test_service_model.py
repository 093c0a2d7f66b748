"""Our service model against the original's, as botocore 1.40.60 has it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError
from botocore.loaders import Loader

from blemish.api.service_model import service_model

OURS = json.loads((files("blemish.api") / "service-2.json").read_text())
ORIGINAL = Loader(include_default_search_paths=True).load_service_model(
    "lookoutvision", "service-2", "2020-11-20"
)
EXTRAS = json.loads((files("blemish.api") / "service-2.sdk-extras.json").read_text())["merge"]
MERGED = service_model()
WORDS_THAT_MAKE_A_COPY = 7


def without_documentation(node: Any) -> Any:
    match node:
        case dict():
            return {
                key: without_documentation(value)
                for key, value in node.items()
                if not (key == "documentation" and isinstance(value, str))
            }
        case list():
            return [without_documentation(item) for item in node]
        case _:
            return node


def documentation(node: Any) -> Iterator[str]:
    match node:
        case dict():
            for key, value in node.items():
                if key == "documentation" and isinstance(value, str):
                    yield value
                else:
                    yield from documentation(value)
        case list():
            for item in node:
                yield from documentation(item)


def phrases(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", re.sub(r"<[^>]*>", " ", text).lower())
    length = WORDS_THAT_MAKE_A_COPY
    return {tuple(words[i : i + length]) for i in range(len(words) - length + 1)}


@pytest.mark.parametrize("part", ["version", "metadata"])
def test_what_the_service_says_of_itself_is_the_original_s(part: str) -> None:
    assert OURS[part] == ORIGINAL[part]


@pytest.mark.parametrize("kind", ["operations", "shapes"])
def test_there_is_neither_more_nor_less_than_in_the_original(kind: str) -> None:
    assert list(OURS[kind]) == list(ORIGINAL[kind])


@pytest.mark.parametrize("name", ORIGINAL["operations"])
def test_an_operation_is_the_original_s(name: str) -> None:
    ours, original = OURS["operations"][name], ORIGINAL["operations"][name]

    assert without_documentation(ours) == without_documentation(original)


@pytest.mark.parametrize("name", ORIGINAL["shapes"])
def test_a_shape_is_the_original_s_member_by_member(name: str) -> None:
    ours, original = OURS["shapes"][name], ORIGINAL["shapes"][name]

    assert without_documentation(ours) == without_documentation(original)
    assert list(ours.get("members", ())) == list(original.get("members", ()))


def test_paginators_are_the_original_s() -> None:
    ours = json.loads((files("blemish.api") / "paginators-1.json").read_text())

    assert ours == Loader().load_service_model("lookoutvision", "paginators-1", "2020-11-20")


@pytest.mark.parametrize("name", ORIGINAL["operations"])
def test_an_operation_and_what_it_takes_and_gives_is_documented(name: str) -> None:
    operation = OURS["operations"][name]

    assert operation["documentation"]
    for side in ("input", "output"):
        members = OURS["shapes"][operation[side]["shape"]]["members"]
        assert all(member["documentation"] for member in members.values())


def test_the_documentation_shares_no_phrase_with_the_original_s() -> None:
    theirs = set().union(*map(phrases, documentation(ORIGINAL)))

    ours = set().union(*map(phrases, documentation(OURS)))

    assert {" ".join(phrase) for phrase in ours & theirs} == set()


def test_the_endpoint_is_the_one_that_a_client_was_given() -> None:
    endpoint = endpoints().resolve_endpoint(Endpoint="http://127.0.0.1:8000", Region="eu-west-1")

    assert endpoint.url == "http://127.0.0.1:8000"


def test_a_client_without_an_endpoint_is_told_to_give_one() -> None:
    with pytest.raises(EndpointProviderError, match="AWS_ENDPOINT_URL_LOOKOUTVISION"):
        endpoints().resolve_endpoint(Region="eu-west-1")


@pytest.mark.parametrize("name", EXTRAS["operations"])
def test_an_operation_of_ours_is_new_and_says_that_it_is_ours(name: str) -> None:
    operation = EXTRAS["operations"][name]

    assert name not in ORIGINAL["operations"]
    assert operation["name"] == name
    assert "Blemish's own" in operation["documentation"]
    for side in ("input", "output"):
        members = EXTRAS["shapes"][operation[side]["shape"]]["members"]
        assert all(member["documentation"] for member in members.values())
    declared = {error["shape"] for error in operation["errors"]}
    assert declared <= set(ORIGINAL["shapes"])


@pytest.mark.parametrize("name", EXTRAS["shapes"])
def test_a_shape_of_the_original_s_only_gets_optional_members_that_are_ours(name: str) -> None:
    ours, original = EXTRAS["shapes"][name], ORIGINAL["shapes"].get(name)
    if original is None:
        return

    assert list(ours) == ["members"]
    assert ours["members"].keys().isdisjoint(original["members"])
    assert all("Blemish's own" in member["documentation"] for member in ours["members"].values())


def test_all_that_is_ours_refers_to_shapes_that_there_are() -> None:
    operations = [MERGED.operation_model(name) for name in EXTRAS["operations"]]

    shapes = [shape for each in operations for shape in (each.input_shape, each.output_shape)]
    assert all(list(shape.members.values()) for shape in shapes)


def endpoints() -> EndpointProvider:
    rules = json.loads((files("blemish.api") / "endpoint-rule-set-1.json").read_text())
    return EndpointProvider(rules, Loader().load_data("partitions"))
