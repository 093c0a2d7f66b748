from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.domain.entities import Project
from blemish.domain.errors import ResourceNotFoundError
from blemish.service.client_tokens import AnsweredBeforeError, ByToken, Once, fingerprint
from tests.unit.house import House

MEMBERS = {"ProjectName": "circuits"}
VALUES = st.recursive(
    st.text() | st.integers() | st.booleans() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def by_token(house: House, answered: Mapping[str, Any]) -> Once[object]:
    return ByToken(
        operation="CreateProject",
        token="RunOnce",
        members=MEMBERS,
        now=house.clock.time,
        answer=lambda _: answered,
    )


@pytest.mark.parametrize(
    "answered",
    [
        {},
        {"Status": "HOSTED", "Description": None},
        {"At": datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)},
        {"Models": [{"At": datetime(2024, 5, 1, tzinfo=UTC), "F1Score": 1 / 3}]},
    ],
)
def test_an_answer_is_recalled_as_it_was(house: House, answered: dict[str, Any]) -> None:
    once = by_token(house, answered)
    with house.database.writing() as rows:
        once.recall(rows)
        once.remember(rows, None)

    with pytest.raises(AnsweredBeforeError) as caught, house.database.reading() as rows:
        once.recall(rows)

    assert caught.value.answer == answered


def test_a_change_whose_token_cannot_be_written_is_not_made(house: House) -> None:
    def fail(project: Project) -> dict[str, Any]:
        raise ZeroDivisionError(project.name)

    once = ByToken(
        operation="CreateProject",
        token="RunOnce",
        members=MEMBERS,
        now=house.clock.time,
        answer=fail,
    )

    with pytest.raises(ZeroDivisionError):
        house.projects.create("circuits", once=once)

    with pytest.raises(ResourceNotFoundError):
        house.projects.describe("circuits")


@given(members=st.dictionaries(st.text(), VALUES, min_size=1), data=st.data())
def test_a_fingerprint_is_of_all_members_in_any_order(
    members: dict[str, Any], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(members)))
    value = data.draw(VALUES)
    mixed = dict(data.draw(st.permutations(list(members.items()))))

    assert fingerprint(mixed) == fingerprint(members)
    if value != members[name]:
        assert fingerprint(members | {name: value}) != fingerprint(members)
    without = {key: members[key] for key in members if key != name}
    assert fingerprint(without) != fingerprint(members)
