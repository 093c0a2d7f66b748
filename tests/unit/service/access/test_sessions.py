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
        access=there.access,
        users=there.users,
        kiosks=there.kiosks,
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


def test_a_holder_sees_the_sessions_of_the_key_and_ends_them(
    sessions: SessionService, there: KeyHouse
) -> None:
    pair = there.create("line-4")
    other = begun(sessions, there, "line-5")
    first, second, third = (
        str(sessions.begin(pair.id, pair.secret, address=f"192.0.2.{number}"))
        for number in (1, 2, 3)
    )
    there.house.clock.advance(90)
    sessions.principal(second, notes_use=True)

    listed = {session.address: session for session in sessions.of_holder(first)}
    sessions.end_others(first, session_id=listed["192.0.2.2"].id)
    after_one = [sessions.principal(token) is not None for token in (first, second, third)]
    sessions.end_others(first)
    after_all = [sessions.principal(token) is not None for token in (first, second, third)]

    assert set(listed) == {"192.0.2.1", "192.0.2.2", "192.0.2.3"}
    assert [session.is_own for session in listed.values()].count(True) == 1
    assert listed["192.0.2.1"].is_own
    used = {address: session.last_used_at for address, session in listed.items()}
    assert used["192.0.2.2"] == there.house.clock()
    assert used["192.0.2.3"] == listed["192.0.2.3"].started_at
    assert after_one == [True, False, True]
    assert after_all == [True, False, False]
    assert sessions.principal(other) is not None


def test_nobody_ends_a_session_of_another_key(sessions: SessionService, there: KeyHouse) -> None:
    own, other = begun(sessions, there), begun(sessions, there, "line-5")
    other_id = sessions.of_holder(other)[0].id

    sessions.end_others(own, session_id=other_id)

    assert sessions.principal(other) is not None
    assert sessions.of_holder("forged") == []
