from __future__ import annotations

from typing import Any

import pytest

from blemish.api.service_model import service_model
from documentation.reference import REFERENCE, reference_pages, stored_examples

HOW = "run .venv/bin/python -m documentation.reference"


def paths(example: Any, path: str = "") -> set[str]:
    """Return the members that an example has, at any depth; those of lists count once."""
    match example:
        case dict():
            members = (paths(member, f"{path}.{name}") for name, member in example.items())
            return {path}.union(*members)
        case list():
            return {path}.union(*(paths(member, f"{path}[]") for member in example))
        case _:
            return {path}


def test_generated_pages_are_current() -> None:
    pages = reference_pages(stored_examples())

    outdated = [
        name
        for name, text in pages.items()
        if not (REFERENCE / name).is_file() or (REFERENCE / name).read_text() != text
    ]

    assert outdated == [], HOW
    written = {str(path.relative_to(REFERENCE)) for path in REFERENCE.rglob("*.md")}
    assert written == set(pages), HOW


def test_every_operation_has_an_example_of_members_that_it_has() -> None:
    model = service_model()
    examples = stored_examples()["operations"]

    assert set(examples) == set(model.operation_names), f"{HOW} --record"
    for name, example in examples.items():
        operation = model.operation_model(name)
        request = set(operation.input_shape.members) if operation.input_shape else set()
        answer = set(operation.output_shape.members) if operation.output_shape else set()
        assert set(example["request"]) <= request, f"{name}: {HOW} --record"
        assert set(example["answer"]) <= answer, f"{name}: {HOW} --record"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.acceptance
def test_a_server_answers_as_the_examples_say() -> None:
    from documentation.examples import record_examples  # noqa: PLC0415 - it needs a server's tests

    stored, recorded = stored_examples(), record_examples()

    assert recorded["metrics"] == stored["metrics"], f"{HOW} --record"
    differences = {
        name: sorted(paths(example) ^ paths(stored["operations"][name]))
        for name, example in recorded["operations"].items()
        if paths(example) != paths(stored["operations"][name])
    }
    assert differences == {}, f"{HOW} --record"
