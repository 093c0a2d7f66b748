from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from blemish.domain.access.builtin_policies import FULL_ACCESS, READ_ONLY
from blemish.domain.access.policies import PolicyError
from blemish.service.access.access_keys import AccessKeyError
from tests.unit.house import House
from tests.unit.service.keys import KeyHouse


@pytest.fixture
def there(house: House) -> KeyHouse:
    return KeyHouse(house)


def test_at_first_there_is_no_key(there: KeyHouse) -> None:
    assert not there.keys.any()

    there.create("first")

    assert there.keys.any()


def test_a_key_looks_as_clients_expect(there: KeyHouse) -> None:
    pair = there.keys.draw()

    assert re.fullmatch(r"BLEM[A-Z2-7]{16}", pair.id)
    assert re.fullmatch(r"[A-Za-z0-9+/]{40}", pair.secret)
    assert there.keys.draw() != pair


def test_keys_are_listed_oldest_first_with_all_but_their_secrets(there: KeyHouse) -> None:
    secrets = [there.create("b", policy=READ_ONLY, tags={"line": "4"}).secret]
    there.house.clock.advance(1)
    secrets.append(there.create("a").secret)
    there.keys.set_enabled("a", enabled=False)

    found = there.keys.all()

    assert [(key.name, key.policy, key.tags, key.enabled) for key in found] == [
        ("b", READ_ONLY, {"line": "4"}, True),
        ("a", FULL_ACCESS, {}, False),
    ]
    assert [secret for secret in secrets if secret in repr(found)] == []


def test_a_key_that_is_rotated_stays_what_it_was_but_for_what_it_signs_with(
    there: KeyHouse,
) -> None:
    old = there.create("line-4", policy=READ_ONLY, tags={"line": "4"})
    there.keys.set_enabled("line-4", enabled=False)
    before = there.keys.named("line-4")

    new = there.keys.draw()
    there.keys.rotate("line-4", new)

    after = there.keys.named("line-4")
    assert (before.id, after.id) == (old.id, new.id)
    assert (after.policy, after.tags, after.enabled, after.created_at) == (
        before.policy,
        before.tags,
        before.enabled,
        before.created_at,
    )


def test_a_name_is_there_once(there: KeyHouse) -> None:
    there.create("line-4")

    with pytest.raises(AccessKeyError, match="There is an access key named line-4 already"):
        there.create("line-4")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "ä", "a" * 65, "..\n"])
def test_names_are_those_of_iam_users(there: KeyHouse, name: str) -> None:
    with pytest.raises(AccessKeyError, match="cannot be the name of an access key"):
        there.create(name)

    assert not there.keys.any()


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"aws:line": "4"}, "is reserved"),
        ({"": "4"}, "is not allowed"),
        ({"line": "*"}, "is not allowed"),
        ({"a" * 129: "4"}, "is not allowed"),
        ({"line": "4" * 257}, "is not allowed"),
        ({str(number): "" for number in range(51)}, "51 tags are too many"),
    ],
)
def test_tags_are_those_of_iam_users(there: KeyHouse, tags: dict[str, str], said: str) -> None:
    with pytest.raises(AccessKeyError, match=said):
        there.create("line-4", tags=tags)

    assert not there.keys.any()


def test_what_is_no_policy_is_refused_and_changes_nothing(there: KeyHouse) -> None:
    with pytest.raises(PolicyError, match="no JSON"):
        there.create("line-4", policy="readonly")
    there.create("line-5", policy=READ_ONLY)
    with pytest.raises(PolicyError, match="no JSON"):
        there.keys.set_policy("line-5", "fullaccess")

    assert [(key.name, key.policy) for key in there.keys.all()] == [("line-5", READ_ONLY)]


def test_a_key_that_is_not_there_is_named_beside_those_that_are(there: KeyHouse) -> None:
    there.create("line-4")
    said = "There is no access key named line-5. There are: line-4."

    with pytest.raises(AccessKeyError, match=said):
        there.keys.rotate("line-5", there.keys.draw())
    with pytest.raises(AccessKeyError, match=said):
        there.keys.set_enabled("line-5", enabled=False)
    with pytest.raises(AccessKeyError, match=said):
        there.keys.delete("line-5")


@pytest.mark.sqlite
def test_secrets_of_an_earlier_version_are_sealed_and_leave_no_trace(there: KeyHouse) -> None:
    path = there.house.directory.database
    secret = "AnEarlierVersionKeptThisSecretAsItIs0000"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO access_keys (id, secret, name, created_at) VALUES (:i, :s, :n, :c)"),
            {"i": "BLEMOLD", "s": secret, "n": "first", "c": "2024-05-01 12:00:00.000000"},
        )
    engine.dispose()
    assert secret.encode() in bytes_of(path)

    there.keys.seal_plain()

    assert secret.encode() not in bytes_of(path)
    signer = there.access.signer("BLEMOLD")
    assert signer is not None
    assert signer.secret == secret
    assert there.keys.named("first").policy == FULL_ACCESS


def bytes_of(database: Path) -> bytes:
    return b"".join(path.read_bytes() for path in database.parent.glob(f"{database.name}*"))


@pytest.mark.sqlite
def test_no_secret_is_in_the_database(there: KeyHouse) -> None:
    pairs = [there.create("line-4"), there.create("line-5")]
    pairs.append(there.keys.draw())
    there.keys.rotate("line-4", pairs[-1])

    content = bytes_of(there.house.directory.database)

    assert [pair.id for pair in pairs if pair.id.encode() in content]
    assert [pair.id for pair in pairs if pair.secret.encode() in content] == []


def test_a_key_whose_secret_cannot_be_opened_is_lost(there: KeyHouse) -> None:
    there.create("line-4")
    key = there.keys.named("line-4")
    assert not there.keys.is_lost(key)

    there.lose_keyring()

    assert there.keys.is_lost(key)
