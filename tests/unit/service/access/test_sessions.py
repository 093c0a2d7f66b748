from __future__ import annotations

import random
from datetime import timedelta

import pytest

from blemish.service.access.sessions import LIFETIME, SessionService
from tests.unit.house import House
from tests.unit.service.keys import KeyHouse


@pytest.fixture
def there(house: House) -> KeyHouse:
    return KeyHouse(house)


@pytest.fixture
def sessions(there: KeyHouse) -> SessionService:
    return SessionService(
        there.house.database,
        signer=there.access.signer,
        now=there.house.clock,
        random_bytes=random.Random(7).randbytes,
    )


def begun(sessions: SessionService, there: KeyHouse, name: str = "line-4") -> str:
    pair = there.create(name)
    token = sessions.begin(pair.id, pair.secret)
    assert token is not None
    return token


def test_who_knows_the_secret_is_who_they_say(sessions: SessionService, there: KeyHouse) -> None:
    first, second = begun(sessions, there), begun(sessions, there, "line-5")

    found = [sessions.principal(token) for token in (first, second)]

    assert [each and each.name for each in found] == ["line-4", "line-5"]


@pytest.mark.parametrize("secret", ["", "wrong", "wrong " * 100, "ü"])
def test_a_wrong_secret_begins_nothing(
    sessions: SessionService, there: KeyHouse, secret: str
) -> None:
    pair = there.create("line-4")

    assert sessions.begin(pair.id, secret) is None
    assert sessions.begin("BLEMUNKNOWN", "") is None
    assert sessions.begin("BLEMUNKNOWN", pair.secret) is None


@pytest.mark.parametrize("token", ["", "0" * 64, "\ud800", "' OR 1=1"])
def test_a_forged_token_is_nobody_s(sessions: SessionService, there: KeyHouse, token: str) -> None:
    begun(sessions, there)

    assert sessions.principal(token) is None


@pytest.mark.parametrize("change", ["disable", "rotate", "delete"])
def test_a_session_ends_with_its_key(
    sessions: SessionService, there: KeyHouse, change: str
) -> None:
    token = begun(sessions, there)

    match change:
        case "disable":
            there.keys.set_enabled("line-4", enabled=False)
        case "rotate":
            there.keys.rotate("line-4", there.keys.draw())
        case _:
            there.keys.delete("line-4")

    assert sessions.principal(token) is None


def test_a_session_does_not_revive_with_its_key(sessions: SessionService, there: KeyHouse) -> None:
    token = begun(sessions, there)
    there.keys.set_enabled("line-4", enabled=False)

    there.keys.set_enabled("line-4", enabled=True)

    assert sessions.principal(token) is None


def test_a_session_ends_when_it_is_ended_or_its_time_is_over(
    sessions: SessionService, there: KeyHouse
) -> None:
    ended, old = begun(sessions, there), begun(sessions, there, "line-5")

    sessions.end(ended)
    there.house.clock.advance((LIFETIME - timedelta(seconds=1)).total_seconds())
    still = sessions.principal(old)
    there.house.clock.advance(1)

    assert sessions.principal(ended) is None
    assert still is not None
    assert sessions.principal(old) is None


@pytest.mark.sqlite
def test_the_database_holds_no_token(sessions: SessionService, there: KeyHouse) -> None:
    token = begun(sessions, there)

    there.house.database.shorten_log(0)

    assert token.encode() not in there.house.directory.database.read_bytes()
