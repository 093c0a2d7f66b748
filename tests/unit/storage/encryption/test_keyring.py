from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from blemish.storage.encryption.keyring import Keyring, KeyringError, new_key
from blemish.storage.errors import KeyUnavailableError
from tests.unit.storage.sealing import key, new_keyring


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return new_keyring(tmp_path)


def file_of(tmp_path: Path, number: int) -> Path:
    return tmp_path / "keyring" / f"{key(number).id}.json"


def test_a_key_comes_back_as_it_was_added(keyring: Keyring) -> None:
    keyring.add(key(2, alias="line-4"))

    assert keyring.held() == [key(1), key(2, alias="line-4")]
    assert keyring.usable(key(2).id) == key(2, alias="line-4") == keyring.find("line-4")
    assert keyring.find("line-5") is None


def test_a_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    new_keyring(tmp_path)

    assert file_of(tmp_path, 1).stat().st_mode & 0o777 == 0o600


def test_no_two_drawn_keys_are_alike(keyring: Keyring) -> None:
    drawn = [
        new_key(f"line-{line}", random_bytes=os.urandom, now=key(1).created_at) for line in range(9)
    ]

    for each in drawn:
        keyring.add(each)

    assert len({each.id for each in keyring.held()}) == 10
    assert len({each.secret for each in keyring.held()}) == 10


def test_the_default_key_is_made_once(keyring: Keyring) -> None:
    keyring.settle(key(2))

    assert keyring.held() == [key(1)]


def test_a_lost_default_key_that_is_put_back_opens_and_the_newer_one_seals(
    keyring: Keyring, tmp_path: Path
) -> None:
    lost = file_of(tmp_path, 1).read_bytes()
    file_of(tmp_path, 1).unlink()
    keyring.settle(key(2))

    file_of(tmp_path, 1).write_bytes(lost)

    assert keyring.usable(key(1).id) == key(1)
    assert keyring.default() == key(2)


@pytest.mark.parametrize("alias", ["", "a b", "ä", "a.b", "x" * 251])
def test_an_alias_that_aws_would_refuse_is_refused(keyring: Keyring, alias: str) -> None:
    with pytest.raises(KeyringError, match="1 to 250 letters"):
        keyring.add(key(2, alias=alias))

    assert keyring.held() == [key(1)]


@pytest.mark.parametrize("alias", ["default", "line-4"])
def test_an_alias_is_of_one_key(keyring: Keyring, alias: str) -> None:
    keyring.add(key(2, alias="line-4"))

    with pytest.raises(KeyringError, match=f"alias {alias} already"):
        keyring.add(key(3, alias=alias))


def test_a_disabled_key_says_how_it_is_enabled(keyring: Keyring) -> None:
    keyring.add(key(2, alias="line-4"))

    keyring.set_enabled(key(2, alias="line-4"), enabled=False)

    with pytest.raises(KeyUnavailableError, match=r"alias/line-4 \(.*`blemish keys kms enable"):
        keyring.usable(key(2).id)
    keyring.set_enabled(key(2, alias="line-4"), enabled=True)
    assert keyring.usable(key(2).id) == key(2, alias="line-4")


def test_the_default_key_cannot_be_disabled(keyring: Keyring) -> None:
    with pytest.raises(KeyringError, match="stays enabled"):
        keyring.set_enabled(key(1), enabled=False)

    assert keyring.default() == key(1)


def test_a_missing_key_names_its_file(keyring: Keyring, tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailableError, match=f"put its file {file_of(tmp_path, 2)} back"):
        keyring.usable(key(2).id)


def test_without_a_default_key_the_reason_is_said(keyring: Keyring, tmp_path: Path) -> None:
    file_of(tmp_path, 1).unlink()

    with pytest.raises(KeyUnavailableError, match="alias/default is missing"):
        keyring.default()


def test_an_id_never_leads_out_of_the_keyring(keyring: Keyring, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_bytes(file_of(tmp_path, 1).read_bytes())

    with pytest.raises(KeyUnavailableError, match="no key's id"):
        keyring.usable("../outside")


@pytest.mark.parametrize(
    "damage",
    [
        {"secret": "c2hvcnQ="},
        {"secret": "no base64!"},
        {"created_at": "yesterday"},
        {"created_at": "2026-01-01T00:00:00"},
        {"id": key(3).id},
    ],
)
def test_a_damaged_key_stops_nobody_else_and_shows_nothing_of_itself(
    keyring: Keyring, tmp_path: Path, damage: dict[str, str]
) -> None:
    keyring.add(key(2, alias="line-4"))
    document = json.loads(file_of(tmp_path, 2).read_text())

    file_of(tmp_path, 2).write_text(json.dumps(document | damage))

    with pytest.raises(KeyUnavailableError, match=r"json is damaged\.$"):
        keyring.usable(key(2).id)
    assert keyring.held() == [key(1)]
    assert keyring.unreadable() == [f"The key file {file_of(tmp_path, 2)} is damaged."]


def test_a_file_that_is_no_json_is_a_damaged_key(keyring: Keyring, tmp_path: Path) -> None:
    file_of(tmp_path, 1).write_bytes(b"\0" * 200)

    with pytest.raises(KeyUnavailableError, match="damaged"):
        keyring.usable(key(1).id)


def test_the_secret_of_a_key_is_not_in_its_repr() -> None:
    assert repr(replace(key(1), secret=b"hidden" * 5)).find("hidden") == -1
