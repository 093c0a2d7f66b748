from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from blemish.domain.entities import AnsweredCall
from blemish.storage.database.database import Database
from tests.unit.storage.samples import NOW

START = AnsweredCall(
    operation="StartModel",
    token="RunOnce",
    parameters="0" * 64,
    answer="{}",
    created_at=NOW,
    model_id=7,
)
STOP = replace(START, operation="StopModel")


def test_a_call_is_found_by_operation_and_exact_token(database: Database) -> None:
    with database.writing() as rows:
        rows.client_tokens.put(START)

    with database.reading() as rows:
        assert rows.client_tokens.find("StartModel", "RunOnce") == START
        assert rows.client_tokens.find("StopModel", "RunOnce") is None
        assert rows.client_tokens.find("StartModel", "runonce") is None


def test_a_later_call_takes_the_place_of_an_earlier_one(database: Database) -> None:
    later = replace(START, answer='{"Status": "HOSTED"}', created_at=NOW + timedelta(hours=8))
    with database.writing() as rows:
        rows.client_tokens.put(START)
        rows.client_tokens.put(STOP)

        rows.client_tokens.put(later)

        assert rows.client_tokens.find("StartModel", "RunOnce") == later
        assert rows.client_tokens.find("StopModel", "RunOnce") == STOP


def test_the_calls_of_a_model_are_spent_together(database: Database) -> None:
    others = [replace(START, token="b", model_id=8), replace(START, token="c", model_id=None)]
    with database.writing() as rows:
        for call in (START, STOP, *others):
            rows.client_tokens.put(call)

        rows.client_tokens.spend(7)

        assert rows.client_tokens.find("StartModel", "RunOnce") is None
        assert rows.client_tokens.find("StopModel", "RunOnce") is None
        assert [rows.client_tokens.find("StartModel", call.token) for call in others] == others


def test_old_calls_are_deleted(database: Database) -> None:
    with database.writing() as rows:
        rows.client_tokens.put(START)
        rows.client_tokens.put(replace(STOP, created_at=NOW - timedelta(microseconds=1)))

        assert rows.client_tokens.delete_before(NOW) == 1

        assert rows.client_tokens.find("StartModel", "RunOnce") == START
        assert rows.client_tokens.find("StopModel", "RunOnce") is None
