from __future__ import annotations

import random

import pytest

from blemish.domain.access.roles import UserRole
from blemish.domain.entities import Requester
from blemish.service.access.access_keys import AccessKeyError
from blemish.service.access.passwords import PasswordError
from blemish.service.access.sessions import SessionService
from blemish.service.access.user_accounts import UserError
from tests.unit.house import House
from tests.unit.service.keys import KeyHouse

PASSWORD = "correct horse battery"


@pytest.fixture
def there(house: House) -> KeyHouse:
    there = KeyHouse(house)
    there.users.add("anna", PASSWORD, role=UserRole.LABELLER)
    return there


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


def begun(sessions: SessionService, password: str = PASSWORD) -> str:
    token = sessions.begin_as_user("anna", password)
    assert token is not None
    return token


def test_a_user_is_a_principal_with_the_policy_of_the_role(
    sessions: SessionService, there: KeyHouse
) -> None:
    principal = sessions.principal(begun(sessions))

    assert principal is not None
    assert (principal.name, principal.access_key_id) == ("anna", "")
    assert principal.arn == there.house.arns.user("anna")
    assert principal.policy.allows_somewhere("lookoutvision:UpdateDatasetEntries")
    assert not principal.policy.allows_somewhere("lookoutvision:DeleteModel")


@pytest.mark.parametrize("password", ["", "wrong", PASSWORD.upper(), "\ud800"])
def test_a_wrong_password_and_an_unknown_name_begin_nothing(
    sessions: SessionService, password: str
) -> None:
    assert sessions.begin_as_user("anna", password) is None
    assert sessions.begin_as_user("nobody", PASSWORD) is None


def test_a_password_is_stored_as_a_salted_hash_that_names_its_parameters(there: KeyHouse) -> None:
    there.users.add("berta", PASSWORD, role=UserRole.VIEWER)

    first, second = (user.password_hash for user in there.users.all())

    assert first is not None
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert "hash" not in repr(there.users.all())


def test_a_password_is_the_same_from_every_keyboard(
    sessions: SessionService, there: KeyHouse
) -> None:
    there.users.set_password("anna", "Stra\u00dfe M\u00fcnchen")

    assert sessions.begin_as_user("anna", "Stra\u00dfe Mu\u0308nchen") is not None


def test_a_disabled_user_is_signed_out_for_good(sessions: SessionService, there: KeyHouse) -> None:
    token = begun(sessions)

    there.users.set_enabled("anna", enabled=False)
    refused = (sessions.principal(token), sessions.begin_as_user("anna", PASSWORD))
    there.users.set_enabled("anna", enabled=True)

    assert refused == (None, None)
    assert sessions.principal(token) is None
    assert sessions.begin_as_user("anna", PASSWORD) is not None


def test_a_new_password_ends_sessions_and_needs_the_old_one(
    sessions: SessionService, there: KeyHouse
) -> None:
    token = begun(sessions)
    with pytest.raises(PasswordError, match="old password is wrong"):
        there.users.change_password("anna", old="wrong", new="another long one")
    assert sessions.principal(token) is not None

    there.users.change_password("anna", old=PASSWORD, new="another long one")

    assert sessions.principal(token) is None
    assert sessions.begin_as_user("anna", PASSWORD) is None
    assert sessions.begin_as_user("anna", "another long one") is not None


def test_another_role_counts_in_open_sessions(sessions: SessionService, there: KeyHouse) -> None:
    token = begun(sessions)

    there.users.set_role("anna", UserRole.ADMIN)

    principal = sessions.principal(token)
    assert principal is not None
    assert principal.policy.allows_somewhere("iam:CreateUser")


@pytest.mark.parametrize("name", ["anna", "line-4", "", "a b", "x" * 65, "a/b"])
def test_a_name_that_is_taken_or_not_allowed_is_refused(there: KeyHouse, name: str) -> None:
    there.create("line-4")

    with pytest.raises(UserError):
        there.users.add(name, PASSWORD, role=UserRole.VIEWER)


def test_no_access_key_gets_the_name_of_a_user(there: KeyHouse) -> None:
    with pytest.raises(AccessKeyError, match="a user named anna"):
        there.create("anna")


@pytest.mark.parametrize("password", ["", "x" * 11, "x" * 257])
def test_a_password_of_a_bad_length_is_refused(there: KeyHouse, password: str) -> None:
    with pytest.raises(PasswordError, match="12 to 256 characters"):
        there.users.set_password("anna", password)


def test_a_change_of_an_unknown_user_names_those_that_there_are(there: KeyHouse) -> None:
    with pytest.raises(UserError, match=r"no user named berta\. There are: anna"):
        there.users.set_role("berta", UserRole.ADMIN)


def test_a_job_has_the_rights_that_its_user_has_when_it_runs(there: KeyHouse) -> None:
    requester = Requester(
        key_name="anna", at=there.house.clock(), source_ip="192.0.2.7", secure=True
    )
    before = there.access.rights(requester).principal.policy
    there.users.set_enabled("anna", enabled=False)

    after = there.access.rights(requester).principal.policy

    assert before.allows_somewhere("s3:GetObject")
    assert not after.allows_somewhere("s3:GetObject")


def test_the_provider_decides_about_password_and_role_of_its_users(there: KeyHouse) -> None:
    user = there.users.identified("https://login.example.org 17", name="otto", role=UserRole.VIEWER)

    assert there.users.authenticated(user.name, "") is None
    with pytest.raises(UserError, match="which has the password"):
        there.users.set_password(user.name, PASSWORD)
    with pytest.raises(UserError, match="whose groups decide about the role"):
        there.users.set_role(user.name, UserRole.ADMIN)
